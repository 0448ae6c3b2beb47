"""Exposure and components of a frame on a CPU, in few passes; needs the extra "cpu"."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kpcn_core.features import (
    ALBEDO_EPSILON,
    EXPOSURE_BLOCK,
    Component,
    block_exposure,
    block_luminance,
)
from kpcn_core.ops.workers import each, in_rows

Floats = NDArray[np.float32]

NOTHING: Floats = np.empty((0, 0, 0), np.float32)
FEW = 2  # rows of blocks that a thread does at a time


def exposure(color: Tensor) -> Tensor:
    """`features.exposure` of one image on a CPU, some rows at a time, which its caches hold."""
    height, width = (-(-length // EXPOSURE_BLOCK) for length in color.shape[-2:])
    blocks = color.new_empty(1, 1, height, width)

    def rows(first: int, last: int) -> None:
        seen = color[..., EXPOSURE_BLOCK * first : EXPOSURE_BLOCK * last, :]
        blocks[..., first:last, :] = block_luminance(seen)

    each(rows, [(first, min(first + FEW, height)) for first in range(0, height, FEW)])
    return block_exposure(blocks)


def component(
    name: str,
    images: Sequence[Tensor],
    variance: Tensor | None,
    gain: Tensor | None = None,
    albedo: Tensor | None = None,
) -> Component:
    """`features.component` of one image on a CPU; at most two others are subtracted from it."""
    # numba takes its time to be imported.
    from kpcn_core.ops.components import mask_rows

    read = [image[0].numpy() for image in images]
    radiance, valid = torch.empty_like(images[0]), torch.empty_like(images[0][:, :1])
    spread = None if variance is None else torch.empty_like(variance)
    image, less, less_still = [*read, NOTHING, NOTHING][:3]
    factor = np.float32(1.0 if gain is None else gain.item())

    def rows(first: int, last: int) -> None:
        mask_rows(
            image, less, less_still, _pixels(variance), _pixels(albedo), factor,
            np.float32(ALBEDO_EPSILON), first, last, radiance[0].numpy(), _pixels(spread),
            valid[0].numpy(),
        )  # fmt: skip

    in_rows(rows, radiance.shape[-2])
    return Component(name, radiance, spread, valid)


def _pixels(image: Tensor | None) -> Floats:
    found: Floats = NOTHING if image is None else image[0].numpy()
    return found
