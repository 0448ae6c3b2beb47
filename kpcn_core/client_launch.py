"""How a host starts a worker: which Python, in which environment. Standard library only."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from kpcn_core.errors import WorkerFailed

# What hosts set for their own Python and libraries, and what would break ours.
LIBRARIES = ("LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES")


def config_path(environment: Mapping[str, str] = os.environ) -> Path:
    """The file in which `kpcn install` notes where kpcn is installed: {"python": PATH}."""
    if os.name == "nt":
        folder = environment.get("APPDATA") or str(Path.home() / "AppData" / "Roaming")
    else:
        folder = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(folder) / "kpcn" / "config.json"


def find_python(
    environment: Mapping[str, str] = os.environ, executable: str = sys.executable
) -> str:
    """The Python that has kpcn: `KPCN_PYTHON`, else the config file's, else the running one.

    Raises:
        WorkerFailed: none of them is there; or the running program is a host and no Python.
    """
    config = config_path(environment)
    candidates = (("KPCN_PYTHON", environment.get("KPCN_PYTHON")), (str(config), _noted(config)))
    for where, python in candidates:
        if python and not Path(python).is_file():
            raise WorkerFailed(
                f"{where} names the Python {python}, which does not exist. "
                f"Set it to the Python in which kpcn is installed."
            )
        if python:
            return python
    if Path(executable or "").name.lower().startswith("python"):
        return executable
    raise WorkerFailed(
        f"Expected a Python with kpcn; the running program is {executable or 'unknown'}. Set "
        f"KPCN_PYTHON to the Python in which kpcn is installed, or run `kpcn install` there, which "
        f"notes it in {config}."
    )


def worker_command(python: str) -> list[str]:
    """The command line of a worker. -P: nothing is imported from the host's current folder."""
    return [python, "-P", "-m", "kpcn_core", "worker"]


def worker_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The host's environment without what it sets for its own Python and libraries."""
    kept = {
        name: value
        for name, value in environment.items()
        if not name.upper().startswith("PYTHON") and name not in LIBRARIES
    }
    return {**kept, "PYTHONNOUSERSITE": "1"}


def _noted(config: Path) -> str | None:
    try:
        text = config.read_text(encoding="utf-8")
    except OSError:
        return None
    try:
        python = json.loads(text)["python"]
    except (ValueError, KeyError, TypeError) as error:
        raise WorkerFailed(
            f'{config}: expected {{"python": "PATH"}}; found {text[:80]!r}.'
        ) from error
    return str(python)
