"""Set up before any test module is imported."""

import os
import signal
from tempfile import TemporaryDirectory

import pytest
import torch

from kpcn_core.renderers.mitsuba_variant import use_bundled_llvm

# Test modules may import drjit before the renderer does.
use_bundled_llvm()
# A shell that runs tests in the background lets them, and what they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Tests neither read where the user has installed kpcn, nor change it.
CONFIG = TemporaryDirectory(prefix="kpcn-config-")
os.environ["XDG_CONFIG_HOME"] = os.environ["APPDATA"] = CONFIG.name
os.environ.pop("KPCN_PYTHON", None)
# Triton decides when it is first imported whether its kernels run in the interpreter.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
# Convolutions of float32 would else be of numbers with ten bits, on a GPU.
torch.backends.cudnn.allow_tf32 = False


@pytest.fixture
def kernels_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither light nor structure is given back after the kernels: what exports have."""
    monkeypatch.setattr("kpcn_core.composite.gains", lambda *_: {})
    monkeypatch.setattr("kpcn_core.structure.factor", lambda *_: None)
