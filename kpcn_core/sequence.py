"""Sequences: patterns such as shot.####.exr, and ranges such as 1001-1100 or 1-9x2."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from fileseq import PAD_STYLE_HASH1, FileSequence, FrameSet
from fileseq.exceptions import FileSeqException, MaxSizeException

from kpcn_core.errors import MissingFrames, UnknownName, UnwritableFile

SHOWN = 3  # how many paths a message names


def expand(pattern: str, frames: str | None = None) -> list[tuple[int, Path]]:
    """The files of a pattern, with their frame numbers, in order.

    Args:
        pattern: a path; its name may have one placeholder for the frame number: ####, @@@@, %04d or
            $F4. One without a placeholder is a single file.
        frames: a range; None for all frames on disk.

    Raises:
        MissingFrames: files that were asked for are not there; the message names the frames.
        UnknownName: the range or the pattern cannot be understood.
    """
    sequence = _parsed(pattern)
    if not _has_placeholder(sequence, pattern):
        return _single(pattern, sequence, frames)
    asked = frames or str(sequence.frameSet() or "")
    numbers = list(_range(asked)) if asked else _on_disk(pattern)
    found = [(number, Path(sequence.frame(number))) for number in numbers]
    missing = [number for number, path in found if not path.exists()]
    if missing:
        raise MissingFrames(
            f"{pattern}: {len(missing)} of {len(found)} frames are missing: "
            f"{FrameSet(missing)}. Render them, or leave them out of --frames."
        )
    return found


def pairs(
    pattern: str,
    output: str,
    frames: str | None = None,
    *,
    overwrite: bool = False,
    skip: Collection[str] = (),
) -> list[tuple[Path, Path]]:
    """Each input file with the file to write; everything that can be checked first is.

    Args:
        pattern: see `expand`.
        output: a path; needs a placeholder if there is more than one frame.
        frames: see `expand`.
        overwrite: existing files, the inputs themselves included, may be replaced.
        skip: targets that are done already, and are left out.

    Raises:
        MissingFrames, UnknownName: see `expand`; or the output lacks a placeholder.
        UnwritableFile: a target exists, is a folder, or lies in none that can be written to.
    """
    inputs = expand(pattern, frames)
    sequence = _parsed(output)
    if _has_placeholder(sequence, output):
        targets = [Path(sequence.frame(number)) for number, _ in inputs]
    elif len(inputs) == 1:
        targets = [Path(output)]
    else:
        raise UnknownName(
            f"{output}: {len(inputs)} frames need a placeholder in the output's name, "
            f"for example clean.####.exr."
        )
    paths = [path for _, path in inputs]
    left = [pair for pair in zip(paths, targets, strict=True) if str(pair[1]) not in skip]
    _check_folders([target for _, target in left])
    _check_targets(paths, [target for _, target in left], overwrite)
    return left


def _parsed(pattern: str) -> FileSequence:
    try:
        return FileSequence(pattern, pad_style=PAD_STYLE_HASH1)
    except FileSeqException as error:
        raise UnknownName(
            f"'{pattern}' is no file name with a frame placeholder. Write for example "
            f"shot.####.exr, or shot.1001-1100####.exr."
        ) from error


def _has_placeholder(sequence: FileSequence, pattern: str) -> bool:
    # shot.0001.exr is parsed as a sequence of one frame, with a padding that is not in its name.
    return bool(sequence.padding()) and sequence.padding() in pattern


def _single(pattern: str, sequence: FileSequence, frames: str | None) -> list[tuple[int, Path]]:
    if frames:
        raise UnknownName(
            f"{pattern}: frames {frames} were asked for, but the name has no placeholder. "
            f"Write for example shot.####.exr."
        )
    path = Path(pattern)
    if not path.exists():
        raise MissingFrames(f"{pattern}: no such file.")
    numbers = sequence.frameSet()
    return [(int(numbers[0]) if numbers else 0, path)]


def _range(text: str) -> FrameSet:
    try:
        return FrameSet(text)
    except (FileSeqException, MaxSizeException) as error:
        raise UnknownName(
            f"'{text}' is no range of frames. Write for example 1001-1100, 1-9x2 or 1,3,7-9."
        ) from error


def _on_disk(pattern: str) -> list[int]:
    try:
        found = FileSequence.findSequenceOnDisk(
            pattern, strictPadding=True, pad_style=PAD_STYLE_HASH1
        )
    except (FileSeqException, OSError) as error:
        raise MissingFrames(f"{pattern}: no such files. Check the folder and the name.") from error
    return [int(number) for number in found.frameSet() or ()]


def _check_folders(targets: Sequence[Path]) -> None:
    for folder in sorted({target.parent for target in targets}):
        if not folder.is_dir():
            raise UnwritableFile(f"{folder}: the folder to write to does not exist. Make it first.")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UnwritableFile(f"{folder}: the folder to write to is read-only. Write elsewhere.")


def _check_targets(inputs: Sequence[Path], targets: Sequence[Path], overwrite: bool) -> None:
    for target in targets:
        if target.is_dir():
            raise UnwritableFile(
                f"{target}: expected a file to write; it is a folder. Name a file."
            )
    if overwrite:
        return
    originals = {path.resolve() for path in inputs}
    if any(target.resolve() in originals for target in targets):
        raise UnwritableFile(
            f"{targets[0]}: would replace the input. Name another output, or use --overwrite."
        )
    existing = [str(target) for target in targets if target.exists()]
    if existing:
        more = f" and {len(existing) - SHOWN} more" if len(existing) > SHOWN else ""
        raise UnwritableFile(
            f"{', '.join(existing[:SHOWN])}{more}: exists already. Use --overwrite to replace."
        )
