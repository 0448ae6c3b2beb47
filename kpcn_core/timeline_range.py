"""Which frames of its media a clip shows."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import opentimelineio as otio
from fileseq import FrameSet
from opentimelineio.opentime import RationalTime, TimeRange

from kpcn_core.errors import MissingFrames
from kpcn_core.timeline_media import Media


def shown(
    clip: otio.schema.Clip, source: Media, there: Mapping[int, Path], handles: int
) -> list[int]:
    """The numbers of all frames that a clip may show, in order, and handles.

    Where programs differ in what a retime shows, it is all that any of them does.

    Args:
        clip: its trimmed range, retimes, and the transitions beside it count.
        source: its media.
        there: what is on disk.
        handles: frames on both sides, as far as there are any.

    Raises:
        MissingFrames: not all frames that it shows for certain are on disk.
    """
    span = visible(clip)
    if span is None or _is_warped(clip):
        numbers = _available(source, there)
    elif _speed(clip) < 0:
        numbers = [number for number in source.frames(_reversed(clip, span)) if number in there]
    else:
        length = RationalTime(span.duration.value * _speed(clip), span.duration.rate)
        numbers = list(source.frames(TimeRange(span.start_time, length)))
    missing = [number for number in numbers if number not in there]
    if missing or not numbers:
        which = f"{len(missing)} of {len(numbers)} frames are missing: {FrameSet(missing)}"
        raise MissingFrames(
            f"{source.pattern.text}: {which if missing else 'no such files'}. Render them, or keep "
            f"such clips as they are with --skip-missing."
        )
    head, tail = _nested_handles(clip)
    before = _reach(there, numbers[0], -source.step, handles + head)
    after = _reach(there, numbers[-1], source.step, handles + tail)
    return [*reversed(before), *numbers, *after]


def visible(clip: otio.schema.Clip) -> TimeRange | None:
    """The trimmed range and what transitions add to it; None if nothing says."""
    try:
        span = clip.visible_range()
    except otio.exceptions.OTIOError:
        return None
    return span if span.duration.value > 0 else None


def track_of(clip: otio.schema.Clip) -> otio.schema.Track | None:
    """The track that a clip lies on, however deep in nested stacks."""
    parents = _parents(clip)
    return next((item for item in parents if isinstance(item, otio.schema.Track)), None)


def _speed(clip: otio.schema.Clip) -> float:
    """How fast the media is played: a clip of d frames shows d * speed of its media."""
    linear = [effect for effect in clip.effects if isinstance(effect, otio.schema.LinearTimeWarp)]
    return math.prod((float(effect.time_scalar) for effect in linear), start=1.0)


def _reversed(clip: otio.schema.Clip, span: TimeRange) -> TimeRange:
    """What is played backwards: from the first frame, or from the last, programs differ."""
    length = RationalTime(span.duration.value * -_speed(clip), span.duration.rate)
    return TimeRange(span.start_time - length, length + max(length, span.duration))


def _is_warped(clip: otio.schema.Clip) -> bool:
    """Whether some retime does not say which frames are seen, so that all may be."""
    linear = otio.schema.LinearTimeWarp
    retimes = [effect for effect in clip.effects if isinstance(effect, otio.schema.TimeEffect)]
    if not all(isinstance(effect, linear) for effect in retimes):
        return True
    above = (effect for parent in _parents(clip) for effect in parent.effects)
    return any(isinstance(effect, otio.schema.TimeEffect) for effect in above)


def _nested_handles(clip: otio.schema.Clip) -> tuple[int, int]:
    """Frames that transitions beside the stacks around a clip may add to it."""
    head = tail = 0
    item = clip.parent()
    while item is not None and item.parent() is not None:
        before, after = item.parent().handles_of_child(item)
        head += math.ceil(before.value) if before else 0
        tail += math.ceil(after.value) if after else 0
        item = item.parent()
    return head, tail


def _available(source: Media, there: Mapping[int, Path]) -> list[int]:
    if source.available is None:
        return list(there)
    return [number for number in source.frames(source.available) if number in there]


def _reach(there: Mapping[int, Path], start: int, step: int, count: int) -> list[int]:
    """The frames that follow each other from `start`, without it."""
    found: list[int] = []
    while len(found) < count and start + step in there:
        start += step
        found.append(start)
    return found


def _parents(item: otio.core.Item) -> Iterator[otio.core.Item]:
    parent = item.parent()
    while parent is not None:
        yield parent
        parent = parent.parent()
