"""Light of whole images, and what to multiply them by to keep it, on a GPU (Triton).

Twins of `restoration.light_of` and `restoration.light_gain`. Sums are of blocks first, in float64,
so that they are the same at every call.
"""

from typing import NamedTuple

import torch
import triton
from torch import Tensor

from kpcn_core.ops import fusion
from kpcn_core.ops.fused_light_kernel import gain_kernel, sums_kernel

TILE = (8, 128)  # pixels of a program: rows, columns
LANES = 1024  # sums of blocks that are added at once


class Rule(NamedTuple):
    """When a loss of light is more than chance, and what is given back of it.

    Attributes:
        certain: times the variance that the squared loss must exceed.
        most: the largest factor.
        tiny: what nothing is divided by less than.
    """

    certain: float
    most: float
    tiny: float


def block_sums(
    noisy: tuple[Tensor, Tensor] | None,
    denoised: Tensor,
    albedos: tuple[Tensor, Tensor] | None,
    epsilon: float,
) -> Tensor:
    """Light kept, light lost and the variance of the latter of each block, float64 [N,3].

    Args:
        noisy: an image [1,3,H,W] and the variance of its pixels, or None for light kept alone.
        denoised: what is not finite counts nothing [1,3,H,W].
        albedos: what the noisy pixels are multiplied by, and the denoised ones.
        epsilon: of `features.demodulator`.
    """
    height, width = denoised.shape[-2:]
    programs = triton.cdiv(width, TILE[1]), triton.cdiv(height, TILE[0])
    found = denoised.new_empty((programs[0] * programs[1], 3), dtype=torch.float64)
    mean, variance = (None, None) if noisy is None else map(fusion.strided, noisy)
    before, after = (None, None) if albedos is None else map(fusion.strided, albedos)
    fusion.launch(
        sums_kernel, programs, found,
        mean, fusion.strided(denoised), variance, before, after,
        found, height, width, epsilon, ROWS=TILE[0], COLUMNS=TILE[1],
    )  # fmt: skip
    return found


def gain(sums: Tensor, known: tuple[Tensor, Tensor] | None, rule: Rule) -> tuple[Tensor, Tensor]:
    """The factor that keeps the light [1,1,1,1], float32, and the noisy light with its variance.

    Args:
        sums: of `block_sums`.
        known: the noisy light and its variance, float64, where a first call has found them.
        rule: see there.
    """
    factor = torch.empty((1, 1, 1, 1), device=sums.device)
    light = sums.new_empty(2)
    noisy, squares = (None, None) if known is None else known
    fusion.launch(
        gain_kernel, (1,), sums, sums, len(sums), noisy, squares, factor, light, *rule, LANES=LANES
    )
    return factor, light
