"""Where a figure or a picture comes from."""

import os
import platform
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch

from kpcn_core import __version__, weights

CPU_INFO = Path("/proc/cpuinfo")


def collect(device: torch.device | None = None) -> dict[str, str]:
    """Command, date (UTC), versions, processor, and the device if there was one."""
    found = {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "kpcn": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "processor": f"{_processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads",
    }
    if device is not None:
        found["device"] = device_name(device)
    return found


def weights_name(model: str) -> str:
    """A network's name and hash, for a name or a path that `Denoiser.load` takes."""
    path = weights.find(model)
    return f"{path.stem}, sha256 {weights.describe(path)['sha256']}"


def predictor_name(model: str) -> str:
    """The same of the predictor of its errors; "none" if it has none."""
    beside = weights.predictor_of(weights.find(model))
    return "none" if beside is None else weights_name(str(beside))


def device_name(device: torch.device) -> str:
    """The GPU's model, or "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _processor() -> str:
    if CPU_INFO.is_file():
        for line in CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
