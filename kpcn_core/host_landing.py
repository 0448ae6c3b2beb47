"""Which frames of a render can be denoised, as they land on disk: the logic behind render hooks.

    landing = Landing("/shots/noisy.####.exr", "/shots/clean.####.exr", window=7,
                      frames=range(1001, 1101))
    landing.ready(1007)     # after the host wrote frame 1007: [1004], as a rule
    landing.rest()          # after the render: what is left, with shorter windows at holes
    landing.failed([1004])  # after they were denoised: those that were not, for no passing reason
    landing.waits_for()     # what is on disk and not ready: {1005: [1008], …}

Give the frames to the worker (``host_settings.Settings.request``, which asks with `resume`), or let
``host_hook.Hook`` do all of it. What a frame waits for, in words:

- Frame i of a window of 2M+1 is ready when all of i-M … i+M that the render will have are on disk,
  so in order it is given out with frame i+M, and the last M ones with the last frame. The order in
  which they land does not matter. Frames beyond the render's are looked at if they are on disk, but
  not waited for. If nobody says which frames the render will have (`frames` None), every number is
  waited for, and both ends of the render are left to `rest`.
- All knowledge is in the files: a frame is to be done if its output is missing, or older than a
  file in its window, as `make` sees it. So any number of processes on any machines can share a
  render: each asks after each frame that it wrote, and whoever writes the last file of a window
  finds it ready. When two do so at the same moment, both ask the worker, and the workers' claims
  see to it that one does it. Only times of files are compared, so that clocks need not agree.
- A frame is given out once for each state of its files, so that one which fails is not tried for
  ever, but again when a file of its window is written anew.

Standard library only, Python 3.9 syntax. Nothing waits.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from kpcn_core.errors import Refused, UnwritableFile
from kpcn_core.sequence_pattern import Pattern


class Stamp(NamedTuple):
    """The state of a file: when it was changed, in ns, and its bytes."""

    changed: int
    size: int


class Landing:
    """The frames of one render, seen from one process.

    Args:
        source: the rendered files, with a placeholder for the frame; without one it is a still,
            whose number is that in its name.
        output: the denoised files, likewise.
        window: how many frames are looked at for each, odd.
        frames: all that the render will have, on all machines; None if nobody knows. On twos, as
            in 1, 3, 5, the window is made of every second frame.
        since: files of `frames` that are older are of an earlier render, and have not landed yet;
            as `server_time` gives it. 0: whatever is on disk has landed.

    Raises:
        Refused: the window is even, or the output lacks a placeholder that the source has.
        UnknownName: a pattern cannot be understood.
    """

    def __init__(
        self,
        source: str,
        output: str,
        window: int = 1,
        frames: Iterable[int] | None = None,
        since: float = 0.0,
    ) -> None:
        if window < 1 or window % 2 == 0:
            raise Refused(f"Window {window}: must be an odd number of frames.")
        self.source, self.output = Pattern.parse(source), Pattern.parse(output)
        if self.source.width and not self.output.width:
            raise Refused(f"{output}: needs a placeholder for the frame, as clean.####.exr.")
        self.window = window
        self.frames = None if frames is None else frozenset(frames)
        self._since = since
        self._landed: set[int] = set()
        self._late: set[int] = set()
        ascending = sorted(self.frames or ())
        # As the worker sees it, see ``sequence``: the smallest distance of two frames.
        self._step = min((b - a for a, b in zip(ascending, ascending[1:])), default=1)
        self._given: dict[int, tuple[Stamp, ...]] = {}

    def ready(self, *landed: int) -> list[int]:
        """The frames that can be denoised now, in order, and that need it.

        Args:
            landed: the frames that were written since, or may have been; only frames that look at
                them come into question. One that is not on disk yet, as some hosts speak too early,
                is remembered. None if the host does not say: all frames come into question, which
                costs a look at every file.
        """
        self._landed.update(landed)
        there = self._on_disk()
        ready = [
            number
            for number in self._asked(there, {*landed, *self._late} if landed else ())
            if not self._missing(number, there) and self._takes(number, there)
        ]
        late = {*landed, *self._late}
        self._late = {number for number in late if not self._has_landed(number, there)}
        return ready

    @property
    def is_whole(self) -> bool:
        """Whether all frames of the render were said to land in this process."""
        return self.frames is None or self.frames <= self._landed

    def rest(self) -> list[int]:
        """At the end of the render: all that need it and whose own file is there.

        If nobody said which frames the render has, those that look at what landed here.
        """
        there = self._on_disk()
        landed = self._landed if self.frames is None else ()
        return [
            number
            for number in self._asked(there, landed)
            if self._has_landed(number, there) and self._takes(number, there)
        ]

    def failed(self, tried: Iterable[int]) -> list[int]:
        """Of frames that were given out, those without a current output.

        But for frames whose files were written meanwhile, as by another machine that had only begun
        to: whoever wrote them asks for these frames again.
        """
        there = self._on_disk()
        stamps = {number: self._stamps(number, there) for number in tried}
        return [
            number
            for number, found in stamps.items()
            if self._given.get(number) == found and not self._is_current(number, found)
        ]

    def waits_for(self) -> dict[int, list[int]]:
        """Frames that are on disk and not ready, with what each waits for."""
        there = self._on_disk()
        waiting = {
            number: self._missing(number, there)
            for number in self._asked(there)
            if self._has_landed(number, there)
        }
        return {number: missing for number, missing in waiting.items() if missing}

    @property
    def _is_still(self) -> bool:
        return not self.source.width

    def _on_disk(self) -> dict[int, Path]:
        if self._is_still:
            path = Path(self.source.text)
            return {self.source.number: path} if path.exists() else {}
        return self.source.on_disk()

    def _asked(self, there: Mapping[int, Path], landed: Collection[int] = ()) -> list[int]:
        """The frames on disk that come into question, in order."""
        if not landed or self._is_still:
            return sorted(number for number in there if self._is_ours(number))
        near = {number for one in landed for number in self._around(one)}
        return sorted(number for number in near if number in there and self._is_ours(number))

    def _is_ours(self, number: int) -> bool:
        if self.frames is None or self._is_still:
            return True
        return number in self.frames or number in self._landed

    def _around(self, number: int) -> list[int]:
        """The frames of a window; likewise all whose windows have the frame."""
        step, reach = self._step, self.window // 2
        return list(range(number - reach * step, number + reach * step + 1, step))

    def _missing(self, number: int, there: Mapping[int, Path]) -> list[int]:
        """What a frame waits for: those of its window that the render will have."""
        if self._is_still:
            return [] if self._has_landed(number, there) else [number]
        needed = (one for one in self._around(number) if self._is_ours(one))
        return [one for one in needed if not self._has_landed(one, there)]

    def _has_landed(self, number: int, there: Mapping[int, Path]) -> bool:
        found = _stamp(there[number]) if number in there else None
        # Nothing in it yet: opened by a renderer, or put there to keep other machines away.
        return found is not None and found.size > 0 and found.changed >= self._since * 1e9

    def _stamps(self, number: int, there: Mapping[int, Path]) -> tuple[Stamp, ...]:
        around = [number] if self._is_still else self._around(number)
        found = (_stamp(there[one]) for one in around if one in there)
        return tuple(stamp for stamp in found if stamp is not None)

    def _takes(self, number: int, there: Mapping[int, Path]) -> bool:
        """Whether a frame is to be given out; notes that it was."""
        stamps = self._stamps(number, there)
        given = self._given.get(number) == stamps
        if given or self._is_current(number, stamps):
            return False
        self._given[number] = stamps
        return True

    def _is_current(self, number: int, stamps: tuple[Stamp, ...]) -> bool:
        path = self.output.path(number) if self.output.width else Path(self.output.text)
        output = _stamp(path)
        return output is not None and all(output.changed >= stamp.changed for stamp in stamps)


def server_time(folder: Path) -> float:
    """Now, by the clock of the machine that keeps a folder; in seconds, as times of files are.

    Raises:
        UnwritableFile: nothing can be written there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=str(folder), prefix=".kpcn") as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError as error:
        raise UnwritableFile(
            f"{folder}: cannot be written to: {error.strerror or error}. "
            f"Check the folder's permissions and free space."
        ) from error


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return Stamp(found.st_mtime_ns, found.st_size)
