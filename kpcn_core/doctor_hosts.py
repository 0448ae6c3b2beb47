"""Which hosts are on this machine, and whether they find their plug-ins."""

import os
from collections.abc import Iterator
from glob import glob
from pathlib import Path

from kpcn_core import install
from kpcn_core.doctor_finding import GOOD, OPTIONAL, Finding
from kpcn_core.errors import KpcnError

# Names of programs on the PATH, and where installers put them.
HOSTS = {
    "Nuke": (
        ("Nuke*", "nuke*"),
        (
            "/usr/local/Nuke*/Nuke*[0-9]",
            "/opt/Nuke*/Nuke*[0-9]",
            "/Applications/Nuke*/Nuke*.app",
            "C:/Program Files/Nuke*/Nuke*.exe",
        ),
    ),
    "Houdini": (
        ("houdini*", "hython*"),
        (
            "$HFS/bin/hython*",
            "/opt/hfs*/bin/hython",
            "/Applications/Houdini/Houdini*",
            "C:/Program Files/Side Effects Software/Houdini*/bin/hython.exe",
        ),
    ),
    "Blender": (
        ("blender*",),
        (
            "/opt/blender*/blender",
            "/usr/local/blender*/blender",
            "/Applications/Blender*.app",
            "C:/Program Files/Blender Foundation/Blender*/blender.exe",
        ),
    ),
}
SHOWN = 3  # programs of one host


def hosts() -> Iterator[Finding]:
    """Every host, and its plug-in if there is one to install."""
    for name, (programs, places) in HOSTS.items():
        found = sorted({path for pattern in programs for path in _on_path(pattern)})
        found += sorted(path for place in places for path in _at(place) if path not in found)
        if found:
            yield Finding(name, GOOD, ", ".join(found[:SHOWN]))
            yield from _plugin(name)
        else:
            yield Finding(name, OPTIONAL, "neither on the PATH nor where installers put it")


def _plugin(name: str) -> Iterator[Finding]:
    host = name.lower()
    if host not in install.HOSTS:
        return
    try:
        missing = install.changes(host)
    except KpcnError as error:
        yield Finding(f"{name} plug-in", OPTIONAL, str(error))
        return
    if missing:
        text = f"not, or for another Python: see {missing[0].path}"
        yield Finding(f"{name} plug-in", OPTIONAL, text, f"Run: kpcn install {host}")
    else:
        yield Finding(f"{name} plug-in", GOOD, "installed for this Python")


def _on_path(pattern: str) -> Iterator[str]:
    for folder in os.get_exec_path():
        for path in Path(folder).glob(pattern) if Path(folder).is_dir() else ():
            if path.is_file() and os.access(path, os.X_OK):
                yield str(path)


def _at(place: str) -> list[str]:
    expanded = os.path.expandvars(place)
    return [] if "$" in expanded else glob(expanded)  # noqa: PTH207 - patterns of whole paths
