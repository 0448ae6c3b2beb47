"""Houdini finds plugins by packages: JSON files in a folder of each version's preferences."""

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from kpcn_core.errors import UnreadableFile

NAME = "kpcn.json"


def houdini(
    home: Path | None, plugin: Path, install: bool
) -> list[tuple[Path, Callable[[str], str]]]:
    """The files to write, one for each version of Houdini that this account has used.

    Raises:
        UnreadableFile: there is none.
    """
    text = _package(plugin) if install else ""
    found = [home] if home else _preferences(os.environ)
    if not found and install:
        raise UnreadableFile(
            "No preferences of Houdini were found. Start Houdini once, or name their folder: "
            "--home ~/houdini21.0."
        )
    return [(folder / "packages" / NAME, lambda _: text) for folder in found]


def _package(plugin: Path) -> str:
    """The plugin's own package file, with its place."""
    package = json.loads((plugin / NAME).read_text(encoding="utf-8"))
    package["env"] = [{"KPCN_HOUDINI": plugin.as_posix()}]
    return json.dumps(package, indent=4) + "\n"


def _preferences(environment: Mapping[str, str]) -> list[Path]:
    """Folders of preferences, by version."""
    named = environment.get("HOUDINI_USER_PREF_DIR")
    if named and "__HVER__" not in named:
        return [Path(named)]
    if named:
        folder, before = Path(named).parent, Path(named).name.partition("__HVER__")[0]
    elif sys.platform == "darwin":
        folder, before = Path.home() / "Library" / "Preferences" / "houdini", ""
    else:
        home = Path.home()
        folder, before = (home / "Documents" if sys.platform == "win32" else home), "houdini"
    version = re.compile(rf"{re.escape(before)}\d+\.\d+")
    there = folder.iterdir() if folder.is_dir() else ()
    return sorted(path for path in there if version.fullmatch(path.name) and path.is_dir())
