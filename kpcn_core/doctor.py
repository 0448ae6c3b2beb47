"""What works on this machine, what is missing, and how to mend it."""

import ctypes
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from ctypes.util import find_library
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from kpcn_core import __version__, exr, memory, oidn, weights
from kpcn_core.client_launch import config_path, find_python
from kpcn_core.doctor_finding import BAD, GOOD, OPTIONAL, Finding
from kpcn_core.doctor_hosts import hosts
from kpcn_core.errors import KpcnError
from kpcn_core.frame import Frame
from kpcn_core.provenance import device_name
from kpcn_core.renderers.mitsuba_variant import (
    LLVM_ADVICE,
    LLVM_PATH,
    load_mitsuba,
    use_bundled_llvm,
)

DRIVER = Path("/proc/driver/nvidia/version")
DRIVERS = (str(DRIVER), "/dev/nvidiactl", "/dev/dxg")
EXTRAS = {
    "optical flow": ("opencv-python-headless", "flow"),
    "LuxCore": ("pyluxcore", "luxcore"),
    "Cycles": ("bpy", "cycles"),
    "OpenTimelineIO adapters": ("otio-cmx3600-adapter", "editorial"),
    "Open Job Description": ("openjd-cli", "farm"),
    "export": ("onnx", "export"),
    "training": ("lightning", "train"),
}
LITTLE = 1 << 30  # bytes of free space below which we warn


def findings() -> Iterator[Finding]:
    """Look at everything; what fails in a way that nobody expected is a finding, too."""
    for check in CHECKS:
        try:
            yield from check()
        except Exception as error:  # the doctor is called when things are broken
            name = check.__name__.strip("_").replace("_", " ")
            yield Finding(name, BAD, f"{type(error).__name__}: {error}", "Install kpcn again.")


def _kpcn() -> Iterator[Finding]:
    where = f"{__version__} in {Path(__file__).parent}"
    yield Finding("kpcn", GOOD, where)
    yield Finding("Python", GOOD, f"{platform.python_version()}, {sys.executable}")


def _memory() -> Iterator[Finding]:
    left = memory.free()
    if left is None:
        return
    mend = "" if left > LITTLE else "Close other programs, or raise the limit of the container."
    text = f"{memory.gib(left)} free, {os.cpu_count()} cores"
    yield Finding("memory", GOOD if left > LITTLE else OPTIONAL, text, mend)


def _torch() -> Iterator[Finding]:
    total = float(torch.ones(3).sum())
    threads = torch.get_num_threads()
    state = GOOD if total == 3 else BAD
    mend = "" if total == 3 else "Install torch again: it cannot add."
    yield Finding("torch", state, f"{torch.__version__}, {threads} threads on the CPU", mend)


def _gpu() -> Iterator[Finding]:
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            device = torch.device("cuda", index)
            torch.ones(3, device=device).sum().item()
            free, total = torch.cuda.mem_get_info(device)
            text = f"{device_name(device)}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
            yield Finding(f"GPU {index}", GOOD, text)
        return
    yield Finding("GPU", OPTIONAL, *_why_no_gpu())


def _why_no_gpu() -> tuple[str, str]:
    driver = _has_driver()
    if torch.version.cuda is None and torch.version.hip is None:
        return (
            "this torch is built for the CPU only",
            "Install one for your GPU, see https://pytorch.org." if driver else "",
        )
    if not driver:
        return "none: no NVIDIA driver is loaded; the CPU is used", ""
    return (
        f"a driver is there, but torch (CUDA {torch.version.cuda}) cannot use it",
        "Update the NVIDIA driver, and check CUDA_VISIBLE_DEVICES "
        f"({os.environ.get('CUDA_VISIBLE_DEVICES', 'not set')}).",
    )


