"""Set up before any test module is imported."""

from kpcn_core.renderers.mitsuba_variant import use_bundled_llvm

# Test modules may import drjit before the renderer does.
use_bundled_llvm()
