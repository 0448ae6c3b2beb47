"""Blender finds extensions in a folder of each of its versions."""

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from kpcn_core.errors import MissingDependency

OLDEST = (4, 2)
# In the extension's own file, where the plugin is as long as the two lie side by side.
BESIDE = "str(Path(__file__).resolve().parent.parent)"


def blender(
    home: Path | None, plugin: Path, install: bool
) -> list[tuple[Path, Callable[[str], str]]]:
    """The files to change, and how: a copy of the extension, which is told where the plugin is.

    Args:
        home: the folder of one version, as ~/.config/blender/5.0; None for those of all there are.
        plugin: its folder.
        install: or take it out.

    Raises:
        MissingDependency: there is no version to install it for.
    """
    homes = [home] if home else versions()
    if install and not homes:
        raise MissingDependency(
            f"{_root(os.environ)}: no folder of Blender {'.'.join(map(str, OLDEST))} or later. "
            f"Start Blender once, or name its folder: --home DIR."
        )
    # A user's own repository of extensions, which every Blender has.
    folders = [one / "extensions" / "user_default" / "kpcn" for one in homes]
    texts = {path.name: path.read_text("utf-8") for path in sorted((plugin / "kpcn").glob("*.*"))}
    texts["__init__.py"] = texts["__init__.py"].replace(BESIDE, json.dumps(plugin.as_posix()))
    return [
        (folder / name, lambda _, text=text: text if install else "")  # type: ignore[misc]
        for folder in folders
        for name, text in texts.items()
    ]


def versions(environment: Mapping[str, str] = os.environ) -> list[Path]:
    """The folders of all versions that are new enough, or the one that Blender is told to use."""
    named = environment.get("BLENDER_USER_RESOURCES")
    if named:
        return [Path(named)]
    found = {_version(path.name): path for path in _root(environment).glob("*.*")}
    return [path for version, path in sorted(found.items()) if version >= OLDEST]


def _root(environment: Mapping[str, str]) -> Path:
    if os.name == "nt":
        data = environment.get("APPDATA") or str(Path.home() / "AppData" / "Roaming")
        return Path(data) / "Blender Foundation" / "Blender"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "Blender"
    config = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(config) / "blender"


def _version(name: str) -> tuple[int, ...]:
    return tuple(map(int, name.split("."))) if re.fullmatch(r"\d+\.\d+", name) else ()
