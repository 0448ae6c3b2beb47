"""Apply per-pixel kernels to an image (paper §3.1, Eq. 3 and 4)."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional

# The least weight that a tap can have beside the largest, so that the weights of a pixel whose
# preferred neighbours are all masked out still sum to a normal float32: exp(-60) = 9e-27.
LOGIT_RANGE = 60.0
# Devices that add tap by tap; the others lay taps out at once.
TAP_BY_TAP = ("cpu",)
# Images times taps that are laid out at once on a GPU: patches of 128 x 128 take about a gigabyte.
TAPS_AT_ONCE = 4096


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
    sums = weighted_sum(with_mask(radiance, valid), softmax_numerators(logits))
    return normalized(sums)


def with_mask(radiance: Tensor, valid: Tensor | None = None) -> Tensor:
    """Radiance [B,C,H,W], 0 where not valid, with the mask as one more channel [B,C+1,H,W].

    What linear operators make of the mask is the sum of the weights that valid pixels got.
    """
    valid = torch.ones_like(radiance[:, :1]) if valid is None else valid.to(radiance.dtype)
    return torch.cat([torch.where(valid > 0, radiance, 0.0), valid], dim=1)


def normalized(sums: Tensor) -> Tensor:
    """Weighted sums [B,C+1,H,W] over their weights, the last channel; NaN where those are 0."""
    weights = sums[:, -1:]
    # Divided by 1 there: a gradient through 0/0 would be NaN even where nobody reads it.
    means = sums[:, :-1] / torch.where(weights > 0, weights, 1.0)
    return torch.where(weights > 0, means, torch.nan)


def renormalized(sums: Tensor) -> Tensor:
    """Weighted sums with their weights as last channel -> means with a mask of 0 and 1 there."""
    weights = sums[:, -1:]
    known = weights > 0
    means = sums[:, :-1] / torch.where(known, weights, 1.0)
    return torch.cat([means, known.to(sums.dtype)], dim=1)


def without_mask(image: Tensor) -> Tensor:
    """The image [B,C,H,W] of `with_mask`; NaN where not valid."""
    return torch.where(image[:, -1:] > 0, image[:, :-1], torch.nan)


def weighted_sum(image: Tensor, weights: Tensor) -> Tensor:
    """Sum over each pixel's kernel: image [B,C,H,W], weights [B,k*k,H,W] -> [B,C,H,W]."""
    sums: Tensor = _WeightedSum.apply(image, weights, kernel_size(weights))  # type: ignore[no-untyped-call]
    return sums


def softmax_numerators(logits: Tensor) -> Tensor:
    """exp(z - max z) per pixel [B,k*k,H,W], at least float32, never below exp(-LOGIT_RANGE)."""
    # Contiguous: the planes of single taps are read one after another.
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32)).contiguous()
    peak = logits.detach().amax(dim=1, keepdim=True)
    return (logits - peak).clamp(min=-LOGIT_RANGE).exp()


def kernel_size(logits: Tensor) -> int:
    """The side k of the kernels in logits [B,k*k,H,W]."""
    size = math.isqrt(logits.shape[1])
    if size * size != logits.shape[1] or size % 2 == 0:
        raise ValueError(f"logits must be [B,k*k,H,W] with odd k; they are {list(logits.shape)}")
    return size


class _WeightedSum(torch.autograd.Function):
    """Sum of weight times shifted image over the taps of each pixel's kernel.

    On a CPU tap by tap and image by image, so that nothing of size C*k*k is stored and each step
    stays in the cache; autograd over the same loop is four times slower and holds every product.
    Elsewhere the taps of some images are laid out at once, so that few kernels are launched.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, image: Tensor, weights: Tensor, size: int) -> Tensor:
        """Image [B,C,H,W], weights [B,k*k,H,W] -> [B,C,H,W]."""
        padded = functional.pad(image, [size // 2] * 4)
        ctx.save_for_backward(padded, weights)
        if image.device.type not in TAP_BY_TAP:
            parts = zip(_parts(padded, size), _parts(weights, size), strict=True)
            return torch.cat([(_laid_out(one, size) * part[:, None]).sum(2) for one, part in parts])
        total = torch.zeros_like(image)
        for total_b, padded_b, weights_b in zip(total, padded, weights, strict=True):
            for tap, shifted in enumerate(_shifts(padded_b, size)):
                total_b.addcmul_(weights_b[tap], shifted)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, None]:
        """Only the weights are learned; the image is data."""
        padded, weights = ctx.saved_tensors
        size = math.isqrt(weights.shape[1])
        if padded.device.type not in TAP_BY_TAP:
            parts = zip(_parts(padded, size), _parts(gradient, size), strict=True)
            found = [(_laid_out(one, size) * part[:, :, None]).sum(1) for one, part in parts]
            return None, torch.cat(found), None
        result = torch.empty_like(weights)
        for result_b, padded_b, gradient_b in zip(result, padded, gradient, strict=True):
            for tap, shifted in enumerate(_shifts(padded_b, size)):
                product = torch.mul(gradient_b[0], shifted[0], out=result_b[tap])
                for channel in range(1, len(shifted)):
                    product.addcmul_(gradient_b[channel], shifted[channel])
        return None, result, None


def _parts(images: Tensor, size: int) -> tuple[Tensor, ...]:
    """A batch in parts of as many images as the taps of kernels of that size leave room for."""
    return torch.split(images, max(1, TAPS_AT_ONCE // size**2))


def _laid_out(padded: Tensor, size: int) -> Tensor:
    """What every tap reads [B,C,k*k,H,W]."""
    return torch.stack(list(_shifts(padded, size)), dim=2)


def _shifts(padded: Tensor, size: int) -> Iterator[Tensor]:
    """Images [...,H,W] under each tap, row by row, as views of the padded ones."""
    height, width = (length - size + 1 for length in padded.shape[-2:])
    for row in range(size):
        for column in range(size):
            yield padded[..., row : row + height, column : column + width]
