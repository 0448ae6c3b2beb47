"""What denoising took although noise does not explain it, given back.

Kernels blur a little even what has no noise left to remove. How much of that is more than noise is
a matter of statistics, where the frame has the variances of its pixels and says how many samples
they are of; other frames stay as the network and `brightness` leave them. Noise that goes to 0 so
leads to the noisy frame itself.

- `detail`: how much of each pixel's own value comes back, by the positive-part rule of James and
  Stein (1961), which combines a biased estimate and an unbiased one of known variance.
- `texture`: the same of the albedo, which has little noise to remove, and texture to lose.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kpcn_core.features import finite
from kpcn_core.ops import compiler, fusion
from kpcn_core.ops.workers import in_rows
from kpcn_core.prepared import Prepared

# Weights of the pixels around one, whose differences are judged together, in each direction: boxes
# of 5 and of 3 after each other.
AROUND = tuple(weight / 15 for weight in (1, 2, 3, 3, 3, 2, 1))
# The noise is at least this share of what it is in a wide area around: where few samples meet
# rare bright light, those without it know nothing of their noise. Two boxes of 5 squares of pixels.
POOL, WIDE, FLOOR = 4, (0.04, 0.08, 0.12, 0.16, 0.2, 0.16, 0.12, 0.08, 0.04), 0.25
# A variance of N samples is itself uncertain: 1 + this / sqrt(N) times it is taken for noise.
DOUBT = 4.0
# Of the albedo's noise so much counts: its texture is seen more than what noise it has.
TEXTURE_NOISE = 0.5
# Brightness, in exposed units, below which differences no longer count relative to it.
DARK = 0.1
TINY = 1e-12


def counted(prepared: Prepared) -> bool:
    """Whether a frame says what it takes."""
    return {"color_mse", "sample_count"} <= prepared.aovs.keys()


def detail(prepared: Prepared, color: Tensor) -> Tensor | None:
    """How much of the difference to the noisy frame to give back [1,1,H,W]; None if unknown.

    Args:
        prepared: the frame.
        color: denoised, in units of the frame [1,3,H,W].
    """
    if not counted(prepared):
        return None
    aovs, dark = prepared.aovs, DARK / prepared.gain
    return surplus(aovs["color"], color, aovs["color_mse"], aovs["sample_count"], dark)


def texture(prepared: Prepared, albedo: Tensor, frames: int = 1) -> Tensor | None:
    """How much of the noisy albedo to give back [1,1,H,W]; None if unknown.

    Args:
        prepared: the frame.
        albedo: filtered [1,3,H,W].
        frames: of the window: its mean has so much less noise, which would be seen to flicker.
    """
    aovs = prepared.aovs
    if not counted(prepared) or "albedo_mse" not in aovs:
        return None
    noise = TEXTURE_NOISE * frames, 0.0
    return surplus(
        aovs["albedo"], albedo, aovs["albedo_mse"], aovs["sample_count"], noise_counts=noise
    )


def surplus(
    noisy: Tensor,
    denoised: Tensor,
    variance: Tensor,
    count: Tensor,
    dark: Tensor | float = DARK,
    noise_counts: tuple[float, float] = (1.0, DOUBT),
) -> Tensor:
    """The share of the differences around each pixel that is more than noise [1,1,H,W], 0 to 1.

    Args:
        noisy: color [1,3,H,W].
        denoised: likewise.
        variance: of the noisy pixels [1,3,H,W].
        count: samples a pixel [1,1,H,W]; of less than two, nothing is known.
        dark: brightness below which differences no longer count relative to it; a number, or
            [1,1,1,1] of the device, which is then not waited for.
        noise_counts: a and b: a + b / sqrt(count) times the noise must be seen.
    """
    if fusion.usable(denoised):
        return _fused(noisy, denoised, variance, count, dark, noise_counts)
    if compiler.usable(denoised):
        return _compiled(noisy, denoised, variance, count, float(dark), noise_counts)
    usable = (noisy + denoised).isfinite().all(dim=1, keepdim=True) & (count >= 2)
    doubt = noise_counts[0] + noise_counts[1] * count.clamp(min=1).rsqrt()
    bright = denoised.nan_to_num().clamp(min=0).mean(dim=1, keepdim=True)
    weight = 1 / (bright.square() + dark**2)

    def relative(squares: Tensor) -> Tensor:
        return torch.where(usable, squares.sum(dim=1, keepdim=True) * weight, 0.0)

    noise = relative(finite(variance).clamp(min=0))
    least = functional.interpolate(_floor(noise), scale_factor=POOL)
    height, width = noise.shape[-2:]
    expected = torch.maximum(_mean(noise, AROUND), least[..., :height, :width])
    seen = _mean(relative((noisy - denoised).square()), AROUND)
    return (1 - doubt * expected / (seen + TINY)).clamp(min=0) * usable


def _fused(
    noisy: Tensor,
    denoised: Tensor,
    variance: Tensor,
    count: Tensor,
    dark: Tensor | float,
    noise_counts: tuple[float, float],
) -> Tensor:
    """`surplus` of images on a GPU, in few passes over them."""
    # Triton is not everywhere.
    from kpcn_core.ops.fused_surplus import floor, relative_squares, shares

    measured = relative_squares(noisy, denoised, variance, count, dark, noise_counts, POOL)
    least = floor(measured.pooled, WIDE, FLOOR)
    return shares(measured, least, AROUND, POOL, TINY)


def _compiled(
    noisy: Tensor,
    denoised: Tensor,
    variance: Tensor,
    count: Tensor,
    dark: float,
    noise_counts: tuple[float, float],
) -> Tensor:
    """`surplus` of images on a CPU, which the number of passes over memory decides there."""
    # numba takes its time to be imported.
    from kpcn_core.ops.surplus import relative_squares, shares

    mean, clean, spread = (compiler.planes(image) for image in (noisy, denoised, variance))
    (samples,) = compiler.planes(count)
    noise, seen, usable, out = (np.empty(samples.shape, np.float32) for _ in range(4))
    weights = np.array(AROUND, np.float32)

    def measure(first: int, last: int) -> None:
        relative_squares(mean, clean, spread, samples, dark, first, last, noise, seen, usable)

    in_rows(measure, len(samples))
    (least,) = compiler.planes(_floor(torch.from_numpy(noise)[None, None]))

    def judge(first: int, last: int) -> None:
        shares(noise, seen, least, POOL, samples, *noise_counts, usable, weights, first, last, out)

    in_rows(judge, len(samples))
    return torch.from_numpy(out)[None, None]


def _floor(noise: Tensor) -> Tensor:
    """The least noise to expect, of squares of POOL x POOL pixels."""
    return FLOOR * _mean(functional.avg_pool2d(noise, POOL, ceil_mode=True), WIDE)


def _mean(image: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Weighted means in both directions; edge pixels go on beyond the image."""
    half, (height, width) = len(weights) // 2, image.shape[-2:]
    wide = functional.pad(image, [half] * 4, mode="replicate")
    rows = torch.stack([w * wide[..., k : k + height, :] for k, w in enumerate(weights)]).sum(dim=0)
    return torch.stack([w * rows[..., k : k + width] for k, w in enumerate(weights)]).sum(dim=0)
