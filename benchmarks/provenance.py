"""Where a figure comes from: as in a report, and the commit and the packages' versions."""

import subprocess
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from kpcn_core import provenance

ROOT = Path(__file__).parent.parent


def collect(module: str, device: torch.device, packages: Iterable[str] = ()) -> dict[str, str]:
    """Provenance of a benchmark.

    Args:
        module: name of the benchmark, as `python -m` takes it.
        device: where ours ran.
        packages: distributions whose versions matter.
    """
    found = provenance.collect(device)
    found["command"] = f"python -m {module} {found['command'].partition(' ')[2]}".rstrip()
    return found | {"commit": commit()} | {name: _version(name) for name in packages}


def commit() -> str:
    """The commit that is checked out, marked if tracked files differ from it."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        return f"{head} with changes" if _git("status", "--porcelain", "-uno") else head
    except (OSError, subprocess.CalledProcessError):
        return "unknown: no git checkout"


def _git(*words: str) -> str:
    run = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return run.stdout.strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