def _driver() -> Iterator[Finding]:
    if DRIVER.is_file():
        match = re.search(r"Module\s+(?:for \S+\s+)?(\d[\d.]+)", DRIVER.read_text())
        yield Finding("GPU driver", GOOD, f"NVIDIA {match[1] if match else 'of unknown version'}")
    elif _has_driver():
        yield Finding("GPU driver", GOOD, "NVIDIA, of unknown version")
    else:
        mend = "To use an NVIDIA GPU, install its driver."
        yield Finding("GPU driver", OPTIONAL, "no NVIDIA driver is loaded", mend)


def _has_driver() -> bool:
    return any(Path(path).exists() for path in DRIVERS) or bool(shutil.which("nvidia-smi"))


def _networks() -> Iterator[Finding]:
    if not weights.names():
        mend = "Install kpcn again: the wheel holds them."
        yield Finding("networks", BAD, f"none in {weights.FOLDER}", mend)
    for name in weights.names():
        try:
            weights.load(weights.find(name))
        except KpcnError as error:
            yield Finding("network", BAD, str(error), "Install kpcn again.")
        else:
            digest = weights.describe(weights.find(name))["sha256"]
            yield Finding("network", GOOD, f"{name}, sha256 {digest[:12]}…, whole")


def _files() -> Iterator[Finding]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "é test.exr"
        pixels = torch.rand(3, 8, 8).numpy()
        exr.write_frame(path, Frame({"color": pixels}))
        same = bool((exr.read(path)["color"] == pixels).all())
        state, mend = (GOOD, "") if same else (BAD, "Install OpenEXR again.")
        yield Finding("EXR files", state, "written and read back", mend)
        free = shutil.disk_usage(folder).free
    text = f"{free / 2**30:.1f} GiB free in {tempfile.gettempdir()}"
    mend = "" if free > LITTLE else "Make room, or set TMPDIR to another folder."
    yield Finding("temporary files", GOOD if free > LITTLE else OPTIONAL, text, mend)


def _worker() -> Iterator[Finding]:
    try:
        yield Finding("hosts' Python", GOOD, find_python())
    except KpcnError as error:
        yield Finding("hosts' Python", BAD, str(error), f"Correct or remove {config_path()}.")


def _mitsuba() -> Iterator[Finding]:
    try:
        mitsuba = load_mitsuba()
    except KpcnError as error:
        yield Finding("Mitsuba", OPTIONAL, str(error))
    else:
        yield Finding("Mitsuba", GOOD, f"{mitsuba.__version__}, {mitsuba.variant()}")


def _llvm() -> Iterator[Finding]:
    use_bundled_llvm()
    where = os.environ.get(LLVM_PATH) or find_library("LLVM")
    if where is None:
        text = "none; Mitsuba needs one to render on the CPU"
        yield Finding("LLVM", OPTIONAL, text, LLVM_ADVICE)
        return
    version = (ctypes.c_uint(), ctypes.c_uint(), ctypes.c_uint())
    try:
        # In the library since version 16, which is the oldest that works.
        ctypes.CDLL(where).LLVMGetVersion(*map(ctypes.byref, version))
    except (OSError, AttributeError) as error:
        yield Finding("LLVM", OPTIONAL, f"{where}: too old, or damaged: {error}", LLVM_ADVICE)
    else:
        text = ".".join(str(number.value) for number in version)
        yield Finding("LLVM", GOOD, f"{text}, {where}")


def _extras() -> Iterator[Finding]:
    if oidn.installed():
        yield Finding("Open Image Denoise", GOOD, version("pyoidn"))
    else:
        mend = "For comparisons: pip install 'kpcn[report]'."
        yield Finding("Open Image Denoise", OPTIONAL, "not installed", mend)
    for name, (package, extra) in EXTRAS.items():
        try:
            yield Finding(name, GOOD, f"{package} {version(package)}")
        except PackageNotFoundError:
            mend = f"If you need it: pip install 'kpcn[{extra}]'."
            yield Finding(name, OPTIONAL, "not installed", mend)


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    *(_kpcn, _memory, _torch, _gpu, _driver, _networks, _files, _worker),
    *(hosts, _mitsuba, _llvm, _extras),
)
