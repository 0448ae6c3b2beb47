"""Kernels repositioned along motion, one softmax over all frames of a window (paper §3.3).

The kernel of a pixel is moved as a whole, by the rounded motion from the centre frame to another:
its taps lie at whole pixels, so noisy pixels are weighted and summed, but never resampled.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional

from kpcn_core.ops.kernels import (
    kernel_size,
    normalized,
    softmax_numerators,
    weighted_sum,
    with_mask,
)


class Share(NamedTuple):
    """What one frame adds to the joint softmax; far smaller than the frame's logits.

    Attributes:
        sums: the weighted radiance, and as last channel the weights [B,C+1,h,w], all divided by
            exp(peak).
        peak: the largest logit of the pixel in this frame [B,1,h,w].
    """

    sums: Tensor
    peak: Tensor


def filter_window(
    radiance: Sequence[Tensor],
    logits: Sequence[Tensor],
    motion: Sequence[Tensor],
    valid: Sequence[Tensor] | None = None,
    origin: tuple[int, int] = (0, 0),
) -> Tensor:
    """Filter a window of frames by kernels that are normalized together.

    To hold the logits of only one frame at a time, call `share` frame by frame and `joint` at last.

    Args:
        radiance: linear values of every frame [B,C,H,W].
        logits: every frame's kernels before softmax [B,k*k,h,w], at the pixels of the centre.
        motion: from the centre frame to every frame [B,2,h,w]; zero for the centre itself.
        valid: 1 where a pixel of a frame may be read [B,1,H,W]; None means everywhere.
        origin: row and column of the logits' first pixel in the frame that is filtered.

    Returns:
        The centre frame, or the tile of it, filtered [B,C,h,w]; NaN where no kernel covers a valid
        pixel.
    """
    masks: Sequence[Tensor | None] = valid or [None] * len(radiance)
    frames = zip(radiance, logits, motion, masks, strict=True)
    return joint([share(*frame, origin) for frame in frames])


def share(
    radiance: Tensor,
    logits: Tensor,
    motion: Tensor,
    valid: Tensor | None = None,
    origin: tuple[int, int] = (0, 0),
) -> Share:
    """Apply one frame's repositioned kernels, not yet normalized.

    Where motion leaves the frame, or is not finite, the frame adds nothing; taps outside the image
    or on pixels that are not valid count nothing either. Arguments as for `filter_window`.
    """
    return masked_share(with_mask(radiance, valid), logits, motion, origin)


def masked_share(
    image: Tensor, logits: Tensor, motion: Tensor, origin: tuple[int, int] = (0, 0)
) -> Share:
    """`share` of an image that comes with its mask [B,C+1,H,W]."""
    target, inside = targets(motion, image.shape[-2], image.shape[-1], origin)
    weights = softmax_numerators(logits)
    size = kernel_size(logits)
    sums: Tensor = _GatheredSum.apply(image, weights, target, size)  # type: ignore[no-untyped-call]
    return Share(sums * inside, _peak(logits, weights))


def share_in_place(radiance: Tensor, logits: Tensor, valid: Tensor | None = None) -> Share:
    """`share` of the centre frame, whose kernels stay where they are."""
    return masked_share_in_place(with_mask(radiance, valid), logits)


def masked_share_in_place(image: Tensor, logits: Tensor) -> Share:
    """`share_in_place` of an image that comes with its mask [B,C+1,H,W]."""
    weights = softmax_numerators(logits)
    return Share(weighted_sum(image, weights), _peak(logits, weights))


def joint(shares: Sequence[Share]) -> Tensor:
    """Normalize the shares of all frames together: the joint softmax of their kernels [B,C,h,w]."""
    return normalized(together(shares).sums)


def together(shares: Sequence[Share]) -> Share:
    """The share of several frames."""
    if len(shares) == 1:
        return shares[0]
    weights = torch.stack([share.sums[:, -1:].detach() for share in shares])
    # Frames that add nothing must not set the scale: all others might then vanish beside them.
    peaks = torch.stack([share.peak for share in shares])
    peaks = torch.where(weights > 0, peaks, -torch.inf)
    peak = peaks.amax(dim=0)
    scales = (peaks - peak).exp().nan_to_num(0.0)
    total = torch.zeros_like(shares[0].sums)
    for one, scale in zip(shares, scales, strict=True):
        total = total + one.sums * scale
    return Share(total, peak)


def _peak(logits: Tensor, weights: Tensor) -> Tensor:
    return logits.detach().amax(dim=1, keepdim=True).to(weights.dtype)


def targets(
    motion: Tensor, height: int, width: int, origin: tuple[int, int] = (0, 0)
) -> tuple[Tensor, Tensor]:
    """The pixel nearest to p + motion(p), for every pixel p.

    Args:
        motion: pixels, +x right, +y down [B,2,h,w].
        height: of the frame that motion leads to.
        width: of the same.
        origin: row and column of the first p in the frame that motion leads to.

    Returns:
        Its index y*width + x [B,h,w], and a mask [B,1,h,w]: 1 where it is in the frame, else 0;
        there the index is 0.
    """
    y = torch.arange(motion.shape[-2], device=motion.device)[:, None] + origin[0]
    x = torch.arange(motion.shape[-1], device=motion.device) + origin[1]
    # Not a number, or far away: both are outside, and small enough for an integer.
    near = torch.nan_to_num(motion.float(), nan=torch.inf).clamp(-1e6, 1e6)
    # Halves always go up: rounded to even, they would depend on where a tile starts.
    steps = (near + 0.5).floor().long()
    row, column = y + steps[:, 1], x + steps[:, 0]
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    index = torch.where(inside, row * width + column, 0)
    return index, inside[:, None].to(motion.dtype)


class _GatheredSum(torch.autograd.Function):
    """Sum over taps of weight times the image at the target and the tap's offset.

    Tap by tap, with the channels of a pixel side by side, so that nothing of size C*k*k is stored
    and each lookup brings a whole pixel.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, image: Tensor, weights: Tensor, target: Tensor, size: int
    ) -> Tensor:
        """Image [B,C,H,W], weights [B,k*k,h,w], target [B,h,w] -> [B,C,h,w]."""
        rows, index, offsets = _taps(image.to(weights.dtype), target, size)
        total = weights.new_zeros(*target.shape, image.shape[1]).flatten(1, 2)
        for total_b, rows_b, index_b, weights_b in zip(
            total, rows, index, weights.flatten(2), strict=True
        ):
            for weight, offset in zip(weights_b, offsets, strict=True):
                total_b.addcmul_(weight[:, None], rows_b[offset:].index_select(0, index_b))
        ctx.save_for_backward(image, weights, target)
        return total.view(*target.shape, -1).permute(0, 3, 1, 2).contiguous()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None, None]:
        """Only the weights are learned; images and motion are data."""
        image, weights, target = ctx.saved_tensors
        size = math.isqrt(weights.shape[1])
        rows, index, offsets = _taps(image.to(weights.dtype), target, size)
        result = torch.empty_like(weights)
        by_pixel = gradient.permute(0, 2, 3, 1).flatten(1, 2).contiguous()
        for result_b, rows_b, index_b, gradient_b in zip(
            result.flatten(2), rows, index, by_pixel, strict=True
        ):
            for product, offset in zip(result_b, offsets, strict=True):
                taken = rows_b[offset:].index_select(0, index_b)
                torch.sum(taken.mul_(gradient_b), dim=-1, out=product)
        return None, result, None, None


def _taps(image: Tensor, target: Tensor, size: int) -> tuple[Tensor, Tensor, list[int]]:
    """Where the taps lie: padded pixels [B,N,C], at index [B,h*w] plus one offset a tap."""
    width = image.shape[-1]
    padded = functional.pad(image, [size // 2] * 4)
    stride = width + size - 1
    index = target // width * stride + target % width
    offsets = [row * stride + column for row in range(size) for column in range(size)]
    return padded.flatten(2).transpose(1, 2).contiguous(), index.flatten(1), offsets
