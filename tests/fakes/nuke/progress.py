"""Nuke's progress window, the one thing that other threads may use, and how they reach the main."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.fakes.nuke.state import current


class ProgressTask:
    def __init__(self, title: str) -> None:
        self.title = title
        self.progress: list[int] = []
        self.text: list[str] = []
        self.pressed = False
        current.tasks.append(self)

    def setProgress(self, i: int) -> None:
        assert isinstance(i, int)
        assert 0 <= i <= 100
        self.progress.append(i)

    def setMessage(self, s: str) -> None:
        self.text.append(s)

    def isCancelled(self) -> bool:
        return self.pressed


def executeInMainThread(
    call: Callable[..., Any], args: Any = (), kwargs: Mapping[str, Any] | None = None
) -> None:
    """Have the main thread call something when it is idle; comes back at once."""
    arguments: Sequence[Any] = args if isinstance(args, tuple) else (args,)
    current.queued.put(lambda: call(*arguments, **(kwargs or {})))
