"""The guiding metrics of paper §5 pixel by pixel: what an error predictor learns, and true guides.

Tensors are exposed, as `metrics` says: images [B,3,H,W] multiplied by the exposure of the
reference; maps are [B,1,H,W], never negative. Pixels beyond the border count as mirrored.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kpcn_core import features
from kpcn_core.frame import Pixels
from kpcn_core.metrics import EPSILON, SCALES, SSIM_WINDOW, display

SIGMA = 1.5
# The constants of SSIM (Wang et al. 2004) for a data range of 1.
LUMINANCE, CONTRAST = 0.01**2, 0.03**2

ErrorMap = Callable[[Tensor, Tensor], Tensor]  # (denoised, reference) -> map


def smape(denoised: Tensor, reference: Tensor) -> Tensor:
    """Paper Eq. 2, mean over channels."""
    difference = (denoised - reference).abs()
    relative = difference / (denoised.abs() + reference.abs() + EPSILON)
    return relative.mean(dim=1, keepdim=True)


def mrse(denoised: Tensor, reference: Tensor) -> Tensor:
    """Relative squared error, mean over channels."""
    relative = (denoised - reference).square() / (reference.square() + EPSILON)
    return relative.mean(dim=1, keepdim=True)


def dssim(denoised: Tensor, reference: Tensor) -> Tensor:
    """1 - SSIM of what a display shows, mean over channels; 0 to 2."""
    luminance, structure = _similarity(display(denoised), display(reference))
    return (1 - luminance * structure).mean(dim=1, keepdim=True).clamp(min=0)


def ms_dssim(denoised: Tensor, reference: Tensor) -> Tensor:
    """1 - MS-SSIM of what a display shows, each scale's map enlarged to full size.

    The metric multiplies the means of the scales, this the values at each pixel, so its mean is
    near the metric, not equal. Images too small for five scales use the finest that fit.
    """
    shown, expected = display(denoised), display(reference)
    size, similarity = shown.shape[-2:], torch.ones_like(shown)
    weights = SCALES[: _scales(min(size))]
    for scale, weight in enumerate(weights, start=1):
        luminance, structure = _similarity(shown, expected)
        last = scale == len(weights)
        part = (structure * luminance if last else structure).clamp(min=0)
        enlarged = functional.interpolate(part, size, mode="bilinear", align_corners=False)
        similarity = similarity * enlarged.pow(weight / sum(weights))
        if not last:
            shown, expected = (functional.avg_pool2d(image, 2) for image in (shown, expected))
    return (1 - similarity).mean(dim=1, keepdim=True).clamp(min=0)


MAPS: dict[str, ErrorMap] = {"smape": smape, "mrse": mrse, "dssim": dssim, "ms_dssim": ms_dssim}


def error_map(metric: str, denoised: Pixels, reference: Pixels) -> Pixels:
    """One of `MAPS` for images in the frame's own units [3,H,W]: the true error map [1,H,W]."""
    d, r = (torch.from_numpy(np.ascontiguousarray(each))[None] for each in (denoised, reference))
    gain = features.exposure(r)
    pixels: Pixels = MAPS[metric](d * gain, r * gain)[0].numpy()
    return pixels


def _similarity(image: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """The two factors of SSIM [B,3,H,W]: luminance, and contrast with structure."""
    mean, expected = _blurred(image), _blurred(reference)
    spread = _blurred(image.square()) - mean.square()
    expected_spread = _blurred(reference.square()) - expected.square()
    common = _blurred(image * reference) - mean * expected
    luminance = (2 * mean * expected + LUMINANCE) / (mean.square() + expected.square() + LUMINANCE)
    structure = (2 * common + CONTRAST) / (spread + expected_spread + CONTRAST)
    return luminance, structure


def _blurred(image: Tensor) -> Tensor:
    """Gaussian average over the SSIM window."""
    radius = SSIM_WINDOW // 2
    steps = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    weights = (-steps.square() / (2 * SIGMA**2)).exp()
    weights = weights / weights.sum()
    kernel = (weights[:, None] * weights).expand(image.shape[1], 1, -1, -1)
    mode = "reflect" if min(image.shape[-2:]) > radius else "replicate"
    padded = functional.pad(image, [radius] * 4, mode=mode)
    return functional.conv2d(padded, kernel, groups=image.shape[1])


def _scales(side: int) -> int:
    """How many times an image can be halved and still hold a window; 1 if it holds none."""
    fits = [count for count in range(1, len(SCALES) + 1) if side >> (count - 1) >= SSIM_WINDOW]
    return max(fits, default=1)
