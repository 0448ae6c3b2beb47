"""Windows that slide over a shot, and what is computed once for each of its frames (§3.3)."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from kpcn_core.errors import UnknownName

Kept = TypeVar("Kept")


def windows(shot: range, before: int, after: int) -> Iterator[tuple[range, int]]:
    """Every frame's window, shortened at the ends of the shot, with the centre's index in it.

    Args:
        shot: frame numbers between two cuts; a step other than 1 is kept.
        before: how many frames before the centre, at most.
        after: how many after it.
    """
    for index in range(len(shot)):
        first = max(index - before, 0)
        yield shot[first : index + after + 1], index - first


def window_reach(window: int) -> int:
    """Frames on each side of a window of so many frames.

    Raises:
        UnknownName: it is not odd and positive.
    """
    if window < 1 or window % 2 == 0:
        raise UnknownName(
            f"A window must be an odd number of frames, 1 to denoise each by itself; got {window}."
        )
    return window // 2


class FrameCache(Generic[Kept]):
    """Makes something once per frame, and keeps it while a window slides over the frame.

    Example:
        >>> encoded = FrameCache(lambda index: denoiser.encode(exr.read(paths[index])))
        >>> for window, centre in windows(range(len(paths)), 3, 3):
        ...     clean = denoiser.render(denoiser.window(encoded.of(window), centre))
    """

    def __init__(self, make: Callable[[int], Kept]) -> None:
        self._make = make
        self._kept: dict[int, Kept] = {}

    def of(self, window: range) -> list[Kept]:
        """What belongs to the frames of a window; of frames outside of it nothing is kept."""
        self._kept = {frame: kept for frame, kept in self._kept.items() if frame in window}
        for frame in window:
            if frame not in self._kept:
                self._kept[frame] = self._make(frame)
        return [self._kept[frame] for frame in window]
