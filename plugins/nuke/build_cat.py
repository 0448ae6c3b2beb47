"""Turn the TorchScript files beside this script into .cat files for Nuke's Inference node.

`kpcn export nuke` puts a copy of it into the folder that it writes. NukeX runs it, in the version
of Nuke that is to use the files, or an older one. It has not been run in Nuke by its authors.

Example:
    Nuke15.1 --nukex -i --gpu 0 --safe KpcnLive/build_cat.py
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nuke

ABOUT = "kpcn.json"


def build(folder: Path) -> list[Path]:
    """Make a .cat of every module in a folder; returns their paths.

    Raises:
        RuntimeError: Nuke made none.
    """
    about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    return [_cat(folder / name, about) for name in about["modules"]]


def _cat(module: Path, about: Mapping[str, Any]) -> Path:
    target = module.with_suffix(".cat")
    node = nuke.createNode("CatFileCreator", inpanel=False)
    try:
        values = (
            ("torchScriptFile", module.as_posix()),
            ("catFile", target.as_posix()),
            ("channelsIn", ",".join(about["channels_in"])),
            ("channelsOut", ",".join(about["channels_out"])),
            ("modelId", module.stem),
            ("outputScale", 1),
        )
        for name, value in values:
            node[name].setValue(value)
        for knob in _knobs(about["knobs"]):
            node.addKnob(knob)
        button = node["createCatFile"]
        if not isinstance(button, nuke.Script_Knob):
            raise RuntimeError(f"CatFileCreator's createCatFile is a {type(button).__name__}.")
        button.execute()
    finally:
        nuke.delete(node)
    if not target.is_file():
        raise RuntimeError(
            f"{target}: Nuke {nuke.NUKE_VERSION_STRING} did not make it of {module}."
        )
    return target


def _knobs(names: Sequence[str]) -> list[nuke.Knob]:
    """The knobs that become those of Inference: they are called like the module's attributes."""
    found: list[nuke.Knob] = []
    for name in names:
        if name == "asymmetry":
            slider = nuke.Double_Knob(name, name)
            slider.setRange(1.0, 10.0)
            slider.setValue(1.0)
            found.append(slider)
        else:
            found.append(nuke.Boolean_Knob(name, name))
    return found


if __name__ == "__main__":
    for path in build(Path(sys.argv[0]).resolve().parent):
        print(path)
