"""Overlapped tiles: a large frame in pieces that give the same pixels as the whole."""

from collections.abc import Iterator
from dataclasses import dataclass

from kpcn_core.errors import UnknownName


@dataclass(frozen=True)
class Tile:
    """A rectangle to compute, and the larger one that must be read for it.

    Attributes:
        rows, columns: the pixels that this tile is responsible for.
        read_rows, read_columns: the same with the network's footprint around them, cut at the
            frame; they start at multiples of the alignment.
    """

    rows: slice
    columns: slice
    read_rows: slice
    read_columns: slice

    @property
    def inner(self) -> tuple[slice, slice]:
        """Where (rows, columns) lie within what was read."""
        return _shifted(self.rows, self.read_rows), _shifted(self.columns, self.read_columns)


def tiles(
    height: int,
    width: int,
    size: tuple[int, int],
    overlap: int,
    alignment: int,
    wide_edges: bool = False,
) -> Iterator[Tile]:
    """Cover a frame by tiles of at most a size, plus their overlap.

    Args:
        height: of the frame, pixels.
        width: of the frame, pixels.
        size: height and width of a tile without its overlap, pixels.
        overlap: how far the network sees beyond a pixel, pixels.
        alignment: what a tile's start must be a multiple of.
        wide_edges: make tiles at the edges of the frame larger by what they need not read there.
    """
    if min(size) < 1:
        raise UnknownName(f"A tile must be at least 1 pixel wide; got {min(size)}.")
    down, right = (
        list(_parts(length, side, overlap if wide_edges else 0, alignment))
        for side, length in zip(size, (height, width), strict=True)
    )
    for rows in down:
        for columns in right:
            yield Tile(
                rows,
                columns,
                _grown(rows, overlap, alignment, height),
                _grown(columns, overlap, alignment, width),
            )


def tile_size(
    height: int, width: int, memory: int, bytes_per_pixel: int, overlap: int, alignment: int = 1
) -> tuple[int, int]:
    """Size of the tiles, with wide edges, that keep within memory and read the fewest pixels.

    Args:
        height: of the frame, pixels.
        width: of the frame, pixels.
        memory: bytes that one tile may take.
        bytes_per_pixel: what the network needs at its peak.
        overlap: read around the tile on each side, pixels.
        alignment: see `tiles`.

    Returns:
        At least one pixel, also where not even that keeps within memory.
    """
    pixels = memory // bytes_per_pixel
    if height * width <= pixels:
        return height, width
    margin = 2 * overlap + alignment - 1  # a tile may start that much before its overlap
    best, least = (1, 1), None
    for rows in range(1, -(-height // alignment) + 1):
        tall = _share(height, rows, overlap, alignment)
        read = min(height, tall + margin)
        wide = (
            width if read * width <= pixels else (pixels // read - margin) // alignment * alignment
        )
        if wide < 1:
            continue
        columns = len(list(_parts(width, wide, overlap, alignment)))
        wide = _share(width, columns, overlap, alignment)
        total = (height + (rows - 1) * margin) * (width + (columns - 1) * margin)
        if least is None or total < least:
            best, least = (tall, wide), total
    return best


def _parts(length: int, side: int, edge: int, alignment: int) -> Iterator[slice]:
    """Cuts of a length into parts of a side; the first and the last may be larger by an edge."""
    side = length if side >= length else max(alignment, _floored(side, alignment))
    edge = _floored(edge, alignment)
    start, stop = 0, side + edge
    while stop + edge < length:
        yield slice(start, stop)
        start, stop = stop, stop + side
    yield slice(start, length)


def _share(length: int, parts: int, edge: int, alignment: int) -> int:
    """The side of each of so many parts, in whole cells."""
    if parts == 1:
        return length
    inner = length - 2 * _floored(edge, alignment)
    return max(alignment, -(-inner // (parts * alignment)) * alignment)


def _floored(pixels: int, alignment: int) -> int:
    return pixels // alignment * alignment


def _grown(inner: slice, overlap: int, alignment: int, end: int) -> slice:
    start = max(0, inner.start - overlap) // alignment * alignment
    return slice(start, min(end, inner.stop + overlap))


def _shifted(inner: slice, outer: slice) -> slice:
    return slice(inner.start - outer.start, inner.stop - outer.start)
