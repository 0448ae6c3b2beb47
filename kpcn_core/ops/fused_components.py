"""Exposure and components of a frame, each in one pass over the pixels, on a GPU (Triton).

`features.exposure` and `features.component` are their readable twins: a hundred small operations,
whose launches alone take a GPU longer than this takes. No number is asked for, so the program does
not wait. For inference, like `ops.fused`.
"""

from collections.abc import Sequence

import torch
import triton
from torch import Tensor

from kpcn_core.ops import fusion
from kpcn_core.ops.fused_components_kernel import (
    component_kernel,
    exposure_kernel,
    luminance_kernel,
)

TILE = 512  # pixels of a program
BLOCKS = 1024  # that are summed at a time


def exposure(color: Tensor, block: int, black: float, grey: float) -> Tensor:
    """The factor [1,1,1,1] that brings an image to middle grey.

    Args:
        color: [1,3,H,W].
        block: side of a block, pixels; a power of 2.
        black: luminance of a block that does not count.
        grey: what the others' geometric mean becomes.
    """
    color = _plain(color)
    height, width = color.shape[-2:]
    blocks = color.new_empty((triton.cdiv(height, block), triton.cdiv(width, block)))
    gain = color.new_empty((1, 1, 1, 1))
    count, across = blocks.numel(), blocks.shape[1]
    fusion.launch(
        luminance_kernel, [count], color, color, blocks, height, width, across, SIDE=block
    )
    fusion.launch(
        exposure_kernel, [1], color, blocks, gain, count, BLACK=black, GREY=grey, TILE=BLOCKS
    )
    return gain


def component(
    images: Sequence[Tensor],
    variance: Tensor | None,
    gain: Tensor | None,
    albedo: Tensor | None,
    epsilon: float,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Scale an image and its variance, and mask what is not finite.

    Args:
        images: one [1,3,H,W], and up to two that are subtracted from it.
        variance: of the image, likewise.
        gain: exposure factor [1,1,1,1]; None is 1.
        albedo: what the image is divided by, likewise; None is 1.
        epsilon: what is added to the albedo.

    Returns:
        Radiance, its variance, and its mask [1,1,H,W].
    """
    image, *less = (_plain(one) for one in images)
    radiance, valid = torch.empty_like(image), torch.empty_like(image[:, :1])
    spread = None if variance is None else torch.empty_like(image)
    others = (None if one is None else _plain(one) for one in (variance, gain, albedo))
    fusion.launch(
        component_kernel, [triton.cdiv(valid.numel(), TILE)], image,
        image, *[*less, None, None][:2], *others, radiance, spread, valid, valid.numel(),
        EPSILON=epsilon, TILE=TILE,
    )  # fmt: skip
    return radiance, spread, valid


def _plain(image: Tensor) -> Tensor:
    return image.float().contiguous()
