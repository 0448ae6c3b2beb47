"""A handwritten stand-in for Houdini's Python module, as far as the plugin uses it.

It has no name, method or parm that types-houdini or Houdini's own lists lack (see
``test_fake_hou.py``), and refuses all others; API calls from the wrong thread fail. ROPs run their
scripts and events, and husk, as a process of its own, its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.fakes.hou.errors import Error, NodeError, OperationFailed
from tests.fakes.hou.layers import (
    BoundingRect,
    ImageLayer,
    Vector2,
    imageLayerBorder,
    imageLayerStorageType,
    imageLayerTypeInfo,
)
from tests.fakes.hou.nodes import LopNode, Node, OpNode, RopNode, ropRenderEventType
from tests.fakes.hou.parms import (
    EnumValue,
    FloatParmTemplate,
    FolderParmTemplate,
    Parm,
    ParmTemplate,
    ParmTemplateGroup,
    StringParmTemplate,
    ToggleParmTemplate,
    expanded,
    fileType,
    stringParmType,
)
from tests.fakes.hou.state import current as _current
from tests.fakes.hou.state import main_thread as _main_thread

__all__ = [
    "BoundingRect",
    "EnumValue",
    "Error",
    "FloatParmTemplate",
    "FolderParmTemplate",
    "ImageLayer",
    "LopNode",
    "Node",
    "NodeError",
    "OpNode",
    "OperationFailed",
    "Parm",
    "ParmTemplate",
    "ParmTemplateGroup",
    "RopNode",
    "StringParmTemplate",
    "ToggleParmTemplate",
    "Vector2",
    "applicationVersionString",
    "fileType",
    "frame",
    "imageLayerBorder",
    "imageLayerStorageType",
    "imageLayerTypeInfo",
    "isUIAvailable",
    "node",
    "pwd",
    "ropRenderEventType",
    "selectedNodes",
    "severityType",
    "stringParmType",
    "text",
    "timeToFrame",
    "ui",
    "undos",
]


class severityType:
    Error = EnumValue("Error")
    Warning = EnumValue("Warning")


class ui:
    @staticmethod
    @_main_thread
    def displayMessage(
        text: str, severity: EnumValue = severityType.Error, title: str | None = None
    ) -> int:
        assert _current.graphical, "there are no windows in hython"
        _current.messages.append(text)
        return 0


class undos:
    @staticmethod
    @contextmanager
    def group(label: str) -> Iterator[None]:
        yield
        _current.undo.append(label)


class text:
    @staticmethod
    def expandString(str: str, expand_tilde: bool = True) -> str:
        return expanded(str, _current.frame)


@_main_thread
def pwd() -> Node:
    found = _current.this[-1]
    assert isinstance(found, Node)
    return found


@_main_thread
def node(path: str) -> Node | None:
    found = _current.nodes.get(path)
    assert found is None or isinstance(found, Node)
    return found


@_main_thread
def selectedNodes(include_hidden: bool = False) -> tuple[Node, ...]:
    return tuple(_current.selected)


@_main_thread
def frame(full_precision: bool = False) -> float:
    return _current.frame


def timeToFrame(time: float, full_precision: bool = False) -> float:
    return round(time * 24 + 1, 6)


def isUIAvailable() -> bool:
    return _current.graphical


def applicationVersionString() -> str:
    return "0.0 (a fake)"
