"""The spare parms that a ROP gets, and their values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import hou

from kpcn_core.errors import Refused
from kpcn_core.host_frames import pattern_of
from kpcn_core.host_panel import ITEMS, MOTION, Item

FOLDER, LABEL = "kpcn_folder", "KPCN"
PARMS = (
    Item("enable", "Denoise", "check", True, "Denoise each frame once it is rendered."),
    ITEMS["asymmetry"],
    ITEMS["asymmetry_layer"],
    ITEMS["window"],
    ITEMS["quality"],
    ITEMS["model"],
    ITEMS["device"],
    replace(ITEMS["output_file"], tip="As $HIP/clean.$F4.exr; empty: a folder 'denoised' beside."),
    replace(
        ITEMS["frame_range"], tip="All frames of the render, on all machines; empty: the ROP's."
    ),
    ITEMS["clean"],
    ITEMS["extra_layers"],
    ITEMS["source"],
    replace(ITEMS["more_layers"], label="layers", tip="As albedo=basecolor, depth=Pz."),
    ITEMS["error_map"],
    ITEMS["overwrite"],
    Item("strict", "stop the render", "check", False, "At a frame that cannot be denoised."),
    *(ITEMS[name] for name in MOTION),
)


def _check(item: Item) -> hou.ParmTemplate:
    on = bool(item.value)
    return hou.ToggleParmTemplate(_name(item), item.label, default_value=on, help=item.tip)


def _number(item: Item) -> hou.ParmTemplate:
    low, high = map(float, item.choices)
    return hou.FloatParmTemplate(
        _name(item), item.label, 1, default_value=(float(item.value),), min=low, max=high,
        help=item.tip,
    )  # fmt: skip


def _choice(item: Item) -> hou.ParmTemplate:
    return hou.StringParmTemplate(
        _name(item), item.label, 1, default_value=(str(item.value),), menu_items=item.choices,
        menu_labels=item.choices, help=item.tip,
    )  # fmt: skip


def _string(item: Item) -> hou.ParmTemplate:
    value = (str(item.value),)
    return hou.StringParmTemplate(_name(item), item.label, 1, default_value=value, help=item.tip)


def _file(item: Item) -> hou.ParmTemplate:
    return hou.StringParmTemplate(
        _name(item), item.label, 1, default_value=(str(item.value),),
        string_type=hou.stringParmType.FileReference, file_type=hou.fileType.Image, help=item.tip,
    )  # fmt: skip


KINDS: dict[str, Callable[[Item], hou.ParmTemplate]] = {
    "check": _check,
    "number": _number,
    "choice": _choice,
    "string": _string,
    "file": _file,
}


def add(node: hou.OpNode) -> None:
    """Give a node the parms, in a folder of their own."""
    group = node.parmTemplateGroup()
    templates = [KINDS[item.kind](item) for item in PARMS]
    group.append(hou.FolderParmTemplate(FOLDER, LABEL, templates))
    node.setParmTemplateGroup(group)


def remove(node: hou.OpNode) -> None:
    """Take them away again."""
    group = node.parmTemplateGroup()
    # Houdini may give a folder another name, beside others.
    folder = group.find(FOLDER) or group.findFolder(LABEL)
    if folder is not None:
        group.remove(folder)
        node.setParmTemplateGroup(group)


def values(node: hou.OpNode) -> dict[str, str]:
    """What was set, as texts by the items' names.

    Raises:
        Refused: the output's frame number is nowhere in its name.
    """
    found = {}
    for item in PARMS:
        parm = node.parm(_name(item))
        if parm is not None:
            found[item.name] = file_pattern(parm) if item.kind == "file" else f"{parm.eval()}"
    return found


def is_on(node: hou.OpNode, name: str) -> bool:
    """Whether a box is ticked."""
    parm = node.parm(f"kpcn_{name}")
    return parm is not None and bool(parm.eval())


def file_pattern(parm: hou.Parm) -> str:
    """The files that a parm names, whatever expression it is made of; empty if it names none.

    Raises:
        Refused: the frame's number is in a folder's name, or twice in the file's.
    """
    names = {frame: parm.evalAsStringAtFrame(frame) for frame in (1, 2)}
    if not any(names.values()):
        return ""
    found = pattern_of(names)
    if found is None:
        raise Refused(
            f"{parm.name()}: {names[1]}: the frame must be in the file's name, and once. "
            f"Write for example $HIP/render/shot.$F4.exr."
        )
    return found


def _name(item: Item) -> str:
    return f"kpcn_{item.name}"
