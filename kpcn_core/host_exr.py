"""Plain EXR files for hosts that have pixels and no way to write them.

Float, uncompressed, one part of scanlines. Standard library only, Python 3.9 syntax. The layout is
https://openexr.com/en/latest/OpenEXRFileLayout.html
"""

from __future__ import annotations

import os
import struct
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kpcn_core.errors import UnreadableFile

MAGIC = b"\x76\x2f\x31\x01"
FLOAT, UNCOMPRESSED, INCREASING_Y = 2, 0, 0
UNEXPECTED = 0x200 | 0x800 | 0x1000  # tiles, deep pixels, several parts


@dataclass(frozen=True)
class Picture:
    """Pixels by channel.

    Attributes:
        width: in pixels.
        height: likewise.
        channels: name to an array("f") of width x height, rows from the top.
        aspect: width of a pixel by its height.
    """

    width: int
    height: int
    channels: Mapping[str, array[float]]
    aspect: float = 1.0

    def rows(self, name: str) -> list[bytes]:
        """A channel's rows, from the top."""
        data, size = self.channels[name].tobytes(), 4 * self.width
        return [data[start : start + size] for start in range(0, size * self.height, size)]


def encoded(picture: Picture) -> bytes:
    """The file's bytes."""
    names = sorted(picture.channels)
    header = _header(picture, names)
    size = 4 * picture.width * len(names)
    first = len(header) + 8 * picture.height
    offsets = [first + y * (8 + size) for y in range(picture.height)]
    lines = zip(*(picture.rows(name) for name in names))
    chunks = (struct.pack("<ii", y, size) + b"".join(line) for y, line in enumerate(lines))
    return header + struct.pack(f"<{len(offsets)}Q", *offsets) + b"".join(chunks)


def write(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all; one that is the same already keeps its time."""
    if path.exists() and path.read_bytes() == content:
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(content)
    temporary.replace(path)


def read(path: Path) -> Picture:
    """A file as `encoded` makes them, with further attributes and layers if need be.

    Raises:
        UnreadableFile: it is something else.
    """
    data = path.read_bytes()
    if data[:4] != MAGIC or struct.unpack_from("<I", data, 4)[0] & UNEXPECTED:
        raise UnreadableFile(f"{path}: expected an EXR file of scanlines and one part.")
    attributes, at = _attributes(data)
    x0, y0, x1, y1 = struct.unpack("<4i", attributes[b"dataWindow"])
    width, height = x1 - x0 + 1, y1 - y0 + 1
    names = _channels(attributes[b"channels"])
    if attributes[b"compression"] != bytes([UNCOMPRESSED]) or names is None:
        raise UnreadableFile(f"{path}: expected uncompressed float channels.")
    planes = {name: array("f", bytes(4 * width * height)) for name in names}
    for offset in struct.unpack_from(f"<{height}Q", data, at):
        y = struct.unpack_from("<i", data, offset)[0] - y0
        for index, name in enumerate(names):
            start = offset + 8 + 4 * width * index
            row = array("f", data[start : start + 4 * width])
            planes[name][y * width : (y + 1) * width] = row
    return Picture(width, height, planes, struct.unpack("<f", attributes[b"pixelAspectRatio"])[0])


def _header(picture: Picture, names: list[str]) -> bytes:
    window = struct.pack("<4i", 0, 0, picture.width - 1, picture.height - 1)
    channels = b"".join(
        name.encode() + b"\0" + struct.pack("<iB3xii", FLOAT, 0, 1, 1) for name in names
    )
    attributes = (
        ("channels", "chlist", channels + b"\0"),
        ("compression", "compression", bytes([UNCOMPRESSED])),
        ("dataWindow", "box2i", window),
        ("displayWindow", "box2i", window),
        ("lineOrder", "lineOrder", bytes([INCREASING_Y])),
        ("pixelAspectRatio", "float", struct.pack("<f", picture.aspect)),
        ("screenWindowCenter", "v2f", struct.pack("<2f", 0, 0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1)),
    )
    packed = b"".join(
        f"{name}\0{kind}\0".encode() + struct.pack("<i", len(value)) + value
        for name, kind, value in attributes
    )
    return MAGIC + struct.pack("<I", 2) + packed + b"\0"


def _attributes(data: bytes) -> tuple[dict[bytes, bytes], int]:
    """The header's attributes, and where it ends."""
    found, at = {}, 8
    while data[at]:
        name_end = data.index(b"\0", at)
        start = data.index(b"\0", name_end + 1) + 5  # behind the kind, and the size
        size = struct.unpack_from("<i", data, start - 4)[0]
        found[data[at:name_end]] = data[start : start + size]
        at = start + size
    return found, at + 1


def _channels(packed: bytes) -> list[str] | None:
    """Names in the order of the file; None if they are not all float, one for each pixel."""
    names, at = [], 0
    while packed[at]:
        end = packed.index(b"\0", at)
        kind, across, down = struct.unpack_from("<i4xii", packed, end + 1)
        if (kind, across, down) != (FLOAT, 1, 1):
            return None
        names.append(packed[at:end].decode())
        at = end + 17
    return names
