"""What this session of the fake has open, and what the test wants of it."""

import functools
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from tests.fakes.nuke.knobs import Knob
    from tests.fakes.nuke.nodes import Group, Node
    from tests.fakes.nuke.progress import ProgressTask

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class State:
    """One session; `reset` starts another."""

    root: "Group | None" = None
    inside: "list[Group]" = field(default_factory=list)  # groups that were entered
    this: "list[tuple[Node, Knob | None]]" = field(default_factory=list)  # of running callbacks
    callbacks: list[tuple[str, str, Callable[..., Any]]] = field(default_factory=list)
    queued: "queue.SimpleQueue[Callable[[], Any]]" = field(default_factory=queue.SimpleQueue)
    tasks: "list[ProgressTask]" = field(default_factory=list)
    commands: dict[str, str] = field(default_factory=dict)  # of menus
    messages: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    frame: int = 1
    views: tuple[str, ...] = ("main",)
    executing: bool = False
    undo: int = 0  # how often it was disabled, less how often enabled
    cancels_renders: bool = False  # the artist presses Cancel in every render


current = State()


def reset() -> State:
    """Start another session, in the same object, which other modules hold."""
    current.__dict__.update(vars(State()))
    return current


def require_main_thread() -> None:
    """Nuke's API is for its main thread; elsewhere it may do anything, here it fails."""
    if threading.current_thread() is not threading.main_thread():
        raise AssertionError("Nuke's API was used outside of its main thread")


def main_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Mark a function that Nuke allows on its main thread only."""

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        require_main_thread()
        return function(*args, **kwargs)

    return checked


def main_thread_class(kind: type) -> None:
    """Mark all public methods of a class that way."""
    for name, value in list(vars(kind).items()):
        if callable(value) and (not name.startswith("_") or name in ("__getitem__", "__init__")):
            setattr(kind, name, main_thread(value))


def call(event: str, node: "Node", knob: "Knob | None" = None) -> None:
    """Run the callbacks of a node."""
    for kind, node_class, function in list(current.callbacks):
        if kind == event and node_class in ("*", node.Class()):
            current.this.append((node, knob))
            try:
                function()
            finally:
                current.this.pop()
