"""Apply per-pixel kernels to an image (paper §3.1, Eq. 3 and 4)."""

import math

import torch
from torch import Tensor
from torch.nn import functional

# The least weight that a tap can have beside the largest, so that the weights of a pixel whose
# preferred neighbours are all masked out still sum to a normal float32: exp(-60) = 9e-27.
LOGIT_RANGE = 60.0


def apply_kernels(radiance: Tensor, logits: Tensor, valid: Tensor | None = None) -> Tensor:
    """Filter radiance by softmax kernels, leaving out pixels that are not valid.

    Taps outside the image count as not valid, so the weights of a border pixel sum to 1 as well.

    Args:
        radiance: linear values [B,C,H,W]; finite wherever valid.
        logits: kernels before softmax [B,k*k,H,W], k odd, taps row by row.
        valid: 1 where a pixel may be read, else 0 [B,1,H,W]; None means everywhere.

    Returns:
        The filtered image [B,C,H,W]; NaN where a kernel covers no valid pixel.
    """
    size = kernel_size(logits)
    valid = torch.ones_like(radiance[:, :1]) if valid is None else valid.to(radiance.dtype)
    # The mask travels as one more channel: its filtered value is the sum of the valid weights.
    image = torch.cat([torch.where(valid > 0, radiance, 0.0), valid], dim=1)
    sums = _weighted_sum(image, softmax_numerators(logits), size)
    return sums[:, :-1] / sums[:, -1:]


def softmax_numerators(logits: Tensor) -> Tensor:
    """exp(z - max z) per pixel [B,k*k,H,W], in float32, never below exp(-LOGIT_RANGE)."""
    logits = logits.float()
    peak = logits.detach().amax(dim=1, keepdim=True)
    return (logits - peak).clamp(min=-LOGIT_RANGE).exp()


def kernel_size(logits: Tensor) -> int:
    """The side k of the kernels in logits [B,k*k,H,W]."""
    size = math.isqrt(logits.shape[1])
    if size * size != logits.shape[1] or size % 2 == 0:
        raise ValueError(f"logits must be [B,k*k,H,W] with odd k; they are {list(logits.shape)}")
    return size


def _weighted_sum(image: Tensor, weights: Tensor, size: int) -> Tensor:
    """Sum of weight times shifted image over all taps, [B,C,H,W]."""
    height, width = image.shape[-2:]
    padded = functional.pad(image, [size // 2] * 4)
    total = torch.zeros_like(image)
    # Tap by tap: nothing of size C*k*k is ever stored. unbind, because the gradient of k*k slices
    # would be k*k tensors of the full size.
    for tap, weight in enumerate(weights.unbind(dim=1)):
        row, column = divmod(tap, size)
        shifted = padded[..., row : row + height, column : column + width]
        total = torch.addcmul(total, weight[:, None], shifted)
    return total
