"""Which variant of Mitsuba runs here, and where its LLVM comes from."""

import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

from kpcn_core.errors import MissingDependency

# CUDA compiles our whole path tracer into one kernel; LLVM does the same for every CPU core.
VARIANTS = ("cuda_ad_rgb", "llvm_ad_rgb")
LLVM_PATH = "DRJIT_LIBLLVM_PATH"
LLVM_MINIMUM = (16, 0, 0)
LLVM_ADVICE = (
    "Install LLVM 16 or later: pip install 'kpcn[mitsuba]' brings one (karellen-llvm-core); or "
    f"install your system's LLVM library and set {LLVM_PATH} to its libLLVM.so."
)


@cache
def load_mitsuba() -> Any:
    """Import Mitsuba and set the fastest variant that works on this machine.

    An LLVM that pip installed is preferred to the system's, which may be too old: LLVM 15 aborts
    the process. A `DRJIT_LIBLLVM_PATH` that is already set is respected.

    Raises:
        MissingDependency: Mitsuba is not installed, or neither CUDA nor LLVM is usable.
    """
    use_bundled_llvm()
    try:
        import mitsuba
    except ImportError as error:
        raise MissingDependency(
            "Rendering needs Mitsuba 3, which is not installed. Run: pip install 'kpcn[mitsuba]'."
        ) from error
    reasons = []
    for variant in VARIANTS:
        if variant not in mitsuba.variants():
            reasons.append(f"{variant}: not in this build of Mitsuba")
            continue
        try:
            mitsuba.set_variant(variant)
            if variant.startswith("llvm"):
                _check_llvm()
            _compute(mitsuba)
        except Exception as error:  # whatever the driver or the library says
            reasons.append(f"{variant}: {str(error).strip().splitlines()[0]}")
        else:
            mitsuba.set_log_level(mitsuba.LogLevel.Error)
            return mitsuba
    raise MissingDependency(
        f"Mitsuba finds neither a usable GPU nor LLVM ({'; '.join(reasons)}). {LLVM_ADVICE}"
    )


def use_bundled_llvm() -> None:
    """Point Dr.Jit to an LLVM that pip installed; of use only before Dr.Jit is first imported."""
    bundled = _bundled_llvm()
    if bundled is not None:
        os.environ.setdefault(LLVM_PATH, str(bundled))


def _check_llvm() -> None:
    """Refuse an LLVM that would abort the process in the middle of a render."""
    import drjit

    version = drjit.detail.llvm_version()
    if version < LLVM_MINIMUM:
        raise RuntimeError(
            f"LLVM {'.'.join(map(str, version))} is too old, or drjit was imported before "
            f"kpcn_core could point it to a newer one"
        )


def _compute(mitsuba: Any) -> None:
    """Run one small kernel: only that shows whether the backend is usable."""
    import drjit

    drjit.eval(mitsuba.Float([1.0, 2.0]) + 1.0)
    if drjit.width(drjit.arange(mitsuba.UInt32, 3)) != 3:
        raise RuntimeError("the backend computes nothing")


def _bundled_llvm() -> Path | None:
    """LLVM's shared library in this Python environment, if pip installed one."""
    folders = [Path(sys.prefix) / "lib", Path(sys.prefix) / "Library" / "bin"]
    names = ("libLLVM.so", "libLLVM*.so*", "libLLVM*.dylib", "LLVM*.dll")
    found = [path for folder in folders for name in names for path in sorted(folder.glob(name))]
    return found[0] if found else None
