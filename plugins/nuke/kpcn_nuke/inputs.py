"""What feeds a node: files that can be denoised as they are, or a graph that must be rendered."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import nuke

PASSING = ("Dot", "NoOp")  # nodes that change nothing
LOOK = ("colorspace", "raw", "premultiplied", "auto_alpha")  # how a Read shows a file


@dataclass(frozen=True)
class Files:
    """An EXR sequence that an unmodified Read shows.

    Attributes:
        pattern: absolute, with the Read's placeholders for frame and view.
        first: the first frame that the Read has.
        last: the last one.
        look: knobs of the Read, for the result to look the same.
    """

    pattern: str
    first: int
    last: int
    look: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """Nodes whose picture is no file."""

    node: nuke.Node
    first: int
    last: int


def upstream(node: nuke.Node | None) -> Files | Graph | None:
    """What a node gets, through nodes that change nothing; None if nothing is connected."""
    if node is None:
        return None
    found = node
    while found.Class() in PASSING and found.input(0) is not None:
        found = found.input(0) or found
    first, last = found.firstFrame(), found.lastFrame()
    if not _is_unmodified(found):
        return Graph(node, first, last)
    look = {name: found[name].value() for name in LOOK if found.knob(name) is not None}
    return Files(_pattern(found), first, last, look)


def _is_unmodified(node: nuke.Node) -> bool:
    """Whether it is a Read that shows each frame's own EXR."""
    if node.Class() != "Read":
        return False
    pattern = _pattern(node)
    if "[" in pattern or not pattern.lower().endswith((".exr", ".sxr")):
        return False  # a Tcl expression, whose value may change with the frame; or another format
    disabled, frame = node.knob("disable"), node.knob("frame")
    return not (disabled and disabled.value()) and not (frame and str(frame.value()).strip())


def _pattern(read: nuke.Node) -> str:
    name = nuke.filename(read)
    return absolute(name) if name else ""


def absolute(path: str) -> str:
    """A path that is relative, as Nuke takes it, to the project folder or the script."""
    root = nuke.root()
    knob = root.knob("project_directory")
    project = str(knob.getEvaluatedValue() or "") if isinstance(knob, nuke.File_Knob) else ""
    return (Path(project or Path(root.name()).parent) / path).as_posix()
