"""What can be told about files to write before any work is done."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from kpcn_core.errors import UnwritableFile
from kpcn_core.fingerprint import is_ours

SHOWN = 3  # how many paths a message names


def check_targets(
    files: Sequence[tuple[Path, Path]], overwrite: bool = False, resume: bool = False
) -> None:
    """Raise unless every target can be written, as far as it can be told beforehand.

    Args:
        files: each input with its output.
        overwrite: existing files, the inputs themselves included, may be replaced.
        resume: existing files may be there if nobody changed them since we wrote them; those that
            are made of something else by now are made again.

    Raises:
        UnwritableFile: a target exists, is an input or a folder, or lies in no folder that can be
            written to.
    """
    targets = [target for _, target in files]
    for folder in sorted({target.parent for target in targets}):
        _check_folder(folder)
    there = _existing(targets)
    for target in there:
        if target.is_dir():
            raise UnwritableFile(
                f"{target}: expected a file to write; it is a folder. Name a file."
            )
    inputs = {path.resolve() for path, _ in files} if there else set()
    for target in there:
        if (resume or not overwrite) and target.resolve() in inputs:
            raise UnwritableFile(
                f"{target}: would replace the input. Name another output"
                f"{'; what was replaced cannot be resumed' if resume else ', or use --overwrite'}."
            )
    others = [target for target in there if not (resume and is_ours(target))]
    if others and not overwrite:
        raise UnwritableFile(
            f"{_some(others)}: exists already{_not_ours(resume)}. Use --overwrite to replace."
        )


def _some(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    return f"{', '.join(map(str, paths[:SHOWN]))}{more}"


def _not_ours(resume: bool) -> str:
    return ", and was not written with --resume, or was changed since" if resume else ""


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise UnwritableFile(f"{folder}: the folder to write to does not exist. Make it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UnwritableFile(f"{folder}: the folder to write to is read-only. Write elsewhere.")


def _existing(targets: Iterable[Path]) -> list[Path]:
    # One listing of each folder: asking a file server for every file takes minutes.
    listed: dict[Path, set[str]] = {}
    found = []
    for target in targets:
        if target.parent not in listed:
            listed[target.parent] = {entry.name for entry in target.parent.iterdir()}
        if target.name in listed[target.parent]:
            found.append(target)
    return found
