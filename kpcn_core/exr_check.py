"""Whether an EXR file is whole, before it is decoded.

A render that was interrupted, or a copy that was cut, is by far the most common damage; OpenEXR
reports it only in its own words. The layout is https://openexr.com/en/latest/OpenEXRFileLayout.html
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kpcn_core.errors import UnreadableFile

MAGIC = b"\x76\x2f\x31\x01"
TILED, DEEP, MULTI_PART = 0x200, 0x800, 0x1000
LONGEST_NAME = 255


def check_complete(path: Path) -> None:
    """Raise UnreadableFile unless the file is an EXR whose chunks all lie within it."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            _check(path, _Reader(path, file, size))
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

    def name(self) -> str:
        text = bytearray()
        while byte := self.take(1).strip(b"\0"):
            text += byte
            if len(text) > LONGEST_NAME:
                raise UnreadableFile(
                    f"{self.path}: its header is damaged. Render or copy it again."
                )
        return text.decode("utf-8", "replace")

    def cut(self, what: str) -> UnreadableFile:
        return UnreadableFile(
            f"{self.path}: the file is incomplete: {what}. Was the render or the copy interrupted?"
        )


def _check(path: Path, reader: _Reader) -> None:
    if reader.size == 0:
        raise UnreadableFile(f"{path}: expected an EXR file; it is empty.")
    start = reader.file.read(len(MAGIC))
    if start != MAGIC:
        raise UnreadableFile(f"{path}: expected an EXR file; it begins with {start!r}.")
    flags = reader.integer("<I")
    parts = _headers(reader, multi_part=bool(flags & MULTI_PART))
    if flags & DEEP or any(b"deep" in part.get("type", b"") for part in parts):
        return  # refused later, with a better reason
    table = _Table(reader, reader.file.tell())
    if flags & MULTI_PART:
        offsets = table.read(sum(_integer(part.get("chunkCount")) for part in parts))
    else:
        offsets = table.read_to_first_chunk()
    missing = sum(not 0 < offset < reader.size for offset in offsets)
    if missing or not offsets:
        raise reader.cut(
            f"{missing or 'all'} of {len(offsets) or 'its'} blocks of pixels are missing"
        )
    tiled = bool(flags & TILED)
    if flags & MULTI_PART:
        reader.file.seek(max(offsets))
        number = reader.integer("<i")
        tiled = 0 <= number < len(parts) and parts[number].get("type") == b"tiledimage"
    else:
        reader.file.seek(max(offsets))
    reader.take(16 if tiled else 4)  # where the block lies in the image
    if reader.integer("<i") > reader.size - reader.file.tell():
        raise reader.cut("its last block of pixels is cut off")


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


@dataclass
class _Table:
    """Where each block of pixels begins."""

    reader: _Reader
    start: int

    def read(self, count: int) -> list[int]:
        data = self.reader.take(8 * count)
        return list(struct.unpack(f"<{count}Q", data))

    def read_to_first_chunk(self) -> list[int]:
        """Single-part files do not say how long the table is: the first block follows it."""
        offsets: list[int] = []
        end = self.reader.size
        while self.reader.file.tell() < end:
            offset = self.reader.integer("<Q")
            offsets.append(offset)
            if offset:
                end = min(end, offset)
        return offsets
