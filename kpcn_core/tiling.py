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
    height: int, width: int, size: tuple[int, int], overlap: int, alignment: int
) -> Iterator[Tile]:
    """Cover a frame by tiles of at most a size, plus their overlap.

    Args:
        height: of the frame, pixels.
        width: of the frame, pixels.
        size: height and width of a tile without its overlap, pixels.
        overlap: how far the network sees beyond a pixel, pixels.
        alignment: what a tile's start must be a multiple of.
    """
    if min(size) < 1:
        raise UnknownName(f"A tile must be at least 1 pixel wide; got {min(size)}.")
    down, right = (
        length if side >= length else max(alignment, side // alignment * alignment)
        for side, length in zip(size, (height, width), strict=True)
    )
    for row in range(0, height, down):
        rows = slice(row, min(row + down, height))
        for column in range(0, width, right):
            columns = slice(column, min(column + right, width))
            yield Tile(
                rows,
                columns,
                _grown(rows, overlap, alignment, height),
                _grown(columns, overlap, alignment, width),
            )


def tile_size(
    height: int, width: int, memory: int, bytes_per_pixel: int, overlap: int, alignment: int = 1
) -> tuple[int, int]:
    """Height and width of the tiles that keep within memory and read the fewest pixels in all.

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
        tall = _share(height, rows, alignment)
        read = min(height, tall + margin)
        wide = (
            width if read * width <= pixels else (pixels // read - margin) // alignment * alignment
        )
        if wide < 1:
            continue
        columns = -(-width // wide)
        wide = _share(width, columns, alignment)
        total = rows * columns * read * min(width, wide + margin)
        if least is None or total < least:
            best, least = (tall, wide), total
    return best


def _share(length: int, parts: int, alignment: int) -> int:
    """What each of so many parts has, in whole cells."""
    return -(-length // (parts * alignment)) * alignment


def _grown(inner: slice, overlap: int, alignment: int, end: int) -> slice:
    start = max(0, inner.start - overlap) // alignment * alignment
    return slice(start, min(end, inner.stop + overlap))


def _shifted(inner: slice, outer: slice) -> slice:
    return slice(inner.start - outer.start, inner.stop - outer.start)
