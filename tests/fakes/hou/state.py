"""What a session of the fake Houdini remembers."""

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@dataclass
class State:
    thread: int = field(default_factory=threading.get_ident)
    graphical: bool = False
    frame: float = 1.0
    variables: dict[str, str] = field(default_factory=dict)
    nodes: dict[str, Any] = field(default_factory=dict)
    selected: list[Any] = field(default_factory=list)
    this: list[Any] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    undo: list[str] = field(default_factory=list)


current = State()


def reset() -> State:
    """A new session."""
    current.__dict__.update(State().__dict__)
    return current


def main_thread(function: Callable[P, R]) -> Callable[P, R]:
    """Refuse calls from other threads, of which Houdini says that they are unsafe."""

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        assert threading.get_ident() == current.thread, f"{function.__name__}: wrong thread"
        return function(*args, **kwargs)

    return checked
