"""Where to crop: more often where there is something to learn (Bako et al. 2017, §5.2).

Darts are thrown onto the image, never too close to each other, and then pruned so that those on
varied content remain.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from kpcn_core import features
from training.views import REFERENCE, View

WINDOW = 9
# Below this square of an exposed color, variation counts as absolute rather than relative.
DARK = 1e-2
DARTS = 96
KEPT = 0.5
# Darts lie at least this part of a patch apart, less if there is no room.
SPACING = 0.25
ATTEMPTS = 8

Corners = NDArray[np.int64]  # [N,2] top and left of patches


def importance(color: Tensor, normal: Tensor) -> Tensor:
    """How varied the content around each pixel is: relative variance of color, and of normals.

    Args:
        color: exposed colors [3,H,W].
        normal: normals [3,H,W].

    Returns:
        [H,W], mean 1 unless the image is constant, then 0.
    """
    mean, variance = _local(color)
    relative = (variance / (mean.square() + DARK)).mean(dim=0)
    bent = _local(normal)[1].mean(dim=0)
    # The root keeps a few strong edges from taking all patches.
    return sum((_normalized(part ** (1 / 2.2)) for part in (relative, bent)), torch.tensor(0.0)) / 2


def select(weights: Tensor, size: int, generator: np.random.Generator) -> Corners:
    """Throw darts and keep those on important content.

    Args:
        weights: importance [H,W], at least size x size.
        size: side of a patch.
        generator: random numbers.
    """
    means = functional.avg_pool2d(weights[None, None], size, stride=1)[0, 0].numpy()
    corners = _darts(means.shape, size, generator)
    chances = means[corners[:, 0], corners[:, 1]].astype(np.float64)
    total = chances.sum()
    if total <= 0:
        return corners
    return corners[_diffused(np.minimum(chances * KEPT * len(corners) / total, 1.0))]


def select_from(view: View, size: int, generator: np.random.Generator) -> Corners:
    """Patches of a view, chosen by its reference."""
    reference = view.aovs([REFERENCE])
    color = torch.from_numpy(reference["color"])
    exposed = torch.nan_to_num(color * features.exposure(color[None])[0])
    # A source without normals shows its content by colors alone.
    normal = torch.nan_to_num(torch.from_numpy(reference.get("normal", reference["color"])))
    return select(importance(exposed, normal), size, generator)


def uniform(height: int, width: int, size: int, generator: np.random.Generator) -> tuple[int, int]:
    """Top and left of a patch anywhere in an image."""
    return (
        int(generator.integers(height - size, endpoint=True)),
        int(generator.integers(width - size, endpoint=True)),
    )


def _local(image: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel over a window."""
    window = min(WINDOW, *(size // 2 * 2 - 1 for size in image.shape[-2:]))
    window = max(window, 1)

    def mean_of(values: Tensor) -> Tensor:
        return functional.avg_pool2d(
            values[None], window, stride=1, padding=window // 2, count_include_pad=False
        )[0]

    mean = mean_of(image)
    return mean, (mean_of(image.square()) - mean.square()).clamp(min=0.0)


def _normalized(values: Tensor) -> Tensor:
    return values / values.mean().clamp(min=1e-6)


def _darts(room: tuple[int, ...], size: int, generator: np.random.Generator) -> Corners:
    """Corners at a distance from each other; the distance shrinks where there is no room."""
    distance = SPACING * size
    corners = np.empty((0, 2), np.int64)
    for _ in range(DARTS):
        for _ in range(ATTEMPTS):
            dart = generator.integers(room)
            if (((corners - dart) ** 2).sum(axis=1) >= distance**2).all():
                break
            distance *= 0.97
        corners = np.append(corners, dart[None], axis=0)
    return corners


def _diffused(chances: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Keep each with its chance; the rounding error passes on to the next (error diffusion)."""
    kept = np.zeros(len(chances), np.bool_)
    error = 0.5
    for index, chance in enumerate(chances):
        error += chance
        kept[index] = error >= 1.0
        error -= kept[index]
    return kept
