"""Scales of an image: down, up, and the join of two of them (paper §3.4, Eq. 5)."""

import torch
from torch import Tensor
from torch.nn import functional

from kpcn_core.ops.kernels import renormalized, with_mask, without_mask

LEVELS = 3
# Numbers a pixel of an `interpolating_join`.
JOIN_LOGITS = 6


def down(image: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean of the valid pixels of every 2x2 block.

    In an image of odd size the last row or column has blocks of two pixels, the last corner one of
    a single pixel; their mean is the mean of what there is.

    Args:
        image: [B,C,H,W]; may hold anything where not valid.
        valid: nonzero where a pixel may be read [B,1 or C,H,W]; None means everywhere.

    Returns:
        [B,C,ceil(H/2),ceil(W/2)]; 0 where a block has no valid pixel.
    """
    if valid is None:
        return functional.avg_pool2d(image, 2, ceil_mode=True)
    counted = _block_sum(torch.where(valid != 0, image, 0.0))
    return counted / _block_sum(valid.to(image.dtype)).clamp(min=1.0)


def down_variance(variance: Tensor, valid: Tensor | None = None) -> Tensor:
    """Variance of what `down` gives, of pixels that are independent: a quarter of their mean.

    Where a block has only n valid pixels, it is 1/n of their mean.

    Args:
        variance: [B,C,H,W]; may hold anything where not valid.
        valid: as for `down`.
    """
    if valid is None:
        valid = torch.ones_like(variance[:, :1])
    count = _block_sum(valid.to(variance.dtype)).clamp(min=1.0)
    return down(variance, valid) / count


def down_valid(valid: Tensor) -> Tensor:
    """1 where a 2x2 block has a valid pixel, else 0 [B,1,ceil(H/2),ceil(W/2)]."""
    return functional.max_pool2d(valid, 2, ceil_mode=True)


def down_motion(motion: Tensor, factor: int = 2) -> Tensor:
    """Motion [B,2,H,W] of an image that is `factor` times smaller, in its pixels.

    One vector of every block is taken as it is: the mean of two surfaces that move apart points to
    neither of them.
    """
    return motion[..., ::factor, ::factor] / factor


def up(image: Tensor, height: int, width: int) -> Tensor:
    """Repeat every pixel over its 2x2 block, and cut to an odd size [B,C,height,width]."""
    blocks = functional.interpolate(image, scale_factor=2.0, mode="nearest")
    return blocks[..., :height, :width]


def join(fine: Tensor, coarse: Tensor, alpha: Tensor) -> Tensor:
    """Replace the low frequencies of a fine image by those of a coarse one (Eq. 5).

    It is linear in both images, so further layers can be joined by the same alpha. NaN marks pixels
    for which a scale had nothing to read (see `apply_kernels`); there the other scale stands in.

    Args:
        fine: [B,C,H,W].
        coarse: [B,C,ceil(H/2),ceil(W/2)].
        alpha: how much is replaced, 0 to 1 [B,1,H,W].
    """
    height, width = fine.shape[-2:]
    low_coarse = up(coarse, height, width)
    fine = torch.where(fine.isnan(), low_coarse, fine)
    low_fine = up(down(fine, ~fine.isnan()), height, width)
    low_coarse = torch.where(low_coarse.isnan(), low_fine, low_coarse)
    return fine - alpha * low_fine + alpha * low_coarse


def interpolating_join(fine: Tensor, coarse: Tensor, logits: Tensor) -> Tensor:
    """Join two scales with learned interpolation in place of Eq. 5's boxes.

    out = sum of w_i coarse_i + w_4 low + g (fine - low), with w the softmax of the first five
    logits, coarse_0..3 the four pixels of the coarse image that are nearest, low the mean of the
    fine image's 2x2 block, and g the sigmoid of the last logit. Eq. 5 is the case g = 1,
    w = (alpha, 0, 0, 0, 1 - alpha). Like that it is linear in both images; but where g = 0 none of
    the fine image's noise is left, and the coarse image shows no blocks.

    NaN in either image means that nothing is known there; it takes no weight.

    Args:
        fine: [B,C,H,W], H and W even.
        coarse: [B,C,H/2,W/2].
        logits: [B,6,H,W].
    """
    high, low = (
        with_mask(image, image.isfinite().all(dim=1, keepdim=True)) for image in (fine, coarse)
    )
    return without_mask(interpolating_join_masked(high, low, logits))


def interpolating_join_masked(fine: Tensor, coarse: Tensor, logits: Tensor) -> Tensor:
    """`interpolating_join` of images that come with their masks [B,C+1,H,W]; so does the result."""
    low = down_masked(fine)
    nearest = functional.pad(coarse, [1, 1, 1, 1], mode="replicate")
    # Weights [B,5,4,h,w]: of each source, for the four fine pixels of a coarse one, row by row.
    folded = functional.pixel_unshuffle(logits[:, :5].softmax(dim=1), 2)
    weights = folded.view(folded.shape[0], 5, 4, *low.shape[-2:])
    quarters = [
        _interpolated(nearest, low, weights[:, :, quarter], quarter // 2, quarter % 2)
        for quarter in range(4)
    ]
    joined = renormalized(functional.pixel_shuffle(torch.stack(quarters, dim=2).flatten(1, 2), 2))
    height, width = fine.shape[-2:]
    detail = (fine[:, :-1] - up(low[:, :-1], height, width)) * fine[:, -1:]
    added = torch.sigmoid(logits[:, 5:]) * detail
    return torch.cat([joined[:, :-1] + added, joined[:, -1:]], dim=1)


def down_masked(image: Tensor) -> Tensor:
    """`down` of an image that comes with its mask [B,C+1,H,W], H and W even; so does the result."""
    return renormalized(functional.avg_pool2d(image, 2))


def _interpolated(padded: Tensor, low: Tensor, weights: Tensor, row: int, column: int) -> Tensor:
    """One of the four fine pixels of every coarse pixel, with its mask [B,C+1,h,w]."""
    height, width = low.shape[-2:]
    total = weights[:, 4:5] * low
    # Left and upper pixels lie nearer to the left and upper neighbours, the others to the others.
    for index, (down_by, right_by) in enumerate(
        ((1, 1), (1, 2 * column), (2 * row, 1), (2 * row, 2 * column))
    ):
        there = padded[..., down_by : down_by + height, right_by : right_by + width]
        total = total + weights[:, index : index + 1] * there
    return total


def _block_sum(image: Tensor) -> Tensor:
    return functional.avg_pool2d(image, 2, ceil_mode=True, divisor_override=1)
