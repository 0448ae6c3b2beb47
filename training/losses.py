"""What training makes small."""

import torch
from torch import Tensor
from torch.nn import functional

from kpcn_core import features
from kpcn_core.features import Component

EPSILON = 1e-2
# How strongly noise of a reference takes weight from a pixel.
REFERENCE_NOISE = 4.0
# SSIM's window and constants (Wang et al. 2004) for a range of 1; scales that a patch of 128 holds.
WINDOW, SIGMA = 11, 1.5
STABLE = (0.01**2, 0.03**2)
SCALES = 3
# Of sRGB (IEC 61966-2-1): where its line ends, the line's slope, and its curve.
LINEAR, SLOPE, POWER, OFFSET = 0.0031308, 12.92, 1 / 2.4, 0.055


def smape(
    denoised: Tensor,
    reference: Tensor,
    weight: Tensor | None = None,
    epsilon: float = EPSILON,
    detach: bool = False,
) -> Tensor:
    """Symmetric mean absolute percentage error (paper §3.4), a number.

    Args:
        denoised: exposed colors [B,3,H,W].
        reference: the same without noise.
        weight: how much each pixel counts [B,1,H,W].
        epsilon: keeps dark pixels from dominating.
        detach: take the denominator as given, so that a pixel gains nothing by being brighter.
    """
    return weighted_mean(smape_map(denoised, reference, epsilon, detach), weight)


def smape_map(
    denoised: Tensor, reference: Tensor, epsilon: float = EPSILON, detach: bool = False
) -> Tensor:
    """The terms of `smape` before their mean [B,3,H,W]; arguments as there."""
    scale = denoised.detach() if detach else denoised
    return (denoised - reference).abs() / (scale.abs() + reference.abs() + epsilon)


def gradient_error(denoised: Tensor, reference: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean L1 error of the differences between neighbours of toned colors: edges count."""
    difference = tone(denoised) - tone(reference)
    total = denoised.new_zeros(())
    for dim in (-1, -2):
        steps = difference.diff(dim=dim).abs()
        there = None if weight is None else weight.narrow(dim, 1, weight.shape[dim] - 1)
        total = total + weighted_mean(steps, there)
    return total


def structural_error(
    denoised: Tensor, reference: Tensor, weight: Tensor | None = None, scales: int = SCALES
) -> Tensor:
    """1 - SSIM (Wang et al. 2004) of tone-mapped colors, averaged over scales, a number.

    Unlike the metric of that name nothing is clipped, so that what is brighter than white teaches
    as well.

    Args:
        denoised: exposed colors [B,3,H,W]; the coarsest scale must hold a window of 11 pixels.
        reference: the same without noise.
        weight: how much each pixel counts [B,1,H,W].
        scales: how often the images are halved, plus 1.
    """
    if weight is None:
        weight = torch.ones_like(reference[:, :1])
    known = weight > 0
    first, second = (tone(torch.where(known, each, 0.0)) for each in (denoised, reference))
    total = denoised.new_zeros(())
    for scale in range(scales):
        if scale:
            first, second, weight = (
                functional.avg_pool2d(each, 2) for each in (first, second, weight)
            )
        margin = WINDOW // 2
        inner = weight[..., margin:-margin, margin:-margin]
        total = total + weighted_mean(1 - ssim_map(first, second), inner)
    return total / scales


def ssim_map(first: Tensor, second: Tensor) -> Tensor:
    """SSIM of images of range 1 [B,C,H,W] -> [B,C,H-10,W-10]: where the window lies inside."""
    images = torch.cat([first, second, first * first, second * second, first * second], dim=1)
    means = _blurred(images).chunk(5, dim=1)
    products = (means[0].square(), means[1].square(), means[0] * means[1])
    variances = [mean - product for mean, product in zip(means[2:], products, strict=True)]
    light = (2 * products[2] + STABLE[0]) / (products[0] + products[1] + STABLE[0])
    texture = (2 * variances[2] + STABLE[1]) / (variances[0] + variances[1] + STABLE[1])
    return light * texture


def tone(exposed: Tensor) -> Tensor:
    """The curve of a display (sRGB), 0 to 0 and 1 to 1, that goes on above 1.

    What is dark counts as much as it is seen.
    """
    curve = (1 + OFFSET) * exposed.clamp(min=LINEAR).pow(POWER) - OFFSET
    return torch.where(exposed > LINEAR, curve, SLOPE * exposed.clamp(min=0))


def _blurred(images: Tensor) -> Tensor:
    """Means under SSIM's Gaussian window, where it lies inside [B,C,H-10,W-10]."""
    height, width = images.shape[-2:]
    return _windows(height, images) @ images @ _windows(width, images).mT


def _windows(length: int, like: Tensor) -> Tensor:
    """Every place of the window along a line, as a matrix [length-10,length].

    Patches are small: its product with an image takes a tenth of the time of a convolution that
    sees one channel at a time.
    """
    places = torch.arange(length, device=like.device, dtype=like.dtype)
    distance = places[None] - places[WINDOW // 2 : length - WINDOW // 2, None]
    window = torch.where(distance.abs() <= WINDOW // 2, (-(distance**2) / (2 * SIGMA**2)).exp(), 0)
    return window / window.sum(dim=1, keepdim=True)


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of [B,C,H,W] with weights [B,1,H,W]; a pixel of weight 0 may hold anything."""
    if weight is None:
        return values.mean()
    counted = torch.where(weight > 0, values * weight, 0.0)
    return counted.sum() / (weight.sum() * values.shape[1]).clamp(min=1e-6)


def trust(reference: Component, strength: float = REFERENCE_NOISE) -> Tensor:
    """1 / (1 + strength * relative variance) of a reference component [B,1,H,W]; 0 if not valid."""
    if reference.variance is None or strength == 0:
        return reference.valid
    relative = features.relative_deviation(reference.radiance, reference.variance).square()
    return reference.valid / (1 + strength * relative)
