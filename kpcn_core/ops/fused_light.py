"""Light of whole images, and what to multiply them by to keep it, on a GPU (Triton).

Twin of `brightness.gain`. Sums are of blocks first, in float64, so that they are the same at every
call.
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
    """What is given back of lost light.

    Attributes:
        most: the largest factor.
        tiny: what nothing is divided by less than.
    """

    most: float
    tiny: float


def block_sums(
    noisy: Tensor,
    valid: Tensor,
    clean: Tensor,
    albedos: tuple[Tensor, Tensor] | None,
    counting: tuple[float, float, float],
) -> Tensor:
    """Light kept, light lost and the variance of the latter of each block, float64 [N,3].

    Args:
        noisy: see `brightness.gain`, like the next three.
        valid: likewise.
        clean: likewise.
        albedos: likewise.
        counting: epsilon of `features.demodulator`, the times its brightness that a pixel can
            lose, and what is added to that.
    """
    height, width = clean.shape[-2:]
    programs = triton.cdiv(width, TILE[1]), triton.cdiv(height, TILE[0])
    found = clean.new_empty((programs[0] * programs[1], 3), dtype=torch.float64)
    before, after = (None, None) if albedos is None else map(fusion.strided, albedos)
    fusion.launch(
        sums_kernel, programs, found,
        *map(fusion.strided, (noisy, valid, clean)), before, after,
        found, height, width, *counting, ROWS=TILE[0], COLUMNS=TILE[1],
    )  # fmt: skip
    return found


def gain(sums: Tensor, rule: Rule) -> Tensor:
    """The factor that keeps the light [1,1,1,1], float32.

    Args:
        sums: of `block_sums`.
        rule: see there.
    """
    factor = torch.empty((1, 1, 1, 1), device=sums.device)
    fusion.launch(gain_kernel, (1,), sums, sums, len(sums), factor, *rule, LANES=LANES)
    return factor
