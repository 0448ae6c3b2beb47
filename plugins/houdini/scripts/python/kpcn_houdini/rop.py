"""What a ROP says about its render: which files it writes, and for which frames."""

from __future__ import annotations

from collections.abc import Iterator

import hou
from kpcn_husk import product

from kpcn_core.errors import Refused
from kpcn_core.host_frames import as_range
from kpcn_houdini.parms import file_pattern

# Mantra; USD Render; Arnold; Redshift; Karma and OpenGL; COPs.
FILES = (
    "vm_picture", "outputimage", "ar_picture", "RS_outputFileNamePrefix", "picture", "copoutput",
)  # fmt: skip
VIEWERS = ("it", "houdini")  # of RenderMan's displays


def files(node: hou.OpNode) -> str:
    """The pattern of the files that a ROP writes.

    Raises:
        Refused: it writes no EXR files, or their names have no place for the frame.
    """
    for parm in (*_file_parms(node), *_displays(node)):
        found = file_pattern(parm)
        if found.lower().endswith(".exr"):
            return found
    stage = _stage(node)
    found = product.pattern(stage, [1]) if stage is not None else ""
    if found:
        return found
    raise Refused(
        f"{node.path()}: writes no EXR files, as far as its parms say. "
        f"Name its output, for example $HIP/render/shot.$F4.exr."
    )


def frames(node: hou.OpNode) -> str:
    """The frames that a ROP is set to render, as a range; empty if it does not say."""
    kind, *ends = (node.parm(name) for name in ("trange", "f1", "f2", "f3"))
    if kind is None or kind.evalAsString() not in ("normal", "on"):
        return ""
    values = [float(end.eval()) for end in ends if end is not None]
    if len(values) < 3 or any(value != int(value) for value in values):
        return ""
    first, last, step = map(int, values)
    return as_range(range(first, last + 1, max(1, step)))


def _file_parms(node: hou.OpNode) -> Iterator[hou.Parm]:
    for name in FILES:
        parm = node.parm(name)
        if parm is not None:
            yield parm


def _displays(node: hou.OpNode) -> Iterator[hou.Parm]:
    """Files among the displays of a RenderMan ROP."""
    for number in range(100):
        parm, device = node.parm(f"ri_display_{number}"), node.parm(f"ri_device_{number}")
        if parm is None and number:
            return
        if parm is not None and (device is None or device.evalAsString() not in VIEWERS):
            yield parm


def _stage(node: hou.OpNode) -> object:
    """The USD stage that a ROP renders; None if it renders none."""
    parm = node.parm("loppath")
    path = parm.evalAsString() if parm is not None else ""
    lop = hou.node(path) if path else next(iter(node.inputs()), None)
    return lop.stage() if isinstance(lop, hou.LopNode) else None
