"""A session of the fake Nuke with the real plugin, and the real worker behind it."""

import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tests.fakes import nuke
from tests.fakes.nuke import picture, state
from tests.fakes.nuke.nodes import Node, Root

PLUGIN = Path(__file__).parent.parent / "plugins" / "nuke"
PATIENCE = 200.0  # seconds that a job may take on a busy machine


class Session:
    """Nuke as its artist sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.state = state.reset()
        self.state.root = Root()
        self.folder = folder
        monkeypatch.setitem(sys.modules, "nuke", nuke)
        monkeypatch.syspath_prepend(str(PLUGIN))
        monkeypatch.setenv("KPCN_PYTHON", sys.executable)
        monkeypatch.setenv("NUKE_TEMP_DIR", str(folder))
        monkeypatch.setattr(nuke, "GUI", True)
        self.plugin: Any = import_module("kpcn_nuke")

    @property
    def worker(self) -> int:
        """The process id of the worker."""
        (client,) = self.module("session")._clients.values()
        return int(client.worker.pid)

    def module(self, name: str) -> ModuleType:
        """A module of the plugin."""
        return import_module(f"kpcn_nuke.{name}")

    def start(self) -> None:
        """What Nuke does at start: init.py, and menu.py where there are windows."""
        for name in ("init.py", "menu.py") if nuke.GUI else ("init.py",):
            exec(compile((PLUGIN / name).read_text(), name, "exec"), {"__name__": name})

    def read(self, pattern: Path | str, first: int = 1, last: int = 1, **knobs: Any) -> Node:
        """A Read of a sequence."""
        return nuke.nodes.Read(file=str(pattern), first=first, last=last, **knobs)

    def node(self, render: Node | None, mask: Node | None = None, **knobs: Any) -> Node:
        """A KpcnDenoise, connected and set."""
        node: Node = self.plugin.create()
        node.setInput(0, render)
        node.setInput(1, mask)
        for name, value in knobs.items():
            node[name].setValue(value)
        return node

    def press(self, node: Node, button: str) -> None:
        """Click a button, and let Nuke go on until the node is idle."""
        self.click(node, button)
        self.finish(node)

    def click(self, node: Node, button: str) -> None:
        """Click a button; comes back while the job runs."""
        knob = node[button]
        assert isinstance(knob, nuke.PyScript_Knob)
        knob.execute()

    def finish(self, node: Node) -> None:
        """Let Nuke go on until the node is idle."""
        running = self.module("session").running
        self.until(lambda: running(node) is None)

    def until(self, happened: Callable[[], bool]) -> None:
        """Let Nuke's main thread be idle, and do what other threads ask of it, until then."""
        end = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < end, f"still waiting; told so far: {self.state.messages}"
            while not self.state.queued.empty():
                self.state.queued.get()()
            time.sleep(0.01)

    def close(self) -> None:
        """Forget what the session had open; the worker stays for the next test."""
        session = self.module("session")
        for job in list(session._jobs):
            job.run.cancel()
        session._jobs.clear()
        self.module("actions")._last.clear()
        self.module("render")._session_folder.cache_clear()


def status(node: Node) -> str:
    return str(node["status"].value())


def shown(node: Node, frame: int, view: str = "main") -> picture.Picture:
    """What comes out of a node."""
    return picture.picture(node, frame, view)


def same(first: picture.Picture, second: picture.Picture) -> bool:
    """Whether two pictures are equal, bit by bit."""
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name], equal_nan=True) for name in first
    )


def end_worker() -> None:
    """End the worker that tests share."""
    if "kpcn_nuke.session" in sys.modules:
        sys.modules["kpcn_nuke.session"].end()
