"""Frames read ahead: the file that comes next, while the last one is worked on."""

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import NamedTuple

from kpcn_core import fingerprint
from kpcn_core.background import started
from kpcn_core.errors import KpcnError, OutOfMemory
from kpcn_core.frame import Frame


class _Pending(NamedTuple):
    path: Path
    stamp: str
    frame: "Future[Frame]"


class ReadAhead:
    """Reads frames, and guesses which one will be asked for next; one is ahead at most.

    What is ahead counts only if its file has not changed since: so a frame is always as it is when
    it is asked for. Errors come when their frame is asked for, too.

    Args:
        read: reads a file.
        following: what will probably be asked for after a file, if anything.
        fits: whether there is room for another frame like this one.
    """

    def __init__(
        self,
        read: Callable[[Path], Frame],
        following: Callable[[Path], Path | None],
        fits: Callable[[Frame], bool],
    ) -> None:
        self._read, self._following, self._fits = read, following, fits
        self._pending: _Pending | None = None

    def __call__(self, path: Path) -> Frame:
        """The frame of a file."""
        frame = self._ahead(path) or self._read(path)
        if self._fits(frame):
            self._begin(self._following(path))
        return frame

    def _begin(self, path: Path | None) -> None:
        if path is not None:
            stamp = _stamp(path)
            reading = started(partial(self._read, path), f"read {path.name}", needed=False)
            self._pending = _Pending(path, stamp, reading)

    def _ahead(self, path: Path) -> Frame | None:
        """The frame, if it was read ahead and its file is the same still."""
        pending, self._pending = self._pending, None
        if pending is None:
            return None
        try:
            frame = pending.frame.result()  # also of another file: two are not read at once
        except OutOfMemory:
            return None  # without what was done meanwhile there may be enough
        except KpcnError:
            if pending.path == path and _stamp(path) == pending.stamp:
                raise
            return None
        return frame if pending.path == path and _stamp(path) == pending.stamp else None


def _stamp(path: Path) -> str:
    try:
        return fingerprint.made_of([path], {})
    except KpcnError:
        return ""
