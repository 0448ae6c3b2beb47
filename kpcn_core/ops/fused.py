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
from torch.nn import functional

from kpcn_core.ops.fused_kernel import NOTHING, share_kernel
from kpcn_core.ops.kernels import LOGIT_RANGE, kernel_size
from kpcn_core.ops.reposition import Share, targets

# Channels beside the mask that one launch sums; more layers take more launches.
CHANNELS = 3
# Pixels and taps of a program, and the least that a tensor core takes.
TILE_PIXELS, TILE_TAPS, TILE_CHANNELS = 64, 32, 16
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
    batch, _, height, width = features.shape
    rows, matrix, (line, least) = _operands(features, weight, bias)
    if base is None:
        base = first_taps(image, features, motion, origin, size)
    offsets = _offsets(size, image.shape[-1], len(line), line.device)
    if onto is None:
        sums = image.new_zeros((batch, image.shape[1], height, width), dtype=torch.float32)
        before = torch.zeros_like(sums[:, :1])
    else:
        sums, before = (part.float() for part in onto)
    mask = sums[:, -1:]
    found, weights, peak = [], mask, before
    for first in range(0, image.shape[1] - 1, CHANNELS):
        chosen = slice(first, min(first + CHANNELS, image.shape[1] - 1))
        pixels = _pixels(image, chosen, size // 2)
        # Every launch finds the same largest logits and weights anew.
        part, peak = _padded(sums[:, chosen], mask), before.clone()
        _launch(rows, matrix, line, least, offsets, pixels, base, part, peak)
        found.append(part[:, : chosen.stop - first])
        weights = part[:, -1:]
    return Share(torch.cat([*found, weights], dim=1), peak)


def _launch(
    rows: Tensor,
    matrix: Tensor,
    bias: Tensor,
    least: Tensor,
    offsets: Tensor,
    pixels: Tensor,
    base: Tensor,
    sums: Tensor,
    peak: Tensor,
) -> None:
    """One pass over all pixels; `sums` and `peak` are changed."""
    count = base.shape[1]
    # Triton launches on the current device, which need not be the tensors'.
    with torch.cuda.device_of(rows):  # type: ignore[no-untyped-call]
        share_kernel[(triton.cdiv(count, TILE_PIXELS), len(rows))](
            rows, matrix, bias, least, offsets, pixels, base, sums, peak, count, pixels[0].numel(),
            CHANNELS=rows.shape[-1], TAPS=len(bias), TILE_PIXELS=TILE_PIXELS, TILE_TAPS=TILE_TAPS,
            SCALE=LOG2_E, PRECISION=PRECISION,
        )  # fmt: skip


def _operands(
    features: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """Features pixel by pixel [B,h*w,C'], the layer [T,C'], and its taps' biases and least logits.

    All in whole tiles; taps that only fill one have a weight of exactly 0.
    """
    channels = max(TILE_CHANNELS, triton.next_power_of_2(features.shape[1]))
    missing = channels - features.shape[1]
    more = -len(weight) % TILE_TAPS
    rows = features.flatten(2).transpose(1, 2)
    # Features whose channels lie together are read as they are.
    rows = functional.pad(rows, [0, missing]) if missing else rows
    matrix = functional.pad(weight.to(features.dtype), [0, missing, 0, more])
    least = torch.full_like(bias, -LOGIT_RANGE, dtype=torch.float32)
    lines = [
        functional.pad(line.float() * LOG2_E, [0, more], value=NOTHING.value)
        for line in (bias, least)
    ]
    return rows.contiguous(), matrix.contiguous(), (lines[0], lines[1])


def _padded(colors: Tensor, mask: Tensor) -> Tensor:
    """Up to three channels and the mask as fourth [B,4,H,W], float32."""
    between = mask.new_zeros(()).expand(len(mask), CHANNELS - colors.shape[1], *mask.shape[2:])
    return torch.cat([colors, between, mask], dim=1).float()


def _pixels(image: Tensor, chosen: slice, radius: int) -> Tensor:
    """Each pixel as two numbers of 64 bits, with a border of pixels that count nothing [B,N,2]."""
    padded = functional.pad(_padded(image[:, chosen], image[:, -1:]), [radius] * 4)
    return padded.flatten(2).transpose(1, 2).contiguous().view(torch.int64)


def first_taps(
    image: Tensor, features: Tensor, motion: Tensor | None, origin: tuple[int, int], size: int
) -> Tensor:
    """Where each pixel's kernel of a side starts in an image [B,h*w], as `share` reads it.

    All images of a frame's size share it. Arguments as of `share`; -1 where nothing is read.
    """
    batch, _, height, width = features.shape
    stride = image.shape[-1] + size - 1
    if motion is None:
        row = torch.arange(height, device=features.device, dtype=torch.int32) + origin[0]
        column = torch.arange(width, device=features.device, dtype=torch.int32) + origin[1]
        return (row[:, None] * stride + column).flatten().repeat(batch, 1)
    index, inside = targets(motion, image.shape[-2], image.shape[-1], origin)
    corner = index // image.shape[-1] * stride + index % image.shape[-1]
    return torch.where(inside[:, 0] > 0, corner, -1).flatten(1).to(torch.int32).contiguous()


def _offsets(size: int, width: int, taps: int, device: torch.device) -> Tensor:
    """From a kernel's first tap to each [taps]; those that only fill a tile read the first."""
    line = torch.arange(size, device=device, dtype=torch.int32)
    square = (line[:, None] * (width + size - 1) + line).flatten()
    return functional.pad(square, [0, taps - len(square)])
