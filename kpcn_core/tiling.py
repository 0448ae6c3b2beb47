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


def tiles(height: int, width: int, size: int, overlap: int, alignment: int) -> Iterator[Tile]:
    """Cover a frame by tiles of at most size x size pixels, plus their overlap.

    Args:
        height: of the frame, pixels.
        width: of the frame, pixels.
        size: side of a tile without its overlap, pixels.
        overlap: how far the network sees beyond a pixel, pixels.
        alignment: what a tile's start must be a multiple of.
    """
    if size < 1:
        raise UnknownName(f"A tile must be at least 1 pixel wide; got {size}.")
    step = max(alignment, size // alignment * alignment)
    for row in range(0, height, step):
        rows = slice(row, min(row + step, height))
        for column in range(0, width, step):
            columns = slice(column, min(column + step, width))
            yield Tile(
                rows,
                columns,
                _grown(rows, overlap, alignment, height),
                _grown(columns, overlap, alignment, width),
            )


def tile_size(height: int, width: int, memory: int, bytes_per_pixel: int, overlap: int) -> int:
    """Largest side of a square tile that keeps within memory, at least one pixel.

    Args:
        height: of the frame, pixels.
        width: of the frame, pixels.
        memory: bytes that one tile may take.
        bytes_per_pixel: what the network needs at its peak.
        overlap: read around the tile on each side, pixels.
    """
    if height * width * bytes_per_pixel <= memory:
        return max(height, width)
    return max(1, int((memory / bytes_per_pixel) ** 0.5) - 2 * overlap)


def _grown(inner: slice, overlap: int, alignment: int, end: int) -> slice:
    start = max(0, inner.start - overlap) // alignment * alignment
    return slice(start, min(end, inner.stop + overlap))


def _shifted(inner: slice, outer: slice) -> slice:
    return slice(inner.start - outer.start, inner.stop - outer.start)
