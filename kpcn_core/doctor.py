"""What works on this machine, what is missing, and how to mend it."""

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

import torch

from kpcn_core import __version__, exr, oidn, weights
from kpcn_core.client_launch import config_path, find_python
from kpcn_core.errors import KpcnError
from kpcn_core.frame import Frame
from kpcn_core.provenance import device_name
from kpcn_core.renderers.mitsuba_variant import load_mitsuba

GOOD, OPTIONAL, BAD = "ok", "--", "BAD"
DRIVERS = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg")
HOSTS = {
    "Nuke": ("Nuke*", "nuke*"),
    "Houdini": ("houdini*", "hython*"),
    "Blender": ("blender*",),
}
EXTRAS = {
    "OpenTimelineIO adapters": ("otio-cmx3600-adapter", "editorial"),
    "Open Job Description": ("openjd-cli", "farm"),
    "training": ("lightning", "train"),
}
LITTLE = 1 << 30  # bytes of free space below which we warn


class Finding(NamedTuple):
    """One line of the report.

    Attributes:
        name: what was looked at.
        state: `GOOD`, `OPTIONAL` for what is missing and need not be there, or `BAD`.
        text: what was found.
        mend: what to do; empty if there is nothing to do.
    """

    name: str
    state: str
    text: str
    mend: str = ""


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
    driver = any(Path(path).exists() for path in DRIVERS) or shutil.which("nvidia-smi")
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


def _hosts() -> Iterator[Finding]:
    for name, patterns in HOSTS.items():
        found = sorted({str(path) for pattern in patterns for path in _on_path(pattern)})
        if found:
            yield Finding(name, GOOD, ", ".join(found[:3]))
        else:
            yield Finding(name, OPTIONAL, "not on the PATH")


def _on_path(pattern: str) -> Iterator[Path]:
    for folder in os.get_exec_path():
        for path in Path(folder).glob(pattern) if Path(folder).is_dir() else ():
            if path.is_file() and os.access(path, os.X_OK):
                yield path


def _mitsuba() -> Iterator[Finding]:
    try:
        mitsuba = load_mitsuba()
    except KpcnError as error:
        yield Finding("Mitsuba", OPTIONAL, str(error))
    else:
        yield Finding("Mitsuba", GOOD, f"{mitsuba.__version__}, {mitsuba.variant()}")


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
    *(_kpcn, _torch, _gpu, _networks, _files, _worker),
    *(_hosts, _mitsuba, _extras),
)
