"""Files that appear whole or not at all. Standard library only."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from kpcn_core.errors import UnwritableFile

WRITE_BITS = 0o222
STEM = 32  # characters of a target's name that its temporary file has


@contextmanager
def replaced(
    path: Path, overwrite: bool = False, ready: Callable[[Path], object] | None = None
) -> Iterator[Path]:
    """Give a temporary path to write to; on success it becomes `path`, else it is removed.

    The temporary file lies in the folder of `path` (which is made if need be), has the same suffix,
    and exists already, empty. A symbolic link is written through.

    Args:
        path: the file to make.
        overwrite: replace a file that is there already.
        ready: called with the temporary file when it is complete, before it becomes `path`.

    Raises:
        UnwritableFile: `path` exists and may not be replaced, is no plain file or is read-only; or
            the operating system refuses (full disk, no permission), also while the body writes.
    """
    target = check_writable(path, overwrite)
    # A part of the name only: a longer one than the target's may be too long.
    temporary = target.with_name(f".{target.stem[:STEM]}.{uuid4().hex[:12]}{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
        yield temporary
        _flush(temporary)
        if ready is not None:
            ready(temporary)
        temporary.replace(target)
    except OSError as error:
        reason = str(error.strerror or error).rstrip(".")
        raise UnwritableFile(
            f"{path}: cannot be written: {reason}. "
            f"Check the folder's permissions and free space, or write elsewhere."
        ) from error
    finally:
        _remove(temporary)


def check_writable(path: Path, overwrite: bool = False) -> Path:
    """Where to write: `path` with its links followed. For failing before long work, too.

    Raises:
        UnwritableFile: as `replaced`, as far as it can be told beforehand.
    """
    try:
        target = path.resolve()
        there = target.stat() if target.exists() else None
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise UnwritableFile(f"{path}: cannot be written: {error}. Name another file.") from error
    if there is None:
        return target
    if not target.is_file():
        kind = "a folder" if target.is_dir() else "a device or pipe"
        raise UnwritableFile(f"{path}: expected a file to write; it is {kind}. Name a file.")
    if not overwrite:
        raise UnwritableFile(f"{path}: exists already. Use --overwrite to replace it.")
    # A rename would replace a read-only file without a word.
    if not there.st_mode & WRITE_BITS:
        raise UnwritableFile(f"{path}: is read-only. Make it writable, or name another file.")
    return target


def _flush(path: Path) -> None:
    """Some file systems report a full disk only now."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # the folder itself is gone or refuses; the first error says so
