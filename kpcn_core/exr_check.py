"""Whether an EXR file is whole, before it is decoded.

A render that was interrupted, or a copy that was cut, is by far the most common damage; OpenEXR
reports it only in its own words. The layout is https://openexr.com/en/latest/OpenEXRFileLayout.html
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kpcn_core.errors import UnreadableFile
from kpcn_core.exr_promise import Header, blocks, decoded

MAGIC = b"\x76\x2f\x31\x01"
TILED, DEEP, MULTI_PART = 0x200, 0x800, 0x1000
LONGEST_NAME = 255


def check_complete(path: Path) -> int:
    """Bytes that the decoded pixels of a file take; errors as of `headers`."""
    return sum(map(decoded, headers(path)))


def headers(path: Path) -> Sequence[Header]:
    """The attributes of each part of an EXR file whose blocks of pixels are all there.

    None of deep parts: they are refused later, with a better reason.

    Raises:
        UnreadableFile: it is none, or it is damaged or incomplete.
    """
    try:
        if path.is_fifo() or path.is_char_device() or path.is_socket():
            # Opening a pipe waits until somebody writes to it.
            raise UnreadableFile(f"{path}: expected an EXR file; it is a pipe or a device.")
        with path.open("rb") as file:
            size = path.stat().st_size
            return _check(_Reader(path, file, size))
    except IsADirectoryError:
        raise UnreadableFile(f"{path}: expected an EXR file; it is a folder.") from None
    except OSError as error:
        raise UnreadableFile(
            f"{path}: cannot be read: {error.strerror}. Check the name and its permissions."
        ) from error


@dataclass
class _Reader:
    path: Path
    file: BinaryIO
    size: int

    def take(self, count: int) -> bytes:
        data = self.file.read(count) if 0 <= count <= self.size else b""
        if len(data) < max(count, 1):
            raise self.cut("its header ends early")
        return data

    def integer(self, form: str) -> int:
        value: int = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return value

    def damaged(self, what: str) -> UnreadableFile:
        return UnreadableFile(
            f"{self.path}: its header is damaged: {what}. Render or copy it again."
        )

    def name(self) -> str:
        text = bytearray()
        while byte := self.take(1).strip(b"\0"):
            text += byte
            if len(text) > LONGEST_NAME:
                raise self.damaged("a name does not end")
        return text.decode("utf-8", "replace")

    def cut(self, what: str) -> UnreadableFile:
        return UnreadableFile(
            f"{self.path}: the file is incomplete: {what}. Was the render or the copy interrupted?"
        )


def _check(reader: _Reader) -> Sequence[Header]:
    if reader.size == 0:
        raise UnreadableFile(f"{reader.path}: expected an EXR file; it is empty.")
    start = reader.file.read(len(MAGIC))
    if start != MAGIC:
        raise UnreadableFile(f"{reader.path}: expected an EXR file; it begins with {start!r}.")
    flags = reader.integer("<I")
    multi_part = bool(flags & MULTI_PART)
    parts = _headers(reader, multi_part=multi_part)
    if not parts:
        raise reader.damaged("there is nothing in it")
    if flags & DEEP:
        return []
    if multi_part:
        counts = [_integer(part.get("chunkCount")) for part in parts]
        if not all(0 <= 8 * count <= reader.size for count in counts):
            raise reader.cut("blocks of pixels are missing")
        offsets = [reader.integer("<Q") for _ in range(sum(counts))]
    else:
        offsets = _table(reader)
        counts = [len(offsets)]
    if not offsets or not all(0 < offset < reader.size for offset in offsets):
        raise reader.cut("blocks of pixels are missing")
    for part, count in zip(parts, counts, strict=True):
        expected = blocks(part, _is_tiled(part, flags))
        if expected is not None and count != expected:
            raise reader.damaged(
                f"it has {count} blocks of pixels, and its size asks for {expected}"
            )
    _check_last(reader, max(offsets), parts, flags)
    return parts


def _table(reader: _Reader) -> list[int]:
    """Where each block of pixels begins, up to the first that is missing.

    Single-part files do not say how long the table is: the first block follows it.
    """
    offsets: list[int] = []
    end = reader.size
    while reader.file.tell() < end:
        offset = reader.integer("<Q")
        offsets.append(offset)
        if offset == 0:
            break
        end = min(end, offset)
    return offsets


def _check_last(reader: _Reader, offset: int, parts: list[dict[str, bytes]], flags: int) -> None:
    """Raise if the file ends within its last block of pixels."""
    reader.file.seek(offset)
    number = reader.integer("<i") if flags & MULTI_PART else 0
    tiled = 0 <= number < len(parts) and _is_tiled(parts[number], flags)
    reader.take(16 if tiled else 4)  # where the block lies in the image
    if reader.integer("<i") > reader.size - reader.file.tell():
        raise reader.cut("its last block of pixels is cut off")


def _is_tiled(part: dict[str, bytes], flags: int) -> bool:
    if flags & MULTI_PART:
        return part.get("type") == b"tiledimage"
    return bool(flags & TILED)


def _headers(reader: _Reader, *, multi_part: bool) -> list[dict[str, bytes]]:
    """For each part, its attributes' bytes."""
    parts: list[dict[str, bytes]] = []
    while True:
        part: dict[str, bytes] = {}
        while name := reader.name():
            reader.name()  # type
            size = reader.integer("<i")
            part[name] = reader.take(size) if size else b""
        if part:
            parts.append(part)
        if not part or not multi_part:
            return parts


def _integer(data: bytes | None) -> int:
    return struct.unpack("<i", data)[0] if data and len(data) == 4 else 0
