"""What `restoration.surplus` measures of every pixel, in one pass each, on a GPU (Triton).

Its torch form is the readable twin, whose many small operations each go over the memory.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import triton
from torch import Tensor

from kpcn_core.ops import fusion
from kpcn_core.ops.fused_surplus_kernel import floor_kernel, shares_kernel, squares_kernel

SQUARES = 32  # of a program, side by side
TILE, SMALL = (8, 64), (4, 32)  # pixels of a program: rows, columns


class Measured(NamedTuple):
    """Variances and squared differences, relative to the brightness.

    Attributes:
        noise: the variances [H,W]; 0 where a pixel is not usable.
        seen: the squared differences [H,W]; likewise.
        doubts: how many times the noise must be seen [H,W]; -1 where a pixel is not usable.
        pooled: means of the noise over squares [H/side,W/side].
    """

    noise: Tensor
    seen: Tensor
    doubts: Tensor
    pooled: Tensor


def relative_squares(
    noisy: Tensor,
    denoised: Tensor,
    variance: Tensor,
    count: Tensor,
    dark: Tensor | float,
    noise_counts: tuple[float, float],
    side: int,
) -> Measured:
    """What is to be known of each pixel by itself; see `restoration.surplus`.

    Args:
        noisy: [1,3,H,W].
        denoised: [1,3,H,W].
        variance: [1,3,H,W]; what is not finite counts as 0.
        count: samples a pixel [1,1,H,W].
        dark: brightness below which nothing is relative to it; a number, or one of the device.
        noise_counts: see `restoration.surplus`.
        side: of the squares, a power of 2.
    """
    height, width = noisy.shape[-2:]
    squares = triton.cdiv(height, side), triton.cdiv(width, side)
    if not isinstance(dark, Tensor):
        dark = torch.full((), dark, device=noisy.device)
    noise, seen, doubts = torch.empty((3, height, width), device=noisy.device)
    found = Measured(noise, seen, doubts, torch.empty(squares, device=noisy.device))
    fusion.launch(
        squares_kernel, (triton.cdiv(squares[1], SQUARES), squares[0]), noisy,
        *(fusion.strided(image) for image in (noisy, denoised, variance, count)),
        dark, *found, height, width, *noise_counts, SIDE=side, SQUARES=SQUARES,
    )  # fmt: skip
    return found


def floor(pooled: Tensor, weights: Sequence[float], share: float) -> Tensor:
    """A share of weighted means of squares [h,w] and those around them, in both directions."""
    height, width = pooled.shape
    found = torch.empty_like(pooled)
    fusion.launch(
        floor_kernel, _tiles(height, width, SMALL), pooled,
        pooled, found, height, width, share, tuple(weights),
        ROWS=SMALL[0], COLUMNS=SMALL[1],
    )  # fmt: skip
    return found


def shares(
    measured: Measured, least: Tensor, weights: Sequence[float], side: int, tiny: float
) -> Tensor:
    """The shares that noise does not explain [1,1,H,W], 0 to 1.

    Args:
        measured: of the pixels.
        least: noise, of squares [H/side,W/side].
        weights: of the pixels around, in each direction.
        side: of the squares.
        tiny: added to what is seen.
    """
    noise, seen, doubts, _ = measured
    height, width = noise.shape
    found = torch.empty_like(noise)
    fusion.launch(
        shares_kernel, _tiles(height, width, TILE), noise,
        noise, seen, doubts, least, found, height, width, tiny, tuple(weights),
        SIDE=side, ROWS=TILE[0], COLUMNS=TILE[1],
    )  # fmt: skip
    return found[None, None]


def _tiles(height: int, width: int, tile: tuple[int, int]) -> tuple[int, int]:
    """Programs of an image, in the order of the kernels."""
    return triton.cdiv(width, tile[1]), triton.cdiv(height, tile[0])
