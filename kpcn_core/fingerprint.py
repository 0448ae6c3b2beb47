"""What an output was made of, kept beside it: `.kpcn/NAME.json` in the folder of the output.

Files are told apart by name, size and time of change, as make and rsync do; reading them again
would cost as much as denoising. Times are only compared for equality, so it does not matter whether
the clocks of two machines agree.

The note is written first, when the file is complete but has not yet its name. So a file that we
wrote is known as ours, whenever we are killed.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from kpcn_core.atomic import replaced
from kpcn_core.errors import UnreadableFile

FOLDER = ".kpcn"
LONGEST = 200  # bytes of a name, out of the 255 that file systems allow


def made_of(inputs: Iterable[Path], settings: Mapping[str, object]) -> str:
    """A hash of everything that an output depends on. Take it before the inputs are read.

    Args:
        inputs: every file that is read for it, neighbours in its window included.
        settings: network, options and version: whatever changes the pixels; text, numbers and
            containers of them.

    Raises:
        UnreadableFile: an input is missing.
    """
    content = {"inputs": [_stamp(path) for path in inputs], "settings": settings}
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=list).encode()).hexdigest()


def record(target: Path, fingerprint: str, written: Path | None = None) -> None:
    """Note what a file is made of; until it has its name, its predecessor stays known as ours too.

    Args:
        target: the file.
        fingerprint: what it is made of.
        written: where its content lies as yet; None for its place.

    Raises:
        UnwritableFile: the note cannot be written.
    """
    content = {"made_of": fingerprint, "is": _stamp(written or target, target.name)}
    if written and is_ours(target):
        content["was"] = _stamp(target)
    with replaced(beside(target, "json"), overwrite=True) as temporary:
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")


def is_current(target: Path, fingerprint: str) -> bool:
    """Whether the file is there, as it was written, made of the same."""
    return _recorded(target).get("made_of") == fingerprint and _is(target, "is")


def is_ours(target: Path) -> bool:
    """Whether the file is there, and nobody changed it since we wrote it."""
    return _is(target, "is") or _is(target, "was")


def check_unchanged(source: Path, before: str, after: str) -> None:
    """Raise if a file was replaced while it was denoised: the output would mix old and new.

    Raises:
        UnreadableFile: the fingerprints differ.
    """
    if before != after:
        raise UnreadableFile(
            f"{source}: it, or a frame in its window, was replaced while it was denoised. "
            f"Wait until the render is finished, then denoise it again."
        )


def beside(target: Path, kind: str) -> Path:
    """Where something about a file is kept."""
    name = target.name
    if len(name.encode()) > LONGEST:
        name = f"{name[:32]}.{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    return target.parent / FOLDER / f"{name}.{kind}"


def _recorded(target: Path) -> dict[str, object]:
    """The note about a file; empty if there is none that can be read."""
    try:
        content = json.loads(beside(target, "json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is(target: Path, which: str) -> bool:
    try:
        return _recorded(target).get(which) == _stamp(target)
    except UnreadableFile:
        return False


def _stamp(path: Path, name: str = "") -> list[str | int]:
    """Name, bytes, and when it was changed: in microseconds, since not every share keeps more."""
    try:
        found = path.stat()
    except OSError as error:
        raise UnreadableFile(f"{path}: cannot be read: {error.strerror}.") from error
    return [name or path.name, found.st_size, found.st_mtime_ns // 1000]
