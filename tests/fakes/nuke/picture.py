"""What a node of the fake shows: channels by Nuke's names, read and written as Nuke does."""

import re
from pathlib import Path
from typing import Any, cast

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from tests.fakes.nuke.nodes import Group, Node
from tests.fakes.nuke.state import current

Picture = dict[str, NDArray[np.float32]]

MAIN = {"R": "rgba.red", "G": "rgba.green", "B": "rgba.blue", "A": "rgba.alpha", "Z": "depth.Z"}
COLORS = {"R": "red", "G": "green", "B": "blue", "A": "alpha"}
WRITTEN = {name: channel for channel, name in MAIN.items() if name.startswith("rgba")}

BUILT_IN = (
    "rgb", "rgba", "alpha", "depth", "motion", "forward", "backward", "disparityL", "disparityR",
    "deep", "mask", "rotopaint_mask", "mask_planartrack", "mask_splinewarp",
)  # fmt: skip


def picture(node: Node, frame: int, view: str = "main") -> Picture:
    """All channels of a node in a frame."""
    kind = node.Class()
    if kind == "Read":
        return _read(node, frame, view)
    if isinstance(node, Group):
        output = next(inner for inner in node.nodes() if inner.Class() == "Output")
        return picture(output, frame, view)
    if kind == "Input":
        outside = node.parent().input(int(node["number"].value()))
        return picture(outside, frame, view) if outside else {}
    chosen = node.input(int(node["which"].value()) if kind == "Switch" else 0)
    below = picture(chosen, frame, view) if chosen else {}
    if kind == "Multiply":
        return {name: plane * np.float32(node["value"].value()) for name, plane in below.items()}
    return below


def write(node: Node, frame: int, view: str) -> None:
    """What a Write does with one frame."""
    below = node.input(0)
    assert below is not None
    shown = picture(below, frame, view)
    if node["channels"].value() != "all":
        shown = {name: plane for name, plane in shown.items() if name.startswith("rgba.")}
    if node["datatype"].value() != "32 bit float":
        shown = {name: plane.astype(np.float16) for name, plane in shown.items()}
    channels = {WRITTEN.get(name, name): plane for name, plane in shown.items()}
    header = {"compression": OpenEXR.ZIPS_COMPRESSION, "type": OpenEXR.scanlineimage}
    if node["metadata"].value() == "all metadata":
        header |= _attributes(below, frame, view)
    path = _path(str(node["file"].value()), frame, view)
    if not path.parent.is_dir():
        raise RuntimeError(f"{path}: No such file or directory")
    OpenEXR.File(header, channels).write(str(path))


def _read(node: Node, frame: int, view: str) -> Picture:
    """A file, as it was when it was first looked at."""
    first, last = node.firstFrame(), node.lastFrame()
    path = _path(str(node["file"].value()), min(max(frame, first), last), view)
    if str(path) not in node.cache:
        if not path.is_file():
            if node["on_error"].value() == "error":
                raise RuntimeError(f"{node.fullName()}: Missing frame: {path}")
            return {}
        node.cache[str(path)] = _file(path)
    return cast(Picture, node.cache[str(path)])


def _attributes(node: Node, frame: int, view: str) -> dict[str, Any]:
    """What is in the header of the file that a node's picture comes from, beside the usual."""
    above = node.input(0)
    if node.Class() != "Read":
        return _attributes(above, frame, view) if above else {}
    path = _path(str(node["file"].value()), frame, view)
    header = OpenEXR.File(str(path), header_only=True).header()
    return {name: value for name, value in header.items() if isinstance(value, str)}


def _file(path: Path) -> Picture:
    part: Any = OpenEXR.File(str(path), separate_channels=True).parts[0]
    return {_shown(name): np.asarray(c.pixels, np.float32) for name, c in part.channels.items()}


def _shown(channel: str) -> str:
    layer, _, suffix = channel.rpartition(".")
    return (
        f"{layer}.{COLORS.get(suffix, suffix)}" if layer else MAIN.get(channel, f"other.{channel}")
    )


def _path(pattern: str, frame: int, view: str) -> Path:
    text = re.sub(r"%0?\d*d", lambda number: number[0] % frame, pattern)
    return Path(text.replace("%V", view).replace("%v", view[:1]))


def layers(node: Node | None) -> list[str]:
    """Names of the layers of a node in the current frame, or those that every script has."""
    if node is None:
        return list(BUILT_IN)
    return list(dict.fromkeys(name.rpartition(".")[0] for name in picture(node, current.frame)))
