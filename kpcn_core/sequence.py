"""Sequences: patterns such as shot.####.exr, and ranges such as 1001-1100 or 1-9x2."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from fileseq import FrameSet
from fileseq.exceptions import FileSeqException, MaxSizeException

from kpcn_core.errors import MissingFrames, UnknownName
from kpcn_core.sequence_pattern import Pattern
from kpcn_core.sequence_targets import check_targets
from kpcn_core.sequence_views import views

log = logging.getLogger(__name__)

Files = list[tuple[Path, Path]]


@dataclass(frozen=True)
class Shot:
    """Frames that follow each other: what a window may look at together.

    Attributes:
        files: each input with its output.
        frames: all frames on disk that belong together, in order; the inputs are among them.
    """

    files: Files
    frames: list[Path]


def expand(pattern: str, frames: str | None = None) -> list[tuple[int, Path]]:
    """The files of a pattern, with their frame numbers, in order.

    Args:
        pattern: a path; its name may have one placeholder for the frame number: ####, @@@@, %04d,
            $F4 or <F4>. One without a placeholder is a single file.
        frames: a range; None for all frames on disk, where a gap is a warning.

    Raises:
        MissingFrames: files that were asked for are not there; the message names the frames.
        UnknownName: the range or the pattern cannot be understood.
    """
    parsed = Pattern.parse(pattern)
    if not parsed.width:
        return _single(parsed, frames)
    return _asked(parsed, frames, parsed.on_disk())


def shots(
    pattern: str,
    output: str,
    frames: str | None = None,
    *,
    overwrite: bool = False,
    resume: bool = False,
    skip: Collection[str] = (),
) -> list[Shot]:
    """What to denoise together: one shot for each view, and for each stretch without a gap.

    Everything that can be checked before any work is.

    Args:
        pattern: see `expand`; it may also have a view, see ``sequence_views.views``.
        output: a path; needs a placeholder if there is more than one frame.
        frames: see `expand`.
        overwrite: existing files, the inputs themselves included, may be replaced.
        resume: existing files may be there if they are ours, see ``fingerprint.is_ours``.
        skip: targets that are done already, and are left out.

    Raises:
        MissingFrames, UnknownName: see `expand`; or the output lacks a placeholder.
        UnwritableFile: a target exists, is a folder, or lies in none that can be written to.
    """
    found = [
        shot for one, other in views(pattern, output) for shot in _shots(one, other, frames, skip)
    ]
    check_targets([pair for shot in found for pair in shot.files], overwrite, resume)
    return found


def pairs(
    pattern: str,
    output: str,
    frames: str | None = None,
    *,
    overwrite: bool = False,
    skip: Collection[str] = (),
) -> Files:
    """Each input file with the file to write; as `shots`, for frames denoised one by one."""
    found = shots(pattern, output, frames, overwrite=overwrite, skip=skip)
    return [pair for shot in found for pair in shot.files]


def numbers(frames: str) -> list[int]:
    """The frames of a range, as 1001-1100, 1-9x2, -5-5 or 1,3,7-9, in the order of the text.

    A step may also be written as 1-9:2, as Open Job Description does.

    Raises:
        UnknownName: it is none, or it has fractions of frames.
    """
    try:
        found = FrameSet(frames.replace(":", "x"))
    except (FileSeqException, MaxSizeException) as error:
        raise _no_range(frames) from error
    if any(number != int(number) for number in found):
        raise _no_range(frames)
    return [int(number) for number in found]


def _no_range(text: str) -> UnknownName:
    return UnknownName(
        f"'{text}' is no range of frames. Write for example 1001-1100, 1-9x2 or 1,3,7-9."
    )


def _shots(pattern: str, output: str, frames: str | None, skip: Collection[str]) -> list[Shot]:
    source, target = Pattern.parse(pattern), Pattern.parse(output)
    disk = source.on_disk() if source.width else {}
    inputs = _asked(source, frames, disk) if source.width else _single(source, frames)
    if len(inputs) > 1 and not target.width:
        raise UnknownName(
            f"{output}: {len(inputs)} frames need a placeholder in the output's name, "
            f"for example clean.####.exr."
        )
    files = {
        number: (path, target.path(number) if target.width else Path(output))
        for number, path in inputs
    }
    found = []
    for stretch in _stretches(list(disk or files)):
        there = [files[number] for number in files if number in stretch]
        left = [pair for pair in there if str(pair[1]) not in skip]
        if left:
            found.append(Shot(left, [disk.get(n) or files[n][0] for n in stretch]))
    return found


def _asked(pattern: Pattern, frames: str | None, disk: dict[int, Path]) -> list[tuple[int, Path]]:
    asked = frames or pattern.frames
    if not asked:
        if not disk:
            raise _none(pattern)
        _warn_of_gaps(pattern, list(disk))
        return list(disk.items())
    wanted = numbers(asked)
    missing = [number for number in wanted if number not in disk]
    if missing:
        raise MissingFrames(
            f"{pattern.text}: {len(missing)} of {len(wanted)} frames are missing: "
            f"{FrameSet(missing)}. Render them, or leave them out of --frames."
        )
    return [(number, disk[number]) for number in wanted]


def _single(pattern: Pattern, frames: str | None) -> list[tuple[int, Path]]:
    if frames:
        raise UnknownName(
            f"{pattern.text}: frames {frames} were asked for, but the name has no placeholder. "
            f"Write for example shot.####.exr."
        )
    path = Path(pattern.text)
    if not path.exists():
        hint = " Write shot.####.exr, not shot.*.exr." if "*" in pattern.text else ""
        raise MissingFrames(f"{pattern.text}: no such file.{hint}")
    return [(pattern.number, path)]


def _none(pattern: Pattern) -> MissingFrames:
    likely = pattern.likely()
    if likely:
        return MissingFrames(
            f"{pattern.text}: no such files, but there are some with other digits. "
            f"Write {pattern.folder / likely}."
        )
    return MissingFrames(f"{pattern.text}: no such files. Check the folder and the name.")


def _warn_of_gaps(pattern: Pattern, found: Sequence[int]) -> None:
    stretches = _stretches(found)
    if len(stretches) > 1:
        step = _step(found)
        missing = FrameSet(set(range(found[0], found[-1], step)) - set(found))
        log.warning(
            "%s: frames are missing between %d and %d: %s",
            *(pattern.text, found[0], found[-1], missing),
        )


def _stretches(found: Sequence[int]) -> list[list[int]]:
    """Runs of ascending numbers without a gap; a sequence on twos has none."""
    ascending = sorted(found)
    step = _step(ascending)
    runs = [ascending[:1]]
    for before, number in pairwise(ascending):
        if number - before > step:
            runs.append([])
        runs[-1].append(number)
    return runs


def _step(ascending: Sequence[int]) -> int:
    return min((after - before for before, after in pairwise(ascending)), default=1)
