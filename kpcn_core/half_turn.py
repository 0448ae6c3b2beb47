"""A second pass over the same frame upside down, and the mean of both: `Settings.quality`.

No network answers a turned image with its turned answer: a part of its error depends on where the
cells and squares of its coarser scales begin, and on the order of its sums. Two passes err there in
two ways, and their mean by less (Timofte et al. 2016, "enhanced prediction"). A half turn is the
one that keeps sizes, and so tiles.
"""

from collections.abc import Mapping

import torch
from torch import Tensor


def turned(image: Tensor) -> Tensor:
    """An image [B,C,H,W] upside down, in memory of its own."""
    return image.flip(2, 3)


def averaged(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The means of filtered images and of those that are upside down [B,C,H,W].

    Where one of both is not a number, the other counts.
    """
    return {name: _mean(image, turned(second[name])) for name, image in first.items()}


def _mean(one: Tensor, other: Tensor) -> Tensor:
    mean = torch.lerp(one, other, 0.5)
    either = torch.where(one.isnan(), other, one)
    return torch.where(mean.isnan(), either, mean)
