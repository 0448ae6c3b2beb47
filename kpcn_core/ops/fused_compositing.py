"""Filtered components to a color, and shares of the input back, in one pass each (Triton).

For GPUs; twins of `features.compose` and of what `composite` does elsewhere.
"""

from collections.abc import Mapping

import torch
import triton
from torch import Tensor

from kpcn_core.ops import fusion
from kpcn_core.ops.fused_compositing_kernel import compose_kernel, keep_kernel

TILE = (4, 128)  # pixels of a program: rows, columns


def composed(
    parts: Mapping[str, Tensor], factors: Mapping[str, Tensor], gain: Tensor, epsilon: float
) -> Tensor:
    """A color [1,3,H,W] of components that are multiplied by factors first.

    Args:
        parts: components by their names [1,3,H,W]; "specular" is needed.
        factors: of some of them [1,1,1,1].
        gain: what the sum is divided by [1,1,1,1].
        epsilon: of `features.demodulator`.
    """
    height, width = parts["specular"].shape[-2:]
    found = parts["specular"].new_empty((1, 3, height, width), dtype=torch.float32)
    light = [
        given
        for name in ("specular", "emission", "irradiance")
        for given in (fusion.strided(parts[name]) if name in parts else None, factors.get(name))
    ]
    albedo = fusion.strided(parts["albedo"]) if "irradiance" in parts else None
    fusion.launch(
        compose_kernel, _tiles(height, width), found,
        *light, albedo, gain, found, height, width, epsilon, ROWS=TILE[0], COLUMNS=TILE[1],
    )  # fmt: skip
    return found


def kept(result: Tensor, noisy: Tensor, share: Tensor | None) -> Tensor:
    """A result [1,C,H,W] with its share of the input [1,C,H,W]; see `composite.kept`."""
    channels, height, width = result.shape[1:]
    found = result.new_empty((1, channels, height, width), dtype=torch.float32)
    fusion.launch(
        keep_kernel, (*_tiles(height, width), channels), found,
        *(None if image is None else fusion.strided(image) for image in (result, noisy, share)),
        found, height, width, ROWS=TILE[0], COLUMNS=TILE[1],
    )  # fmt: skip
    return found


def _tiles(height: int, width: int) -> tuple[int, int]:
    return triton.cdiv(width, TILE[1]), triton.cdiv(height, TILE[0])
