"""A job as a host shows it: how far, what was written, what to tell the person.

Shared by Nuke, Houdini and Blender. Standard library only, Python 3.9 syntax.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kpcn_core.client import Client, Done, Event, Failed, Restarted
from kpcn_core.errors import Cancelled, KpcnError, NotCached
from kpcn_core.protocol import Denoise, Denoised, FrameFailed, FrameWritten, Log, Progress, Render

SHOWN = 5  # failed frames that a message names
LOUD = ("WARNING", "ERROR", "CRITICAL")  # of the log, what a person should see


@dataclass(frozen=True)
class Status:
    """What is new since the last look.

    Attributes:
        fraction: share of the job that is finished, 0 to 1.
        line: a few words for a progress bar.
        written: outputs that are there by now.
        notes: warnings, one a line.
        ended: nothing more will come.
        error: why it failed; `Cancelled` if a person said so.
    """

    fraction: float
    line: str
    written: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ended: bool = False
    error: Exception | None = None


def again(request: Denoise) -> Render:
    """The same request, from cached features only."""
    return Render(**vars(request))


class Run:
    """A request on its way. Poll `step` from a timer, or loop over `follow`.

    Args:
        client: where to send it.
        requests: the first is sent; each further one only if the one before needed features that
            the worker does not keep.

    Raises:
        WorkerFailed: see ``Client.start``.
    """

    def __init__(self, client: Client, *requests: Denoise) -> None:
        self._client = client
        self._waiting = list(requests)
        self._job = client.denoise(self._waiting.pop(0))
        self._cancelled = False
        self._fraction, self._line = 0.0, "Starting the worker"
        self._written = self._current = 0
        self._failed: list[str] = []

    @property
    def summary(self) -> str:
        """How many frames are done so far."""
        done = self._written - self._current
        unchanged = f", {self._current} unchanged" if self._current else ""
        return f"{done} {'frame' if done == 1 else 'frames'} denoised{unchanged}."

    def cancel(self) -> None:
        """Ask for the end; comes back at once."""
        self._cancelled = True
        self._job.cancel()

    def step(self, wait: float = 0.0) -> Status:
        """What is new; waits for something at most `wait` seconds."""
        written: list[str] = []
        notes: list[str] = []
        for event in self._job.poll(wait):
            if isinstance(event, Done):
                return self._status(written, notes, ended=True)
            if isinstance(event, Failed):
                return self._failure(event.error, written, notes)
            self._take(event, written, notes)
        return self._status(written, notes)

    def follow(self, wait: float = 0.1) -> Iterator[Status]:
        """Every status to the last; waits."""
        status = self.step(wait)
        while not status.ended:
            yield status
            status = self.step(wait)
        yield status

    def finish(self, show: Callable[[Status], None] = lambda status: None) -> None:
        """Wait for the end; raises what it failed with.

        Args:
            show: called with every status.
        """
        for status in self.follow():
            show(status)
            if status.error is not None:
                raise status.error

    def _take(self, event: Event[Denoised], written: list[str], notes: list[str]) -> None:
        if isinstance(event, Progress):
            self._fraction = event.fraction
            self._line = f"Frame {min(event.frame + 1, event.frames)} of {event.frames}"
        elif isinstance(event, FrameWritten):
            self._written += 1
            self._current += event.current
            written.append(event.output)
        elif isinstance(event, FrameFailed):
            self._failed.append(event.message)
            notes.append(event.message)
        elif isinstance(event, Restarted):
            notes.append(f"The worker broke off and was started again. {event.reason}")
        elif isinstance(event, Log) and event.level in LOUD:
            notes.append(event.message)

    def _failure(self, error: Exception, written: list[str], notes: list[str]) -> Status:
        if isinstance(error, NotCached) and self._waiting and not self._cancelled:
            self._job = self._client.denoise(self._waiting.pop(0))
            return self._status(written, notes)
        return self._status(written, notes, ended=True, error=self._told(error))

    def _told(self, error: Exception) -> Exception:
        """The error, with what went wrong with each frame, which a host has no log for."""
        if isinstance(error, Cancelled) or not self._failed:
            return error
        more = len(self._failed) - SHOWN
        lines = self._failed[:SHOWN] + ([f"… and {more} more."] if more > 0 else [])
        total = self._written + len(self._failed)
        head = f"{len(self._failed)} of {total} frames were not written:"
        return KpcnError("\n".join([head, *lines]))

    def _status(
        self,
        written: list[str],
        notes: list[str],
        ended: bool = False,
        error: Exception | None = None,
    ) -> Status:
        if ended:
            self._fraction = 1.0 if error is None else self._fraction
            self._line = self.summary if error is None else _first_line(error)
        return Status(
            self._fraction, self._line, tuple(written), tuple(notes), ended=ended, error=error
        )


def _first_line(error: Exception) -> str:
    return "Cancelled." if isinstance(error, Cancelled) else str(error).partition("\n")[0]
