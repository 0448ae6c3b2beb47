"""A session of the fake Houdini with the real plugin."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.fakes import hou
from tests.fakes.hou import nodes, state

PLUGIN = Path(__file__).parent.parent / "plugins" / "houdini"


class Session:
    """Houdini as its artist sees it; hython unless `graphical`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.state = state.reset()
        self.state.variables = {"HIP": str(folder), "HIPNAME": "shot", "OS": "rop"}
        self.folder = folder
        monkeypatch.setitem(sys.modules, "hou", hou)
        monkeypatch.syspath_prepend(str(PLUGIN / "scripts" / "python"))
        monkeypatch.setenv("KPCN_PYTHON", sys.executable)
        monkeypatch.setenv("KPCN_HOUDINI", str(PLUGIN))
        self._variables = set(os.environ)
        self.plugin: Any = import_module("kpcn_houdini")

    def module(self, name: str) -> ModuleType:
        """A module of the plugin."""
        return import_module(f"kpcn_houdini.{name}")

    def rop(self, kind: str, **parms: Any) -> Any:
        """A ROP that is set."""
        node = nodes.make(f"/out/{kind}1", kind)
        self.set(node, **parms)
        return node

    def set(self, node: Any, **parms: Any) -> None:
        """Type values into parms."""
        for name, value in parms.items():
            parm = node.parm(name)
            assert parm is not None, name
            parm.set(value)

    def render(
        self, node: Any, frames: Sequence[int], write: Callable[[int], None] | None = None
    ) -> None:
        """Press Render."""
        node._render(list(frames), write)

    def close(self) -> None:
        """Forget what the session had open, and the variables that it left."""
        events = self.module("events")
        events._hooks.clear()
        events._since.clear()
        for name in set(os.environ) - self._variables:
            del os.environ[name]


def values(node: Any) -> dict[str, object]:
    """All parms, as they were typed."""
    return {name: parm._raw for name, parm in node._parms.items()}
