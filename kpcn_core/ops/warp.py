"""Images moved along motion vectors."""

from typing import NamedTuple

import torch
from torch import Tensor


class Positions(NamedTuple):
    """Where motion leads, each [B,h,w].

    Attributes:
        row: the upper pixel of the four between which that is; may be outside of the image.
        column: the left one.
        below: how near the lower one is, 0 to 1.
        right: how near the right one is.
        inside: whether it is in the image.
    """

    row: Tensor
    column: Tensor
    below: Tensor
    right: Tensor
    inside: Tensor


def warp(image: Tensor, motion: Tensor, origin: tuple[int, int] = (0, 0)) -> tuple[Tensor, Tensor]:
    """Fetch for every pixel p the image at p + motion(p), bilinearly.

    With `motion` from this frame to a neighbour, and the neighbour's image, the result is the
    neighbour seen from this frame (paper §3.3).

    Positions are kept as a whole pixel and a fraction, so that the result does not depend on where
    in a frame an image starts. Fastest for images whose channels lie together (channels-last).

    Args:
        image: [B,C,H,W]
        motion: pixels, +x right, +y down [B,2,h,w]
        origin: row and column of motion's first pixel in the image.

    Returns:
        The warped image [B,C,h,w], and a mask [B,1,h,w]: 1 where p + motion(p) is in the image,
        else 0; there the image's border is repeated.
    """
    height, width = image.shape[-2:]
    row, column, below, right, inside = positions(motion, height, width, origin)
    pixels = image.permute(0, 2, 3, 1).reshape(-1, image.shape[1])
    first = torch.arange(image.shape[0], device=image.device).view(-1, 1, 1) * (height * width)
    warped = torch.zeros((), dtype=image.dtype, device=image.device)
    for y, y_weight in ((row, 1 - below), (row + 1, below)):
        for x, x_weight in ((column, 1 - right), (column + 1, right)):
            index = first + y.clamp(0, height - 1) * width + x.clamp(0, width - 1)
            taken = pixels.index_select(0, index.flatten()).view(*index.shape, -1)
            warped = warped + taken * (y_weight * x_weight)[..., None].to(image.dtype)
    return warped.permute(0, 3, 1, 2), inside[:, None].to(image.dtype)


def positions(motion: Tensor, height: int, width: int, origin: tuple[int, int]) -> Positions:
    """Where motion leads in an image of a size; other arguments as of `warp`."""
    finite = torch.isfinite(motion).all(dim=1)
    steps = torch.where(finite[:, None], motion, 0.0).clamp(-1e6, 1e6)
    column, right, x_inside = _along(steps[:, 0], width, origin[1], dim=-1)
    row, below, y_inside = _along(steps[:, 1], height, origin[0], dim=-2)
    return Positions(row, column, below, right, finite & x_inside & y_inside)


def _along(steps: Tensor, length: int, start: int, dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """Whole pixel, fraction to the next, and whether it is inside, along one axis [B,h,w]."""
    whole = steps.floor()
    count = torch.arange(steps.shape[dim], device=steps.device) + start
    pixel = whole.long() + (count[:, None] if dim == -2 else count)
    fraction = steps - whole
    # The outermost pixels reach half a pixel beyond their centres.
    low = (pixel > -1) | ((pixel == -1) & (fraction >= 0.5))
    high = (pixel < length - 1) | ((pixel == length - 1) & (fraction <= 0.5))
    return pixel, fraction, low & high
