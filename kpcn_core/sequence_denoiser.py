"""Denoise the frames of a shot with the frames around each (paper §3.3)."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from kpcn_core.denoiser import Denoiser
from kpcn_core.encoded import Encoded, EncodedFrame
from kpcn_core.errors import KpcnError
from kpcn_core.frame import Frame
from kpcn_core.sequence_window import FrameCache
from kpcn_core.settings import DEFAULTS, Asymmetry, Progress, Settings

log = logging.getLogger(__name__)

Read = Callable[[Path], Frame]


class SequenceDenoiser:
    """One shot: frames that follow each other without a cut.

    Each frame is read and encoded once while the window slides over it. At the ends of the shot
    the window is shorter; likewise at a neighbour that cannot be used, with a warning.

    Args:
        denoiser: does the work.
        shot: all frames that windows may look at, in order.
        read: reads one of them.
        before: how many frames to look at before each, at most.
        after: how many after it.
        settings: how.

    Example:
        >>> sequence = SequenceDenoiser(Denoiser.load(), paths, exr.read, before=3, after=3)
        >>> clean = sequence.denoise(12)
        >>> safer = sequence.denoise(12, asymmetry=4.0)  # far faster: nothing is encoded again
    """

    def __init__(
        self,
        denoiser: Denoiser,
        shot: Sequence[Path],
        read: Read,
        before: int = 3,
        after: int = 3,
        settings: Settings = DEFAULTS,
    ) -> None:
        self.denoiser = denoiser
        self.shot = shot
        self.before, self.after = before, after
        self.settings = settings
        self._read = read
        self._frames: FrameCache[EncodedFrame | KpcnError] = FrameCache(self._encode)
        self._last: tuple[int, Encoded] | None = None
        self._stamps: list[tuple[int, int]] = []

    def denoise(
        self, index: int, asymmetry: Asymmetry = 1.0, progress: Progress | None = None
    ) -> Frame:
        """The denoised frame at an index of the shot.

        Args:
            index: which; fastest in order, because of what is kept.
            asymmetry: lambda, 1 to 10 (paper §4).
            progress: called after each tile with (done, total).

        Raises:
            KpcnError: the frame cannot be read or denoised.
        """
        return self.denoiser.render(self.encoded(index), self.settings, asymmetry, progress)

    def encoded(self, index: int) -> Encoded:
        """The window around a frame; kept, so that asking for the same again costs nothing."""
        if self._last is None or self._last[0] != index:
            self._last = None  # two windows need not fit into memory together
            found = self._window(index)
            paths = [one.prepared.frame.path for one in found.frames]
            self._stamps = [_stamp(path) for path in paths if path is not None]
            self._last = index, found
        return self._last[1]

    def keeps(self, index: int) -> bool:
        """Whether a frame's window is kept, and none of its files has changed since."""
        if self._last is None or self._last[0] != index:
            return False
        frames = (one.prepared.frame for one in self._last[1].frames)
        paths = [frame.path for frame in frames if frame.path is not None]
        return [_stamp(path) for path in paths] == self._stamps

    def _window(self, index: int) -> Encoded:
        first = max(index - self.before, 0)
        numbers = range(first, min(index + self.after + 1, len(self.shot)))
        frames, centre = _usable(self._frames.of(numbers), index - first)
        return self.denoiser.window(frames, centre)

    def _encode(self, index: int) -> EncodedFrame | KpcnError:
        try:
            return self.denoiser.encode(self._read(self.shot[index]), self.settings)
        except KpcnError as error:
            return error


def _stamp(path: Path) -> tuple[int, int]:
    """Changes when the file does."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _usable(
    found: Sequence[EncodedFrame | KpcnError], centre: int
) -> tuple[list[EncodedFrame], int]:
    """The frames around the centre up to the first that failed on each side."""
    here = found[centre]
    if isinstance(here, KpcnError):
        raise here
    before: list[EncodedFrame] = []
    for one in reversed(found[:centre]):
        if not _fits(one, here):
            break
        before.append(one)  # type: ignore[arg-type]
    after: list[EncodedFrame] = []
    for one in found[centre + 1 :]:
        if not _fits(one, here):
            break
        after.append(one)  # type: ignore[arg-type]
    return [*before[::-1], here, *after], len(before)


def _fits(one: EncodedFrame | KpcnError, centre: EncodedFrame) -> bool:
    """Whether a neighbour can be used; warns if not."""
    label = centre.prepared.frame.label
    if isinstance(one, KpcnError):
        log.warning("%s: its window ends at a frame that cannot be used: %s", label, one)
        return False
    if one.prepared.images.keys() != centre.prepared.images.keys():
        log.warning("%s: its window ends at a frame with other layers", label)
        return False
    return True
