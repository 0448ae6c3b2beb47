"""A handwritten stand-in for Nuke's Python module, as far as the plugin uses it.

It has no name, method or knob that types-nuke or Nuke's own files lack (see
``test_fake_nuke.py``), and refuses all others; API calls from the wrong thread fail; deleted nodes
are detached; Reads keep what they read. Pictures are real: graphs are computed, and files read and
written, by OpenEXR.
"""

from collections.abc import Callable, Sequence
from typing import Any

from tests.fakes.nuke import picture as _picture
from tests.fakes.nuke.knobs import (
    INVISIBLE,
    STARTLINE,
    Boolean_Knob,
    Double_Knob,
    Enumeration_Knob,
    File_Knob,
    Int_Knob,
    Knob,
    PyScript_Knob,
    Script_Knob,
    String_Knob,
    Tab_Knob,
    Text_Knob,
)
from tests.fakes.nuke.nodes import Group, Node, Nodes, Root, delete
from tests.fakes.nuke.progress import ProgressTask, executeInMainThread
from tests.fakes.nuke.state import current as _current
from tests.fakes.nuke.state import main_thread as _main_thread

__all__ = [
    "GUI",
    "INVISIBLE",
    "NUKE_VERSION_STRING",
    "STARTLINE",
    "Boolean_Knob",
    "Double_Knob",
    "Enumeration_Knob",
    "File_Knob",
    "FrameRanges",
    "Group",
    "Int_Knob",
    "Knob",
    "Node",
    "ProgressTask",
    "PyScript_Knob",
    "Root",
    "Script_Knob",
    "String_Knob",
    "Tab_Knob",
    "Text_Knob",
    "Undo",
    "addKnobChanged",
    "addOnCreate",
    "createNode",
    "delete",
    "execute",
    "executeInMainThread",
    "executing",
    "filename",
    "frame",
    "layers",
    "menu",
    "message",
    "nodes",
    "root",
    "sample",
    "tcl",
    "thisKnob",
    "thisNode",
    "tprint",
    "views",
    "warning",
]  # fmt: skip

GUI = True
NUKE_VERSION_STRING = "0.0 (a fake)"
nodes = Nodes()


class Undo:
    @classmethod
    def disable(cls) -> None:
        _current.undo += 1

    @classmethod
    def enable(cls) -> None:
        _current.undo -= 1


class FrameRanges:
    def __init__(self, text: str) -> None:
        self._text = text

    def toFrameList(self) -> list[int]:
        from fileseq import FrameSet

        try:
            return [int(number) for number in FrameSet(self._text)]
        except Exception as error:
            raise RuntimeError(f"invalid frame range '{self._text}'") from error


class Menu:
    """What `menu` gives; it only remembers."""

    def addMenu(self, name: str) -> "Menu":
        return self

    def addCommand(self, name: str, command: str) -> None:
        _current.commands[name] = command


@_main_thread
def menu(name: str) -> Menu:
    assert name in ("Nodes", "Nuke")
    return Menu()


@_main_thread
def root() -> Root:
    assert isinstance(_current.root, Root)
    return _current.root


@_main_thread
def createNode(typ: str, knobs: str = "", inpanel: bool = True) -> Node:
    return getattr(nodes, typ)()  # type: ignore[no-any-return]


@_main_thread
def execute(
    nameOrNode: Node, start: int, end: int, incr: int = 1, views: Sequence[str] = ()
) -> None:
    assert nameOrNode.Class() == "Write"
    if _current.cancels_renders:
        raise RuntimeError("Cancelled")
    for number in range(start, end + 1, incr):
        for view in views:
            _picture.write(nameOrNode, number, view)


@_main_thread
def executing() -> bool:
    return _current.executing


@_main_thread
def filename(node: Node) -> str | None:
    found = node["file"].value()
    return None if found is None else str(found)


@_main_thread
def frame() -> int:
    return _current.frame


@_main_thread
def layers(node: Node | None = None) -> list[str]:
    return _picture.layers(node)


@_main_thread
def sample(node: Node, channel: str, x: int, y: int) -> float:
    plane = _picture.picture(node, _current.frame)[channel]
    return float(plane[plane.shape[0] - 1 - y, x])  # Nuke counts rows from below


@_main_thread
def views() -> list[str]:
    return list(_current.views)


@_main_thread
def tcl(cmd: str, *args: str) -> str:
    assert cmd == "subst"
    assert args == ("[getenv SHOT]/clean.%04d.exr",), "the fake knows this one expression"
    import os

    return args[0].replace("[getenv SHOT]", os.environ["SHOT"])


@_main_thread
def message(prompt: str) -> None:
    assert GUI, "there are no windows in terminal mode"
    _current.messages.append(prompt)


@_main_thread
def tprint(*args: Any) -> None:
    print(*args)


@_main_thread
def warning(message: str) -> None:
    _current.warnings.append(message)


@_main_thread
def thisNode() -> Node:
    return _current.this[-1][0]


@_main_thread
def thisKnob() -> Knob:
    knob = _current.this[-1][1]
    assert knob is not None
    return knob


@_main_thread
def addOnCreate(
    call: Callable[..., Any], args: Any = (), kwargs: Any = None, nodeClass: str = "*"
) -> None:
    _current.callbacks.append(("onCreate", nodeClass, call))


@_main_thread
def addKnobChanged(
    call: Callable[..., Any],
    args: Any = (),
    kwargs: Any = None,
    nodeClass: str = "*",
    node: Node | None = None,
) -> None:
    _current.callbacks.append(("knobChanged", nodeClass, call))
