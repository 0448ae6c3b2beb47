"""Images moved along motion vectors."""

import torch
from torch import Tensor
from torch.nn import functional


def warp(image: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
    """Fetch for every pixel p the image at p + motion(p), bilinearly.

    With `motion` from this frame to a neighbour, and the neighbour's image, the result is the
    neighbour seen from this frame (paper §3.3).

    Args:
        image: [B,C,H,W]
        motion: pixels, +x right, +y down [B,2,h,w]

    Returns:
        The warped image [B,C,h,w], and a mask [B,1,h,w]: 1 where p + motion(p) is in the image,
        else 0; there the image's border is repeated.
    """
    height, width = image.shape[-2:]
    rows, columns = (
        torch.arange(length, device=motion.device, dtype=motion.dtype)
        for length in motion.shape[-2:]
    )
    x, y = columns + motion[:, 0], rows[:, None] + motion[:, 1]
    # grid_sample's -1 and 1 are the outer edges of the outermost pixels.
    grid = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    inside = (grid.abs() <= 1).all(dim=-1)
    warped = functional.grid_sample(
        image, torch.nan_to_num(grid), padding_mode="border", align_corners=False
    )
    return warped, inside[:, None].to(image.dtype)
