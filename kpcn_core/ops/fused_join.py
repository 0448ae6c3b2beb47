"""The join of two scales in one pass over the pixels (Triton); see `pyramid.interpolating_join`.

That function is its readable twin: some hundred small operations, whose launches alone take a GPU
longer than this takes. For inference, like `ops.fused`.
"""

import torch
import triton
from torch import Tensor

from kpcn_core.ops.fused_join_kernel import join_kernel
from kpcn_core.ops.pyramid import JOIN_LOGITS

TILE = 128  # blocks of 2x2 pixels of a program


def joined(sums: Tensor, coarse: Tensor, logits: Tensor) -> Tensor:
    """`interpolating_join_masked` of `renormalized` sums.

    Args:
        sums: weighted radiance, and as last channel the weights [B,C+1,H,W], H and W even.
        coarse: the image of the next scale with its mask [B,C+1,H/2,W/2].
        logits: [B,6,H,W].

    Returns:
        The joined image with its mask [B,C+1,H,W], float32.
    """
    sums, coarse, logits = (each.float().contiguous() for each in (sums, coarse, logits))
    batch, channels, height, width = sums.shape
    low_height, low_width = height // 2, width // 2
    if coarse.shape != (batch, channels, low_height, low_width):
        raise ValueError(f"coarse is {list(coarse.shape)}, beside sums of {list(sums.shape)}")
    if logits.shape != (batch, JOIN_LOGITS, height, width):
        raise ValueError(f"logits are {list(logits.shape)}, beside sums of {list(sums.shape)}")
    result = torch.empty_like(sums)
    _launch(sums, coarse, logits, result)
    return result


def _launch(sums: Tensor, coarse: Tensor, logits: Tensor, result: Tensor) -> None:
    """One pass over all blocks; `result` is filled."""
    batch, channels, height, width = coarse.shape
    # Triton launches on the current device, which need not be the tensors'.
    with torch.cuda.device_of(sums):  # type: ignore[no-untyped-call]
        join_kernel[(triton.cdiv(height * width, TILE), batch)](
            sums, coarse, logits, result, height, width,
            CHANNELS=channels - 1, LOGITS=JOIN_LOGITS, TILE=TILE,
        )  # fmt: skip
