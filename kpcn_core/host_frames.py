"""Frame numbers as a host has them, and ranges as the worker takes them. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable


def stretches(frames: Iterable[int]) -> list[tuple[int, int]]:
    """First and last of each run of frames without a gap, in order."""
    found: list[tuple[int, int]] = []
    for frame in sorted(set(frames)):
        if found and frame == found[-1][1] + 1:
            found[-1] = (found[-1][0], frame)
        else:
            found.append((frame, frame))
    return found


def as_range(frames: Iterable[int]) -> str:
    """Frames as the text of a range: 1-3,7."""
    return ",".join(
        str(first) if first == last else f"{first}-{last}" for first, last in stretches(frames)
    )


def around(frames: Iterable[int], window: int, first: int, last: int) -> list[int]:
    """The frames with all that their windows look at, within first to last."""
    reach = window // 2
    near = (range(max(first, frame - reach), min(last, frame + reach) + 1) for frame in frames)
    return sorted({number for numbers in near for number in numbers})
