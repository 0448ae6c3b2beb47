"""What `structure.factor` does with every pixel, in one pass each, on a GPU (Triton).

Its torch form is the readable twin.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import triton
from torch import Tensor

from kpcn_core.ops import fusion
from kpcn_core.ops.fused_regression_kernel import (
    GUIDES,
    SUMS,
    factors_kernel,
    fit_kernel,
    products_kernel,
)

# Squares of a program, side by side. It is one warp: sums of what others have would wait for them.
SQUARES, WARPS = 16, 1
TILE = (4, 32)  # pixels of a program: rows, columns
LANES = 128  # squares of a program that fits them


class Guides(NamedTuple):
    """What explains structure; what is not finite counts as 0.

    Attributes:
        normal: [1,3,H,W], or None.
        albedo: [1,3,H,W], of which the mean counts, or None.
        share: what that mean is multiplied by.
    """

    normal: Tensor | None
    albedo: Tensor | None
    share: float

    @property
    def given(self) -> tuple[fusion.Image | None, fusion.Image | None, float]:
        """As kernels take them."""
        normal, albedo = (None if image is None else fusion.strided(image) for image in self[:2])
        return normal, albedo, self.share


def mean_products(
    noisy: Tensor, denoised: Tensor, guides: Guides, dark: Tensor, most: float, side: int
) -> Tensor:
    """Means of products over squares [P,H/side,W/side]; see `structure._fitted`.

    There are always four guides, of which those that are not given are 0: so are their factors.

    Args:
        noisy: color [1,3,H,W]; pixels that are not finite count nothing.
        denoised: likewise.
        guides: at least one.
        dark: one number, added to the brightness of the denoised pixels.
        most: how far a relative difference counts.
        side: of the squares, a power of 2.
    """
    height, width = noisy.shape[-2:]
    squares = triton.cdiv(height, side), triton.cdiv(width, side)
    found = noisy.new_empty((SUMS.value, *squares), dtype=torch.float32)
    fusion.launch(
        products_kernel, (triton.cdiv(squares[1], SQUARES), squares[0]), noisy,
        *map(fusion.strided, (noisy, denoised)), *guides.given, dark, found, height, width, most,
        SIDE=side, SQUARES=SQUARES, num_warps=WARPS,
    )  # fmt: skip
    return found


def fitted(products: Tensor, weights: Sequence[float], ridge: float, trust: float) -> Tensor:
    """The function of each square: a factor for each guide, and a constant [5,h,w].

    Args:
        products: of `mean_products` [P,h,w].
        weights: of the squares around, in each direction.
        ridge: variance of guides that says nothing.
        trust: how much of the variance that is left is added to it.
    """
    height, width = products.shape[-2:]
    found = products.new_empty((GUIDES.value + 1, height, width))
    fusion.launch(
        fit_kernel, (triton.cdiv(height * width, LANES),), products,
        products, found, height, width, ridge, trust, tuple(weights), LANES=LANES,
    )  # fmt: skip
    return found


def factors(
    functions: Tensor, guides: Guides, filtered: Tensor, bounds: tuple[float, float], side: int
) -> Tensor:
    """1 and what functions make of guides, each interpolated between squares [1,1,H,W].

    Args:
        functions: of `fitted` [5,h,w].
        guides: of `mean_products`.
        filtered: where it is not finite, the factor is 1 [1,3,H,W].
        bounds: the least and the largest factor.
        side: of the squares.
    """
    height, width = filtered.shape[-2:]
    found = filtered.new_empty((1, 1, height, width), dtype=torch.float32)
    fusion.launch(
        factors_kernel, (triton.cdiv(width, TILE[1]), triton.cdiv(height, TILE[0])), filtered,
        functions, *functions.shape[1:], *guides.given, fusion.strided(filtered), found,
        height, width, *bounds, SIDE=side, ROWS=TILE[0], COLUMNS=TILE[1],
    )  # fmt: skip
    return found
