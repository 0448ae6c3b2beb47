"""EXR files made and taken apart by OpenEXR alone, or byte by byte; for tests."""

import struct
from collections.abc import Mapping, Sequence
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


def header_end(data: bytes | bytearray) -> int:
    """Where the byte is that ends the header of a single-part file; the offset table follows."""
    position = 8
    while data[position]:
        name, kind = data[position:].split(b"\0", 2)[:2]
        position += len(name) + len(kind) + 2
        position += 4 + int(struct.unpack_from("<I", data, position)[0])
    return position


def with_attribute(path: Path, name: str, kind: str, value: bytes) -> None:
    """Add an attribute to the header of a single-part file, whatever its type."""
    data = path.read_bytes()
    position = header_end(data)
    extra = f"{name}\0{kind}\0".encode() + struct.pack("<I", len(value)) + value
    table = position + 1
    count = (struct.unpack_from("<Q", data, table)[0] - table) // 8
    offsets = [offset + len(extra) for offset in struct.unpack_from(f"<{count}Q", data, table)]
    rest = struct.pack(f"<{count}Q", *offsets) + data[table + 8 * count :]
    path.write_bytes(data[:position] + extra + b"\0" + rest)


def raw_exr(
    path: Path,
    channels: Mapping[str, int],
    blocks: Sequence[bytes],
    extra: Mapping[str, tuple[str, bytes]] | None = None,
) -> Path:
    """A single-part file of 2x2 pixels that no library would write.

    Args:
        path: where to write.
        channels: name to sampling, the same in x and y; all half.
        blocks: of pixels, with their own headers.
        extra: more attributes: name to type and bytes.
    """
    listed = b"".join(
        name.encode() + b"\0" + struct.pack("<iB3x2i", 1, 0, sampling, sampling)
        for name, sampling in channels.items()
    )
    window = struct.pack("<4i", 0, 0, 1, 1)
    attributes = {
        "channels": ("chlist", listed + b"\0"),
        "compression": ("compression", b"\0"),
        "dataWindow": ("box2i", window),
        "displayWindow": ("box2i", window),
        "lineOrder": ("lineOrder", b"\0"),
        "pixelAspectRatio": ("float", struct.pack("<f", 1)),
        "screenWindowCenter": ("v2f", struct.pack("<2f", 0, 0)),
        "screenWindowWidth": ("float", struct.pack("<f", 1)),
        **(extra or {}),
    }
    flags = 0x202 if "tiles" in attributes else 2
    header = b"\x76\x2f\x31\x01" + struct.pack("<I", flags)
    for name, (kind, value) in attributes.items():
        header += f"{name}\0{kind}\0".encode() + struct.pack("<I", len(value)) + value
    header += b"\0"
    offset = len(header) + 8 * len(blocks)
    table = b""
    for block in blocks:
        table += struct.pack("<Q", offset)
        offset += len(block)
    path.write_bytes(header + table + b"".join(blocks))
    return path


def luminance_chroma(path: Path) -> Path:
    rows = [struct.pack("<2i", 0, 8) + bytes(8), struct.pack("<2i", 1, 4) + bytes(4)]
    return raw_exr(path, {"BY": 2, "RY": 2, "Y": 1}, rows)


def mipmapped(path: Path) -> Path:
    tiles = [
        struct.pack("<5i", 0, 0, 0, 0, 8) + bytes(8),
        struct.pack("<5i", 0, 0, 1, 1, 2) + bytes(2),
    ]
    description = {"tiles": ("tiledesc", struct.pack("<IIB", 32, 32, 1))}
    return raw_exr(path, {"Y": 1}, tiles, description)


def without_channels(path: Path) -> Path:
    return raw_exr(path, {}, [struct.pack("<2i", row, 0) for row in range(2)])


def deep(path: Path) -> Path:
    samples = np.empty((2, 2), dtype=object)
    samples[0, 0] = np.array([1, 2], dtype=np.float32)
    header = {"type": OpenEXR.deepscanline, "compression": OpenEXR.ZIPS_COMPRESSION}
    OpenEXR.File(header, {"Z": samples}).write(str(path))
    return path
