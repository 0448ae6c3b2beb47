"""Frame numbers as a host has them, and ranges as the worker takes them. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from kpcn_core.errors import Refused
from kpcn_core.sequence_pattern import Pattern


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


def numbers(text: str) -> list[int]:
    """The frames of a range, as 1001-1100, 1-9x2, 1-9:2, -5-5 or 1,3,7-9.

    Raises:
        Refused: it is none.
    """
    found: list[int] = []
    for part in text.replace(" ", "").split(","):
        match = re.fullmatch(r"(-?\d+)(?:-(-?\d+)(?:[x:]([1-9]\d*))?)?", part)
        if not match:
            raise Refused(
                f"'{text}' is no range of frames. Write for example 1001-1100 or 1,3,7-9."
            )
        first, last = int(match[1]), int(match[2] or match[1])
        found += range(first, last + 1, int(match[3] or 1))
    return found


def around(frames: Iterable[int], window: int, first: int, last: int) -> list[int]:
    """The frames with all that their windows look at, within first to last."""
    reach = window // 2
    near = (range(max(first, frame - reach), min(last, frame + reach) + 1) for frame in frames)
    return sorted({number for numbers in near for number in numbers})


def pattern_of(names: Mapping[int, str]) -> str | None:
    """The pattern behind the file names of some frames, as a host's expression gives them.

    Args:
        names: the path for one frame or more; two tell more than one.

    Returns:
        A path with %04d or alike; the path itself if it is the same for several frames; None if
        the frame's number is not in the file's name, or elsewhere too.
    """
    name, *others = names.values()
    if others and all(other == name for other in others):
        return name
    folder, file = Path(name).parent, Path(name).name
    for match in reversed(list(re.finditer(r"\d+", file))):
        before, width, after = file[: match.start()], len(match[0]), file[match.end() :]
        found = Pattern(name, folder, before, width, after)
        if all(found.path(one) == Path(path) for one, path in names.items()):
            return (folder / f"{before}%0{width}d{after}").as_posix()
    return None
