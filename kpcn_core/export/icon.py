"""The icon of the gizmo: a ball, noisy on its left half, and clean on its right."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

SIDE = 128
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(side: int = SIDE) -> bytes:
    """A square picture with transparency; the same bytes every time."""
    return _encoded(_ball(side))


def _ball(side: int) -> NDArray[np.uint8]:
    """RGBA [side,side,4], lit from above on the left."""
    y, x = np.mgrid[-1.1 : 1.1 : side * 1j, -1.1 : 1.1 : side * 1j]
    inside = 1.0 - x**2 - y**2
    z = np.sqrt(inside.clip(0.0))
    light = (-0.5 * x - 0.6 * y + 0.62 * z).clip(0.05)
    noise = np.random.default_rng(0).gamma(1.5, 1 / 1.5, (side, side))
    light = np.where(x < 0, light * noise, light)
    color = np.stack([light * tint for tint in (1.0, 0.72, 0.38)], axis=-1).clip(0.0, 1.0)
    cover = (inside * side / 4).clip(0.0, 1.0)
    pixels: NDArray[np.uint8] = np.rint(255 * np.dstack([color ** (1 / 2.2), cover])).astype("u1")
    return pixels


def _encoded(pixels: NDArray[np.uint8]) -> bytes:
    """RGBA as PNG: a header, rows that each begin with a 0 (no filter), an end."""
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return SIGNATURE + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
