"""What can be told about files to write before any work is done."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from kpcn_core.errors import UnwritableFile

SHOWN = 3  # how many paths a message names


def check_targets(files: Sequence[tuple[Path, Path]], overwrite: bool = False) -> None:
    """Raise unless every target can be written, as far as it can be told beforehand.

    Args:
        files: each input with its output.
        overwrite: existing files, the inputs themselves included, may be replaced.

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
    if there and not overwrite:
        _refuse(files, there)


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


def _refuse(files: Sequence[tuple[Path, Path]], there: Sequence[Path]) -> None:
    originals = {path.resolve() for path, _ in files}
    for target in there:
        if target.resolve() in originals:
            raise UnwritableFile(
                f"{target}: would replace the input. Name another output, or use --overwrite."
            )
    more = f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
    raise UnwritableFile(
        f"{', '.join(map(str, there[:SHOWN]))}{more}: exists already. Use --overwrite to replace."
    )
