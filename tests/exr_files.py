"""EXR files made and taken apart by OpenEXR alone, or byte by byte; for tests."""

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
from numpy.typing import NDArray

Array = NDArray[np.generic]
Channels = Mapping[str, NDArray[Any]]

WIDTH, HEIGHT = 12, 10


def plane(seed: int, height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.float32]:
    """Positive noise [H,W]."""
    return np.random.default_rng(seed).random((height, width), dtype=np.float32)


def named(
    *channels: str, height: int = HEIGHT, width: int = WIDTH
) -> dict[str, NDArray[np.float32]]:
    """Each channel with noise of its own."""
    return {name: plane(seed, height, width) for seed, name in enumerate(channels)}


def rgb(layer: str = "") -> list[str]:
    return [f"{layer}.{suffix}".lstrip(".") for suffix in "RGB"]


def xyz(layer: str) -> list[str]:
    return [f"{layer}.{suffix}" for suffix in "XYZ"]


def save_exr(path: Path, channels: Channels, **header: object) -> Path:
    OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, **header}, dict(channels)).write(
        str(path)
    )
    return path


def save_parts(path: Path, parts: Mapping[str, Channels], **header: object) -> Path:
    made = [OpenEXR.Part(dict(header), dict(channels), name) for name, channels in parts.items()]
    OpenEXR.File(made).write(str(path))
    return path


def all_channels(path: Path) -> dict[tuple[int, str], Array]:
    """Every channel of every part."""
    file = OpenEXR.File(str(path), separate_channels=True)
    return {
        (index, name): channel.pixels
        for index, part in enumerate(file.parts)
        for name, channel in part.channels.items()
    }


def same_bits(one: Array, other: Array) -> bool:
    return (
        one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    )


def raw_headers(path: Path) -> list[dict[str, bytes]]:
    """The attributes of each part as "name type" to bytes, read without any library."""
    data = path.read_bytes()
    multi_part = struct.unpack_from("<I", data, 4)[0] & 0x1000
    position, parts = 8, []
    while True:
        part = {}
        while data[position]:
            name, kind = data[position:].split(b"\0", 2)[:2]
            position += len(name) + len(kind) + 2
            size = struct.unpack_from("<I", data, position)[0]
            part[f"{name.decode()} {kind.decode()}"] = data[position + 4 : position + 4 + size]
            position += 4 + size
        position += 1
        parts.append(part)
        if not multi_part or not data[position]:
            return parts


def with_attribute(path: Path, name: str, kind: str, value: bytes) -> None:
    """Add an attribute to the header of a single-part file, whatever its type."""
    data = path.read_bytes()
    position = 8
    while data[position]:
        head = data[position:].split(b"\0", 2)
        position += len(head[0]) + len(head[1]) + 2
        position += 4 + int(struct.unpack_from("<I", data, position)[0])
    extra = f"{name}\0{kind}\0".encode() + struct.pack("<I", len(value)) + value
    table = position + 1
    count = (struct.unpack_from("<Q", data, table)[0] - table) // 8
    offsets = [offset + len(extra) for offset in struct.unpack_from(f"<{count}Q", data, table)]
    rest = struct.pack(f"<{count}Q", *offsets) + data[table + 8 * count :]
    path.write_bytes(data[:position] + extra + b"\0" + rest)
