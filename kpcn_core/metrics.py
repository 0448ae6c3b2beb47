"""How far an image is from a reference.

Images are numpy float32 [3,H,W], linear radiance. Both are first multiplied by the exposure of the
*reference* (`features.exposure`, which brings it to middle grey), so that an epsilon, a clip or a
tone map means the same in every scene, and no metric depends on the brightness of a scene.

SMAPE and MrSE see linear values. DSSIM and MS-DSSIM see what a display shows: `display` clips to
0..1 and encodes as sRGB, so the data range is 1 and errors above white do not count. FLIP chooses
its own range of exposures from the reference and takes the worst of them in each pixel.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kpcn_core import features
from kpcn_core.errors import InvalidPixels
from kpcn_core.extras import extra
from kpcn_core.frame import Pixels

EPSILON = 1e-2  # paper §3.1, Eq. 2
SSIM_WINDOW = 11
# Weights of the scales of Wang et al. 2003, finest first.
SCALES = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
# Below this maximum FLIP would find no exposure, and end the process.
FLIP_BLACK = 1e-6


@dataclass(frozen=True)
class Metric:
    """One row of `METRICS`.

    Attributes:
        title: what a table calls it.
        measure: (image, reference) -> the metric; 0 for equal images.
        meaning: one line for a person.
        lower_is_better: True for all so far.
    """

    title: str
    measure: Callable[[Pixels, Pixels], float]
    meaning: str
    lower_is_better: bool = True


def smape(image: Pixels, reference: Pixels) -> float:
    """Paper Eq. 2: mean over pixels and channels of |d - r| / (|d| + |r| + 0.01); 0 to 1."""
    return float(smape_map(image, reference).mean(dtype=np.float64))


def smape_map(image: Pixels, reference: Pixels) -> Pixels:
    """Eq. 2 per pixel: the mean over channels only [1,H,W]."""
    d, r = _exposed(image, reference)
    error = (d - r).abs() / (d.abs() + r.abs() + EPSILON)
    pixels: Pixels = error.mean(dim=1).numpy()
    return pixels


def mrse(image: Pixels, reference: Pixels) -> float:
    """Mean relative squared error: mean over pixels and channels of (d - r)² / (r² + 0.01)."""
    d, r = (values.double() for values in _exposed(image, reference))
    return ((d - r).square() / (r.square() + EPSILON)).mean().item()


def dssim(image: Pixels, reference: Pixels) -> float:
    """1 - SSIM (Wang et al. 2004) of what a display shows; 11x11 Gaussian window, sigma 1.5.

    Channels are averaged. Images smaller than the window are extended by their edge pixels.
    """
    with extra("report"):
        from torchmetrics.functional.image import structural_similarity_index_measure as ssim

    d, r = _displayed(image, reference)
    return 1.0 - float(ssim(d, r, data_range=1.0))


def ms_dssim(image: Pixels, reference: Pixels) -> float:
    """1 - MS-SSIM (Wang et al. 2003) of what a display shows.

    Five scales need 176 pixels on the shorter side. Smaller images use the finest scales that fit
    (four from 99, three from 44, two from 22, else one), their weights rescaled to sum to 1.
    """
    with extra("report"):
        from torchmetrics.functional.image import (
            multiscale_structural_similarity_index_measure as ms_ssim,
        )

    d, r = _displayed(image, reference)
    weights = SCALES[: _scales(min(d.shape[-2:]))]
    betas = tuple(weight / sum(weights) for weight in weights)
    return 1.0 - float(ms_ssim(d, r, data_range=1.0, betas=betas))


def flip(image: Pixels, reference: Pixels) -> float:
    """Mean HDR-FLIP (Andersson et al. 2021) at 67 pixels per degree; 0 to 1; negatives count as 0.

    A black reference leaves FLIP no exposure to choose; it is then compared at exposure 0.
    """
    with extra("report"):
        from flip_evaluator import evaluate

    d, r = (
        values[0].clamp(min=0.0).permute(1, 2, 0).contiguous().numpy()
        for values in _exposed(image, reference)
    )
    black = {"startExposure": 0.0, "stopExposure": 0.0} if r.max() < FLIP_BLACK else {}
    _, mean, _ = evaluate(r, d, "HDR", applyMagma=False, parameters=black)
    return float(mean)


METRICS = {
    "smape": Metric("SMAPE", smape, "symmetric mean absolute percentage error, linear"),
    "mrse": Metric("MrSE", mrse, "mean relative squared error, linear; fireflies dominate it"),
    "dssim": Metric("DSSIM", dssim, "structural dissimilarity of the displayed image"),
    "ms_dssim": Metric("MS-DSSIM", ms_dssim, "structural dissimilarity over several scales"),
    "flip": Metric("FLIP", flip, "difference seen when flipping between the images, HDR"),
}


def measure(image: Pixels, reference: Pixels) -> dict[str, float]:
    """Every metric of `METRICS` by name.

    Raises:
        InvalidPixels: the sizes differ, or an image holds NaN or Inf.
        MissingDependency: the extra "report" is not installed.
    """
    return {name: metric.measure(image, reference) for name, metric in METRICS.items()}


def display(exposed: Tensor) -> Tensor:
    """Exposed linear values to sRGB, 0 to 1 (IEC 61966-2-1); what is brighter than 1 is white."""
    linear = exposed.clamp(0.0, 1.0)
    curve = 1.055 * linear.clamp(min=0.0031308).pow(1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, curve)


def _exposed(image: Pixels, reference: Pixels) -> tuple[Tensor, Tensor]:
    """Both images [1,3,H,W], multiplied by the exposure of the reference."""
    _check(image, reference)
    d, r = (torch.from_numpy(np.ascontiguousarray(each))[None] for each in (image, reference))
    gain = features.exposure(r)
    return d * gain, r * gain


def _displayed(image: Pixels, reference: Pixels) -> tuple[Tensor, Tensor]:
    """Both images [1,3,H,W] as a display shows them, at least as large as the SSIM window.

    Float32 costs SSIM 1e-6 on renders and 2e-4 on flat images; float64 is twenty times slower.
    """
    d, r = (_at_least_a_window(display(each)) for each in _exposed(image, reference))
    return d, r


def _check(image: Pixels, reference: Pixels) -> None:
    if image.shape != reference.shape:
        raise InvalidPixels(
            f"The image is {_size(image)} pixels, the reference {_size(reference)}. "
            f"Compare images of the same size."
        )
    for name, pixels in (("image", image), ("reference", reference)):
        bad = int((~np.isfinite(pixels)).any(axis=0).sum())
        if bad:
            raise InvalidPixels(
                f"The {name} has {bad} of {pixels[0].size} pixels with NaN or Inf; no metric is "
                f"defined for them. Render or denoise it again."
            )


def _size(image: Pixels) -> str:
    return f"{image.shape[-1]}x{image.shape[-2]}"


def _at_least_a_window(image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    missing = [0, max(0, SSIM_WINDOW - width), 0, max(0, SSIM_WINDOW - height)]
    return functional.pad(image, missing, mode="replicate")


def _scales(side: int) -> int:
    """How many scales an image takes: halved each time, and by the limits of torchmetrics."""
    fits = [
        count
        for count in range(2, len(SCALES) + 1)
        if side >> (count - 1) >= SSIM_WINDOW and side // (count - 1) ** 2 >= SSIM_WINDOW
    ]
    return max(fits, default=1)
