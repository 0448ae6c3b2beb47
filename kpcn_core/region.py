"""Regions of frames: what a tile reads of the centre frame, and of the others, where motion leads.

A region is computed like a small frame of its own, so all of them start at multiples of the
network's alignment.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from kpcn_core.model.reconstruction import Image


class Region(NamedTuple):
    """A rectangle of pixels."""

    rows: slice
    columns: slice

    def of(self, image: Tensor) -> Tensor:
        """The part of an image [B,C,H,W]."""
        return image[..., self.rows, self.columns]

    def of_image(self, image: Image) -> Image:
        """The part of what kernels are applied to."""
        return Image(self.of(image.radiance), self.of(image.valid))

    def of_features(self, features: Sequence[Tensor], cells: Sequence[int]) -> list[Tensor]:
        """The part of a frame's features, each of cells of so many pixels along their sides."""
        rows, columns = (_ceiled(pixels, max(cells)) for pixels in self)
        return [
            level[..., _shrunk(rows, side), _shrunk(columns, side)]
            for level, side in zip(features, cells, strict=True)
        ]


def whole(height: int, width: int) -> Region:
    """All of a frame."""
    return Region(slice(0, height), slice(0, width))


def reached(
    motion: Tensor, tile: Region, margin: int, alignment: int, height: int, width: int
) -> Region:
    """What of another frame the kernels of a tile can read.

    Args:
        motion: from the pixels of the tile to the other frame [1,2,h,w].
        tile: where those are.
        margin: how far around the end of a vector is read, pixels.
        alignment: what the region's start must be a multiple of.
        height: of the frame.
        width: of the frame.
    """
    rows = torch.arange(tile.rows.start, tile.rows.stop, device=motion.device)[:, None]
    columns = torch.arange(tile.columns.start, tile.columns.stop, device=motion.device)
    y, x = rows + motion[0, 1], columns + motion[0, 0]
    # The coarsest pixels are as large as the alignment, and reach beyond the frame.
    inside = (y > -alignment) & (y < height + alignment)
    inside &= (x > -alignment) & (x < width + alignment)
    edges = [edge for positions in (y, x) for edge in _edges(positions, inside)]
    # Together: with each number that is asked for, the program waits for the device.
    top, bottom, left, right = torch.stack(edges).tolist()
    if top > bottom:
        return Region(slice(0, min(alignment, height)), slice(0, min(alignment, width)))
    return Region(
        _around(top, bottom, margin, alignment, height),
        _around(left, right, margin, alignment, width),
    )


def origin(tile: Region, other: Region) -> tuple[int, int]:
    """Row and column of a tile's first pixel, counted from another region's first."""
    return tile.rows.start - other.rows.start, tile.columns.start - other.columns.start


def _edges(positions: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
    """The first and the last; the first is behind the last where there is none."""
    return (
        torch.where(inside, positions, torch.inf).amin(),
        torch.where(inside, positions, -torch.inf).amax(),
    )


def _around(first: float, last: float, margin: int, alignment: int, end: int) -> slice:
    start = max(0, int(first) - margin) // alignment * alignment
    return slice(start, min(end, int(last) + margin + 1))


def _ceiled(pixels: slice, alignment: int) -> slice:
    return slice(pixels.start, -(-pixels.stop // alignment) * alignment)


def _shrunk(pixels: slice, factor: int) -> slice:
    return slice(pixels.start // factor, pixels.stop // factor)
