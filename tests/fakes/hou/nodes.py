"""Nodes, and ROPs that really render: what a test says writes the files."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

from tests.fakes import husk
from tests.fakes.hou.errors import OperationFailed
from tests.fakes.hou.parms import (
    EnumValue,
    FolderParmTemplate,
    Parm,
    ParmTemplate,
    ParmTemplateGroup,
)
from tests.fakes.hou.state import current, main_thread
from tests.fakes.hou.tables import CATEGORIES, LOPS, TABLES


class ropRenderEventType:
    PreRender = EnumValue("PreRender")
    PreFrame = EnumValue("PreFrame")
    PostFrame = EnumValue("PostFrame")
    PostWrite = EnumValue("PostWrite")
    PostRender = EnumValue("PostRender")


Callback = Callable[["RopNode", EnumValue, float], None]


class Node:
    def __init__(self, path: str) -> None:
        self._path = path
        self._user_data: dict[str, str] = {}
        self._inputs: tuple[Node | None, ...] = ()
        current.nodes[path] = self

    def path(self) -> str:
        return self._path

    def parent(self) -> "Node | None":
        return current.nodes.get(self._path.rpartition("/")[0])

    @main_thread
    def createNode(self, node_type_name: str) -> "Node":
        if node_type_name not in TABLES or category(self._path) not in CATEGORIES[node_type_name]:
            raise OperationFailed("Invalid node type name")
        return make(f"{self._path}/{node_type_name}1", node_type_name)

    @main_thread
    def destroy(self) -> None:
        del current.nodes[self._path]

    def inputs(self) -> "tuple[Node | None, ...]":
        return self._inputs

    def userData(self, name: str) -> str | None:
        return self._user_data.get(name)

    @main_thread
    def setUserData(self, name: str, value: str) -> None:
        self._user_data[name] = value

    @main_thread
    def destroyUserData(self, name: str, must_exist: bool = True) -> None:
        del self._user_data[name]


class OpNode(Node):
    def __init__(self, path: str, kind: str) -> None:
        super().__init__(path)
        self._kind, self._locked = kind, False
        self._group: list[ParmTemplate] = []
        self._parms: dict[str, Parm] = {}
        self._take(TABLES[kind]())

    @main_thread
    def parm(self, parm_path: str) -> Parm | None:
        return self._parms.get(parm_path)

    def parms(self) -> tuple[Parm, ...]:
        return tuple(self._parms.values())

    def isInsideLockedHDA(self) -> bool:
        return self._locked

    def parmTemplateGroup(self) -> ParmTemplateGroup:
        return ParmTemplateGroup(self._group)

    @main_thread
    def setParmTemplateGroup(self, parm_template_group: ParmTemplateGroup) -> None:
        self._take(list(parm_template_group.entries()))

    def _take(self, templates: list[ParmTemplate]) -> None:
        self._group = templates
        flat = [
            one
            for template in templates
            for one in (
                template.parmTemplates() if isinstance(template, FolderParmTemplate) else [template]
            )
        ]
        self._parms = {one.name(): self._parms.get(one.name()) or Parm(self, one) for one in flat}

    def _render(self, frames: list[int], write: Callable[[int], None] | None = None) -> None:
        """For tests: what happens when someone presses Render. `write` writes a frame's file."""
        self._happens("PreRender")
        for number in frames:
            current.frame = float(number)
            if write:
                write(number)
            self._happens("PostFrame")
            self._happens("PostWrite")
        if self._parms.get("husk_postframe"):
            self._husk(frames)
        self._happens("PostRender")

    def _happens(self, event: str) -> None:
        name = event.lower()
        parm, language, on = (self._parms.get(f"{prefix}{name}") for prefix in ("", "l", "t"))
        if parm and parm.eval() and on and on.eval():
            assert language is not None
            assert language.eval() == "python", "hscript does not understand it"
            current.this.append(self)
            try:
                exec(str(parm.eval()), {})
            finally:
                current.this.pop()
        for callback in getattr(self, "_callbacks", []):
            callback(self, getattr(ropRenderEventType, event), (current.frame - 1) / 24)

    def _husk(self, frames: list[int]) -> None:
        """husk renders all frames in one process, which has Houdini's environment."""
        words = ["--frame-list", " ".join(map(str, frames)), "-o", current.variables["PICTURE"]]
        for event in ("postframe", "postrender"):
            script, on = self._parms[f"husk_{event}"].eval(), self._parms[f"husk_t{event}"].eval()
            if script and on:
                words += [f"--{event}-script", str(script)]
        command = [sys.executable, "-I", "-S", husk.__file__, current.variables["RENDERED"]]
        run = subprocess.run(
            [*command, *words], env=dict(os.environ), capture_output=True, text=True, check=False
        )
        current.messages.append(run.stdout + run.stderr)
        if run.returncode:
            raise OperationFailed("Error: husk ended with an error")


class RopNode(OpNode):
    def __init__(self, path: str, kind: str) -> None:
        super().__init__(path, kind)
        self._callbacks: list[Callback] = []

    @main_thread
    def render(self, frame_range: Sequence[float] | None = None) -> None:
        first, last = map(int, frame_range or (current.frame, current.frame))
        try:
            self._render(list(range(first, last + 1)))
        except Exception as error:
            raise OperationFailed(str(error)) from error

    @main_thread
    def addRenderEventCallback(self, callback: Callback, run_before_script: bool = False) -> None:
        if callback not in self._callbacks:
            self._callbacks.append(callback)

    @main_thread
    def removeRenderEventCallback(self, callback: Callback) -> None:
        if callback not in self._callbacks:
            raise OperationFailed("the callback was not added")
        self._callbacks.remove(callback)


class LopNode(OpNode):
    def __init__(self, path: str, kind: str, stage: Any = None) -> None:
        super().__init__(path, kind)
        self._stage = stage

    def stage(self) -> Any:
        return self._stage


def category(path: str) -> str:
    """Of the nodes in a network."""
    return {"/out": "Driver", "/stage": "Lop", "/img": "Cop"}.get(path, "")


def networks() -> None:
    """The networks of a new scene."""
    for path in ("/out", "/stage", "/img"):
        Node(path)


def make(path: str, kind: str) -> OpNode:
    """A new node of a type, for tests."""
    return LopNode(path, kind) if kind in LOPS else RopNode(path, kind)
