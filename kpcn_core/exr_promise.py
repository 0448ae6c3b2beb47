"""What the header of an EXR promises: how many blocks of pixels, and how many bytes they become.

A damaged or hostile header may promise far more than the file holds; that is found out here, before
memory is taken for it. The layout is https://openexr.com/en/latest/OpenEXRFileLayout.html
"""

import struct
from collections.abc import Mapping

# Compression to the lines that a block has; tiles say themselves how large they are.
LINES = {
    bytes([codec]): lines
    for codec, lines in enumerate((1, 1, 1, 16, 32, 16, 32, 32, 32, 256, 256, 32))
}
BYTES = {0: 4, 1: 2, 2: 4}  # of a channel's type: uint, half, float
ONE_LEVEL = 0

Header = Mapping[str, bytes]  # attributes of a part


def blocks(header: Header, tiled: bool) -> int | None:
    """How many blocks of pixels a part must have; None where it cannot be told."""
    size = _size(header)
    if size is None:
        return None
    height, width = size
    if tiled:
        tiles = header.get("tiles", b"")
        if len(tiles) != 9 or tiles[8] & 15 != ONE_LEVEL:
            return None
        across, down = struct.unpack_from("<2I", tiles)
        return -(-width // across) * -(-height // down) if across and down else None
    lines = LINES.get(header.get("compression", b"")[:1])
    return -(-height // lines) if lines else None


def decoded(header: Header) -> int:
    """Bytes of a part's pixels, as they are kept in memory."""
    height, width = _size(header) or (0, 0)
    return height * width * sum(BYTES.get(kind, 4) for kind in types(header).values())


def types(header: Header) -> dict[bytes, int]:
    """The type of each channel of a part: a key of `BYTES`, in a whole file."""
    data, position = header.get("channels", b""), 0
    found: dict[bytes, int] = {}
    while (end := data.find(b"\0", position)) > position and end + 17 <= len(data):
        found[data[position:end]] = struct.unpack_from("<i", data, end + 1)[0]
        position = end + 17  # the type's four bytes, and twelve more
    return found


def _size(header: Header) -> tuple[int, int] | None:
    """Height and width of the data window."""
    data = header.get("dataWindow", b"")
    if len(data) != 16:
        return None
    left, top, right, bottom = struct.unpack("<4i", data)
    return (bottom - top + 1, right - left + 1) if right >= left and bottom >= top else None
