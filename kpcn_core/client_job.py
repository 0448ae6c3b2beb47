"""A job as a host sees it: events to poll or to wait for. Standard library only."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar, Union

from kpcn_core.protocol import FrameFailed, FrameWritten, Log, Progress
from kpcn_core.protocol_fields import Message

R = TypeVar("R", bound=Message)


@dataclass(frozen=True)
class Restarted:
    """The worker crashed; the job goes on in a new one. `reason` has its last lines on stderr."""

    reason: str


@dataclass(frozen=True)
class Done(Generic[R]):
    """The last event of a job that succeeded."""

    result: R


@dataclass(frozen=True)
class Failed:
    """The last event of a job that did not: a `KpcnError` for the person, or `Cancelled`."""

    error: Exception


Event = Union[Progress, Log, FrameWritten, FrameFailed, Restarted, Done[R], Failed]


class Job(Generic[R]):
    """Made by `Client.denoise` and `Client.inspect`. Events come one by one, the last is an end.

    Take them either by `poll` from a timer of the host, or by iterating, from a thread of yours or
    where there is nobody to wait.
    """

    def __init__(self, message: Message, kind: type[R], cancel: Callable[[], None]) -> None:
        self.message = message
        self.kind = kind
        self.cancelling = False
        self.crashed = False
        self._cancel = cancel
        self._events: queue.SimpleQueue[Event[R]] = queue.SimpleQueue()
        self._end: Done[R] | Failed | None = None

    @property
    def finished(self) -> bool:
        """Whether the worker is through with it; there may be events to take yet."""
        return self._end is not None

    def poll(self, wait: float = 0.0) -> list[Event[R]]:
        """The events since the last call; waits for the first at most `wait` seconds."""
        found: list[Event[R]] = []
        while True:
            try:
                found.append(self._events.get(timeout=0 if found else wait))
            except queue.Empty:
                return found

    def __iter__(self) -> Iterator[Event[R]]:
        """Events as they come, to the last; waits for them."""
        event: Event[R] | None = None
        while not isinstance(event, (Done, Failed)):
            event = self._events.get()
            yield event

    def result(self) -> R:
        """Wait for the end, dropping events; raises what the job ended with, if it failed."""
        if self._end is None:
            for _ in self:
                pass
        assert self._end is not None
        if isinstance(self._end, Failed):
            raise self._end.error
        return self._end.result

    def cancel(self) -> None:
        """Ask for the end; comes back at once. The job ends as `Failed` with `Cancelled`.

        A worker that does not obey within the client's grace time is killed.
        """
        self._cancel()

    def put(self, event: Event[R]) -> None:
        """For the client: add an event; after the last nothing more is added."""
        if self._end is None:
            if isinstance(event, (Done, Failed)):
                self._end = event
            self._events.put(event)
