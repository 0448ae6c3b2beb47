"""Kernel prediction, joint softmax and weighted sum in one pass over the pixels (Triton).

The k*k logits of a pixel exist in registers only, a block of taps at a time, as scores do in flash
attention: a matrix product for the largest of them, and once more with the exponentials and the sum
of what the taps read. `share` is `ops.reposition.masked_share` of the logits that the last layer of
a `KernelPredictor` gives; that is its readable twin, and what the tests hold it against.

For inference: it has no gradient. Needs Triton, which CUDA builds of torch bring along; without a
GPU it runs in Triton's interpreter (TRITON_INTERPRET=1), for tests.
"""

import math

import torch
import triton
from torch import Tensor

from kpcn_core.ops import fusion
from kpcn_core.ops.fused_kernel import pack_kernel, share_kernel
from kpcn_core.ops.kernels import LOGIT_RANGE, kernel_size
from kpcn_core.ops.reposition import Share, targets

# Channels beside the mask that one launch sums; more layers take more launches.
CHANNELS = 3
# Pixels and taps of a program, and the least that a tensor core takes.
TILE_PIXELS, TILE_TAPS, TILE_CHANNELS = 128, 16, 16
PACKED_PIXELS = 256
LOG2_E = math.log2(math.e)
# Products of float32 in three of tensor cores: nearly exact, where plain ones spill registers.
PRECISION = "tf32x3"


def share(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    image: Tensor,
    motion: Tensor | None = None,
    origin: tuple[int, int] = (0, 0),
    onto: Share | None = None,
    base: Tensor | None = None,
) -> Share:
    """Predict one frame's kernels and apply them, not yet normalized.

    Args:
        features: of the centre's pixels [B,C,h,w], float32, float16 or bfloat16.
        weight: of the last layer [k*k,C], k odd; taken in the precision of the features.
        bias: of the same [k*k].
        image: linear values and their mask as last channel [B,D+1,H,W]; taken in float32.
        motion: from the centre to this frame, pixels [B,2,h,w]; None is the centre itself.
        origin: row and column, in this frame, of the features' first pixel.
        onto: the share of the frames so far, to which this one's is added.
        base: `first_taps` of the same, where it is known already.

    Returns:
        The share in float32. Where nothing valid is read its sums are 0.
    """
    size = kernel_size(weight[None, :, :, None])
    if base is None and motion is not None:
        base = first_taps(image, features, motion, origin, size)
    image = image.float().contiguous()
    batch, planes = image.shape[:2]
    sums = image.new_empty((batch, planes, *features.shape[-2:]))
    peak = torch.empty_like(sums[:, :1])
    matrix = weight.to(features.dtype).contiguous()
    for first in range(0, planes - 1, CHANNELS):
        # Every launch finds the same largest logits and weights anew.
        colors = min(CHANNELS, planes - 1 - first)
        packed = _packed(image, first, colors, size // 2)
        _launch(rows_of(features), matrix, bias, packed, base, onto, sums, peak, first, origin)
    return Share(sums, peak)


def rows_of(features: Tensor) -> Tensor:
    """Features pixel by pixel [B,h*w,C]; those whose channels lie together are read as they are."""
    return features.flatten(2).transpose(1, 2).contiguous()


def _launch(
    rows: Tensor,
    matrix: Tensor,
    bias: Tensor,
    packed: Tensor,
    base: Tensor | None,
    onto: Share | None,
    sums: Tensor,
    peak: Tensor,
    first: int,
    origin: tuple[int, int],
) -> None:
    """One pass over all pixels; `sums` and `peak` are filled."""
    count, channels = rows.shape[1:]
    before = Share(sums, peak) if onto is None else onto
    fusion.launch(
        share_kernel, [triton.cdiv(count, TILE_PIXELS), len(rows)], rows,
        rows, matrix, bias.float(), packed.view(torch.int64), peak if base is None else base,
        before.sums.contiguous(), before.peak.contiguous(), sums, peak,
        count, sums.shape[-1], packed.shape[2], packed[0].numel() // 2, sums.shape[1], first,
        *origin,
        CHANNELS=channels, PADDED=max(TILE_CHANNELS, triton.next_power_of_2(channels)),
        SIDE=math.isqrt(len(matrix)), COLORS=min(CHANNELS, sums.shape[1] - 1 - first),
        MOVES=base is not None, ADDS=onto is not None,
        TILE_PIXELS=TILE_PIXELS, TILE_TAPS=TILE_TAPS, LEAST=-LOGIT_RANGE * LOG2_E,
        SCALE=LOG2_E, PRECISION=PRECISION,
    )  # fmt: skip


def _packed(image: Tensor, first: int, colors: int, radius: int) -> Tensor:
    """Each pixel as four numbers, with a border of pixels that count nothing [B,H+2r,W+2r,4]."""
    batch, planes, height, width = image.shape
    size = height + 2 * radius, width + 2 * radius
    packed = image.new_empty((batch, *size, CHANNELS + 1))
    fusion.launch(
        pack_kernel, [triton.cdiv(size[0] * size[1], PACKED_PIXELS), batch], image,
        image, packed, height, width, planes, first,
        RADIUS=radius, COLORS=colors, TILE=PACKED_PIXELS,
    )  # fmt: skip
    return packed


def first_taps(
    image: Tensor, features: Tensor, motion: Tensor, origin: tuple[int, int], size: int
) -> Tensor:
    """Where each pixel's kernel of a side starts in an image [B,h*w], as `share` reads it.

    All images of a frame's size share it. Arguments as of `share`; -1 where nothing is read.
    """
    stride = image.shape[-1] + size - 1
    index, inside = targets(motion, image.shape[-2], image.shape[-1], origin)
    corner = index // image.shape[-1] * stride + index % image.shape[-1]
    return torch.where(inside[:, 0] > 0, corner, -1).flatten(1).to(torch.int32).contiguous()
