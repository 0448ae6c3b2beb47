"""Input planes of an encoder, in one pass over the pixels (Triton); for GPUs.

`features.joint_planes` and `component_planes` are their readable twins, with what follows them: a
size grown to what the network reads, channels last, and the network's precision. For inference,
like `ops.fused`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import triton
from torch import Tensor

from kpcn_core.ops import fusion
from kpcn_core.ops.fused_planes_kernel import (
    DEVIATION,
    LOGARITHM,
    NOTHING,
    ONE,
    VALUE,
    coarser_kernel,
    planes_kernel,
)

TILE = 128  # pixels of a program
COARSE_TILE = 256  # blocks of 2x2 pixels of a program


class Plane(NamedTuple):
    """Some planes of an encoder.

    Attributes:
        kind: what they are of their image; of NOTHING and ONE there is none.
        channels: how many they are.
        image: what they are made of [1,C,H,W].
        variance: of a DEVIATION [1,C,H,W].
    """

    kind: int
    channels: int = 1
    image: Tensor | None = None
    variance: Tensor | None = None


def nothing(channels: int) -> Plane:
    """Planes of 0."""
    return Plane(NOTHING.value, channels)


def one() -> Plane:
    """A plane of 1, beyond the images as well."""
    return Plane(ONE.value)


def value(image: Tensor) -> Plane:
    """An image as it is; here and below, what is not finite counts as 0."""
    return Plane(VALUE.value, image.shape[1], image)


def logarithm(image: Tensor) -> Plane:
    """`features.signed_log`."""
    return Plane(LOGARITHM.value, image.shape[1], image)


def deviation(image: Tensor, variance: Tensor) -> Plane:
    """`features.relative_deviation` of images of three channels."""
    return Plane(DEVIATION.value, 1, image, variance)


def write(
    planes: Sequence[Plane], size: tuple[int, int], epsilon: float, fold: int, out: Tensor
) -> None:
    """Fill an image with planes, one after another.

    Args:
        planes: of images of one size.
        size: their height and width.
        epsilon: floor of the squared mean of a deviation.
        fold: pixels of a cell along each side, see `torch.nn.PixelUnshuffle`.
        out: [1,P*fold**2,H/fold,W/fold], channels last; what is larger than the images is filled
            with 0.
    """
    images: list[Tensor] = []
    layout: list[tuple[int, int, int]] = []
    for plane in planes:
        layout += ((plane.kind, len(images), channel) for channel in range(plane.channels))
        images += (each for each in (plane.image, plane.variance) if each is not None)
    depth, grown_height, grown_width = out.shape[1] // fold**2, *(fold * n for n in out.shape[2:])
    if len(layout) != depth:
        raise ValueError(f"there are {len(layout)} planes for an image of {list(out.shape)}")
    levels = (depth - 1).bit_length()
    filled = [*layout, *[(NOTHING.value, 0, 0)] * (2**levels - depth)]
    kinds, places, channels = (tuple(column) for column in zip(*filled, strict=True))
    count = grown_height * grown_width
    fusion.launch(
        planes_kernel, [triton.cdiv(count, TILE)], out,
        tuple(fusion.strided(image) for image in images), out, *size, grown_width, count,
        KINDS=kinds, IMAGES=places, CHANNELS=channels,
        DEPTH=depth, LEVELS=levels, FOLD=fold, EPSILON=epsilon, TILE=TILE,
    )  # fmt: skip


def coarser(
    image: Tensor, size: tuple[int, int], valid: Tensor | None = None, variance: bool = False
) -> Tensor:
    """`pyramid.down` or `down_variance` of an image that is grown with 0.

    Args:
        image: [1,C,H,W].
        size: height and width of the result; what is beyond the image is 0.
        valid: nonzero where a pixel counts [1,1,H,W], 0 beyond; None: where a number is finite, and
            beyond.
        variance: `down_variance`.
    """
    result = image.new_empty((1, image.shape[1], *size))
    _launch_coarser(image, valid, result, None, variance)
    return result


def coarser_masked(image: Tensor, size: tuple[int, int], valid: Tensor) -> tuple[Tensor, Tensor]:
    """The same with a mask, and `pyramid.down_valid` of that [1,1,h,w]."""
    result = image.new_empty((1, image.shape[1], *size))
    found = torch.empty_like(result[:, :1])
    _launch_coarser(image, valid, result, found, False)
    return result, found


def _launch_coarser(
    image: Tensor, valid: Tensor | None, result: Tensor, found: Tensor | None, variance: bool
) -> None:
    """One pass over all channels; `result` is filled, and so is the mask that is asked for."""
    channels, height, width = result.shape[1:]
    fusion.launch(
        coarser_kernel, [triton.cdiv(height * width, COARSE_TILE), channels], result,
        fusion.strided(image), None if valid is None else fusion.strided(valid), result, found,
        *image.shape[-2:], height, width, VARIANCE=variance, TILE=COARSE_TILE,
    )  # fmt: skip
