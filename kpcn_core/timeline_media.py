"""What a clip of a timeline refers to: which file is seen at which time."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import opentimelineio as otio
from opentimelineio.opentime import RationalTime, TimeRange

from kpcn_core.errors import UnknownName, Unsupported
from kpcn_core.sequence_pattern import Pattern

SUFFIXES = (".exr", ".sxr", ".mxr")
# In a URL, %04d is a placeholder and no character that was encoded.
PRINTF = re.compile(r"%(?:0(\d))?d")
# shot.[1001-1100].exr, as some programs name a sequence.
BRACKETS = re.compile(r"\[(-?\d+)-(-?\d+)\]")
SIGNS = "#@%$<>{}[]"  # of placeholders, which stay as they are
NUMBERED = re.compile(r"(?<=[._])\d+$")
EXAMPLE = "Refer to it as an image sequence, or as shot.####.exr"

ON_DISK = (otio.schema.ImageSequenceReference, otio.schema.ExternalReference)


@dataclass(frozen=True)
class Media:
    """The files of a media reference on the clip's clock.

    Attributes:
        pattern: names of the files; a still has no placeholder.
        start: the time of the first frame.
        first: the number of that frame.
        step: from one frame number to the next.
        rate: times of a second that `step` 1 takes.
        available: what the reference says there is; None if it does not say.
    """

    pattern: Pattern
    start: RationalTime
    first: int
    step: int
    rate: float
    available: TimeRange | None

    def frames(self, span: TimeRange) -> range:
        """The numbers of the frames that are seen in a span of time."""
        if not self.pattern.width:
            return range(self.first, self.first + 1)
        start = math.floor(self._steps(span.start_time))
        end = max(math.ceil(self._steps(span.end_time_exclusive())), start + 1)
        return range(self.first + self.step * start, self.first + self.step * end, self.step)

    def time(self, number: int) -> RationalTime:
        """When a frame is seen first."""
        start = self.start.rescaled_to(self.rate).value
        # Or else 33793 times of 29.97 a second become a little more, and begin after themselves.
        return RationalTime(round(start, 6) + number - self.first, self.rate)

    def files(self) -> dict[int, Path]:
        """What is on disk, by frame number."""
        if self.pattern.width:
            return self.pattern.on_disk()
        path = Path(self.pattern.text)
        return {self.first: path} if path.exists() else {}

    def _steps(self, time: RationalTime) -> float:
        passed = (time - self.start).rescaled_to(self.rate).value
        # 25 frames of 24 a second must not become 25.0000001 frames.
        return round(float(passed) / self.step, 6)


def is_exr(reference: object) -> bool:
    """Whether a media reference is to EXR files."""
    if isinstance(reference, otio.schema.ImageSequenceReference):
        return str(reference.name_suffix).lower().endswith(SUFFIXES)
    url = getattr(reference, "target_url", "") or ""
    return isinstance(reference, ON_DISK) and str(url).lower().endswith(SUFFIXES)


def media(reference: otio.core.MediaReference, folder: Path, span: TimeRange | None) -> Media:
    """Find the files that a reference is to.

    Args:
        reference: see `is_exr`.
        folder: where relative paths start.
        span: what the clip uses, for references that do not say what there is.

    Raises:
        Unsupported: the media is not a file.
        UnknownName: the name of the files is not understood.
    """
    known = reference.available_range or span
    if isinstance(reference, otio.schema.ImageSequenceReference):
        return _sequence(reference, folder, known)
    path = folder / _path(reference.target_url)
    bracketed = BRACKETS.search(path.name)
    if bracketed:
        digits = "#" * len(bracketed[1])
        path = path.with_name(path.name.replace(bracketed[0], digits))
    pattern = Pattern.parse(str(path))
    first = int(bracketed[1]) if bracketed else None
    number = NUMBERED.search(path.stem)
    if not pattern.width and number and _frames(reference.available_range) > 1:
        # The first file stands for the whole sequence.
        first = int(number[0])
        digits = "#" * len(number[0])
        pattern = Pattern.parse(str(path.with_stem(path.stem[: number.start()] + digits)))
    if known is None:
        raise UnknownName(f"{path}: neither the clip nor its media has a range. {EXAMPLE}.")
    start, rate = known.start_time, known.start_time.rate
    if pattern.width and first is None:
        # A range that was given begins with the first file; else frame numbers are times.
        there = pattern.on_disk() if reference.available_range else {}
        first = next(iter(there), int(start.value))
    return Media(pattern, start, first or 0, 1, rate, reference.available_range)


def relinked(
    reference: otio.core.MediaReference, made: Media, targets: Iterable[tuple[int, Path]]
) -> otio.core.MediaReference:
    """A copy of a reference, to other files of the same numbers and times.

    Args:
        reference: its name, metadata and kind stay.
        made: what it is to.
        targets: the files by number, in order, all in one folder.
    """
    numbers, paths = zip(*targets, strict=True)
    first, folder = numbers[0], paths[0].parent.resolve().as_uri()
    new = reference.clone()
    new.metadata["kpcn"] = {"noisy": _url(reference)}
    span = TimeRange(made.time(first), RationalTime(len(numbers) * made.step, made.rate))
    if isinstance(new, otio.schema.ImageSequenceReference):
        new.target_url_base, new.start_frame = f"{folder}/", first
        new.available_range = span
        return new
    name = Path(_path(reference.target_url)).name
    if BRACKETS.search(name):
        name = BRACKETS.sub(f"[{first}-{numbers[-1]}]", name)
    elif made.pattern.width and not Pattern.parse(name).width:
        name = paths[0].name
    new.target_url = f"{folder}/{quote(name, safe=SIGNS)}"
    if made.pattern.width and reference.available_range:
        new.available_range = span
    return new


def _sequence(
    reference: otio.schema.ImageSequenceReference, folder: Path, known: TimeRange | None
) -> Media:
    base = folder / _path(reference.target_url_base)
    name = f"{reference.name_prefix}####{reference.name_suffix}"
    pattern = Pattern(
        str(base / name),
        base,
        reference.name_prefix,
        max(reference.frame_zero_padding, 1),
        reference.name_suffix,
    )
    rate = reference.rate or (known.start_time.rate if known else 24)
    start = known.start_time if reference.available_range and known else None
    return Media(
        pattern,
        start or RationalTime(reference.start_frame, rate),
        reference.start_frame,
        max(reference.frame_step, 1),
        rate,
        reference.available_range,
    )


def _path(url: str) -> str:
    """A file URL or a plain path as a path; placeholders as #."""
    text = PRINTF.sub(lambda match: "#" * int(match[1] or 1), url)
    if text.startswith("file:"):
        return str(otio.url_utils.filepath_from_url(text.replace("#", "%23")))
    if "://" in text:
        raise Unsupported(f"{url}: expected media in a file; found another kind of address.")
    return text


def _url(reference: otio.core.MediaReference) -> str:
    if isinstance(reference, otio.schema.ImageSequenceReference):
        return str(reference.abstract_target_url("#" * max(reference.frame_zero_padding, 1)))
    return str(reference.target_url)


def _frames(span: TimeRange | None) -> float:
    return float(span.duration.value) if span else 0.0
