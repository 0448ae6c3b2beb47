"""The join of two scales in one pass over the pixels (Triton); see `pyramid.interpolating_join`.

That function is its readable twin: some hundred small operations, whose launches alone take a GPU
longer than this takes. For inference, like `ops.fused`.
"""

import torch
import triton
from torch import Tensor

from kpcn_core.ops import fusion
from kpcn_core.ops.fused import PRECISION, TILE_CHANNELS, rows_of
from kpcn_core.ops.fused_join_kernel import join_kernel
from kpcn_core.ops.pyramid import JOIN_LOGITS

TILE = 64  # blocks of 2x2 pixels of a program


def joined(sums: Tensor, coarse: Tensor, features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """`interpolating_join_masked` of `renormalized` sums, by logits that are never stored.

    Args:
        sums: weighted radiance, and as last channel the weights [B,C+1,H,W], H and W even.
        coarse: the image of the next scale with its mask [B,C+1,H/2,W/2].
        features: that the logits are made from [B,F,H,W].
        weight: of the layer that makes them [6,F]; taken in the precision of the features.
        bias: of the same [6].

    Returns:
        The joined image with its mask [B,C+1,H,W], float32.
    """
    sums, coarse = (each.float().contiguous() for each in (sums, coarse))
    batch, channels, height, width = sums.shape
    low_height, low_width = height // 2, width // 2
    if coarse.shape != (batch, channels, low_height, low_width):
        raise ValueError(f"coarse is {list(coarse.shape)}, beside sums of {list(sums.shape)}")
    if features.shape[2:] != (height, width) or len(weight) != JOIN_LOGITS:
        raise ValueError(
            f"features are {list(features.shape)} and their layer {list(weight.shape)}, beside "
            f"sums of {list(sums.shape)}"
        )
    result = torch.empty_like(sums)
    matrix = weight.to(features.dtype).contiguous()
    rows = rows_of(features)
    fusion.launch(
        join_kernel, [triton.cdiv(low_height * low_width, TILE), batch], sums,
        sums, coarse, rows, matrix, bias.float(), result, low_height, low_width,
        CHANNELS=channels - 1, LOGITS=JOIN_LOGITS, FEATURES=rows.shape[-1],
        PADDED=max(TILE_CHANNELS, triton.next_power_of_2(rows.shape[-1])), TILE=TILE,
        PRECISION=PRECISION,
    )  # fmt: skip
    return result
