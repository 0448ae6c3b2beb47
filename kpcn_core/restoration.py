"""What denoising took although noise does not explain it, given back.

A loss of absolute errors seeks the median of what a pixel may be. The noise of renders is skewed:
its median is darker than its mean, so that a little light is lost. And kernels blur a little even
what has no noise left to remove. How much of that is more than noise is a matter of statistics,
where the frame has the variances of its pixels and says how many samples they are of; other frames
stay as the network leaves them. Noise that goes to 0 so leads to the noisy frame itself.

- `gains`: light of a component over the whole frame, shrunk by its standard error.
- `detail`: how much of each pixel's own value comes back, by the positive-part rule of James and
  Stein (1961), which combines a biased estimate and an unbiased one of known variance.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from kpcn_core.features import demodulator, finite
from kpcn_core.ops import compiler
from kpcn_core.ops.workers import each
from kpcn_core.prepared import Prepared

# Standard errors that a loss of light must exceed, before some of it is given back; squared.
CERTAIN = 4.0
MOST_GAIN = 1.25
# Weights of the pixels around one, whose differences are judged together, in each direction: boxes
# of 5 and of 3 after each other.
AROUND = tuple(weight / 15 for weight in (1, 2, 3, 3, 3, 2, 1))
# The noise is at least this share of what it is in a wide area around: where few samples meet
# rare bright light, those without it know nothing of their noise. Two boxes of 5 squares of pixels.
POOL, WIDE, FLOOR = 4, (0.04, 0.08, 0.12, 0.16, 0.2, 0.16, 0.12, 0.08, 0.04), 0.25
# A variance of N samples is itself uncertain: 1 + this / sqrt(N) times it is taken for noise.
DOUBT = 4.0
# Brightness, in exposed units, below which differences no longer count relative to it.
DARK = 0.1
TINY = 1e-12
ROWS = 32  # that a thread does at a time


def known(prepared: Prepared) -> bool:
    """Whether a frame says what it takes."""
    return {"color_mse", "sample_count"} <= prepared.aovs.keys()


def gains(prepared: Prepared, filtered: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What to multiply filtered components by, so that they keep their light [1,1,1,1].

    Args:
        prepared: the frame.
        filtered: component to its filtered image, exposed [1,C,H,W].
    """
    found = {}
    for name, demodulated in (("irradiance", True), ("specular", False)):
        part = prepared.parts.get(name)
        if part is None or part.variance is None or not known(prepared):
            continue
        before = after = None
        if demodulated:
            before = demodulator(finite(prepared.aovs["albedo"]))
            after = demodulator(filtered["albedo"][:, :3])
        found[name] = light_gain(part.radiance, filtered[name][:, :3], part.variance, before, after)
    return found


def light_gain(
    noisy: Tensor,
    denoised: Tensor,
    variance: Tensor,
    before: Tensor | None = None,
    after: Tensor | None = None,
) -> Tensor:
    """One factor [1,1,1,1] that makes a denoised image as bright as the noisy one.

    It is 1 where chance explains the difference, so also where few pixels make it up.

    Args:
        noisy: linear [1,3,H,W].
        denoised: likewise; NaN counts nothing.
        variance: of the noisy pixels.
        before: what the noisy pixels are to be multiplied by.
        after: what the denoised ones are to be multiplied by.
    """
    kept, lost, squares = _light(noisy, denoised, variance, before, after)
    # The noise of a pixel's channels is much the same: its deviations add up, not its variances.
    certain = (1 - CERTAIN * 3 * squares / (lost.square() + TINY)).clamp(min=0)
    factor: Tensor = 1 + certain * lost / kept.clamp(min=TINY)
    return factor.clamp(1 / MOST_GAIN, MOST_GAIN).to(denoised.dtype).view(1, 1, 1, 1)


def _light(
    noisy: Tensor, denoised: Tensor, variance: Tensor, before: Tensor | None, after: Tensor | None
) -> Tensor:
    """Light that was kept, that was lost, and the variance of that [3], float64."""
    if _compiles(denoised):
        # numba takes its time to be imported.
        from kpcn_core.ops.surplus import light_sums

        mean, clean, spread = _plane(noisy), _plane(denoised), _plane(variance)
        none = np.empty((3, 0, 0), np.float32)
        old, new = (none if factor is None else _plane(factor) for factor in (before, after))
        sums = np.empty((denoised.shape[2], 3))

        def add(first: int, last: int) -> None:
            light_sums(mean, clean, spread, old, new, first, last, sums)

        each(add, _rows(denoised))
        return torch.from_numpy(sums).sum(dim=0)
    was, now = (1.0 if factor is None else factor for factor in (before, after))
    there = denoised.isfinite()
    light = denoised * now
    terms = (light, noisy * was - light, variance.clamp(min=0) * was * was)
    return torch.stack([torch.where(there, term, 0.0).sum(dtype=torch.float64) for term in terms])


def detail(prepared: Prepared, color: Tensor) -> Tensor | None:
    """How much of the difference to the noisy frame to give back [1,1,H,W]; None if unknown.

    Args:
        prepared: the frame.
        color: denoised, in units of the frame [1,3,H,W].
    """
    if not known(prepared):
        return None
    aovs, gain = prepared.aovs, prepared.gain
    return surplus(
        aovs["color"] * gain, color * gain, aovs["color_mse"] * gain**2, aovs["sample_count"]
    )


def surplus(noisy: Tensor, denoised: Tensor, variance: Tensor, count: Tensor) -> Tensor:
    """The share of the differences around each pixel that is more than noise [1,1,H,W], 0 to 1.

    Args:
        noisy: exposed color [1,3,H,W].
        denoised: likewise.
        variance: of the noisy pixels [1,3,H,W].
        count: samples a pixel [1,1,H,W]; of less than two, nothing is known.
    """
    usable = (noisy + denoised).isfinite().all(dim=1, keepdim=True) & (count >= 2)
    doubt = 1 + DOUBT * count.clamp(min=1).rsqrt()
    if _compiles(denoised):
        return _compiled(noisy, denoised, finite(variance), usable.float(), doubt)
    bright = denoised.nan_to_num().clamp(min=0).mean(dim=1, keepdim=True)
    weight = 1 / (bright.square() + DARK**2)

    def relative(squares: Tensor) -> Tensor:
        return torch.where(usable, squares.sum(dim=1, keepdim=True) * weight, 0.0)

    noise = relative(finite(variance).clamp(min=0))
    least = functional.interpolate(_floor(noise), scale_factor=POOL)
    height, width = noise.shape[-2:]
    expected = torch.maximum(_mean(noise, AROUND), least[..., :height, :width])
    seen = _mean(relative((noisy - denoised).square()), AROUND)
    return (1 - doubt * expected / (seen + TINY)).clamp(min=0) * usable


def _compiled(
    noisy: Tensor, denoised: Tensor, variance: Tensor, usable: Tensor, doubt: Tensor
) -> Tensor:
    """`surplus` of images on a CPU, which the number of passes over memory decides there."""
    # numba takes its time to be imported.
    from kpcn_core.ops.surplus import relative_squares, shares

    mean, clean, spread = _plane(noisy), _plane(denoised), _plane(variance)
    there, doubts = _plane(usable)[0], _plane(doubt)[0]
    noise, seen, out = (np.empty(there.shape, np.float32) for _ in range(3))
    weights = np.array(AROUND, np.float32)

    def measure(first: int, last: int) -> None:
        relative_squares(mean, clean, spread, there, DARK, first, last, noise, seen)

    each(measure, _rows(usable))
    least = _plane(_floor(torch.from_numpy(noise)[None, None]))[0]

    def judge(first: int, last: int) -> None:
        shares(noise, seen, least, POOL, doubts, there, weights, first, last, out)

    each(judge, _rows(usable))
    return torch.from_numpy(out)[None, None]


def _compiles(image: Tensor) -> bool:
    return image.device.type == "cpu" and image.dtype == torch.float32 and compiler.installed()


def _plane(image: Tensor) -> NDArray[np.float32]:
    """Of the one image in a batch [C,H,W]."""
    return image[0].contiguous().numpy()


def _rows(image: Tensor) -> list[tuple[int, int]]:
    """The first row of each part of an image, and the one after its last."""
    height = image.shape[2]
    return [(first, min(first + ROWS, height)) for first in range(0, height, ROWS)]


def _floor(noise: Tensor) -> Tensor:
    """The least noise to expect, of squares of POOL x POOL pixels."""
    return FLOOR * _mean(functional.avg_pool2d(noise, POOL, ceil_mode=True), WIDE)


def _mean(image: Tensor, weights: tuple[float, ...]) -> Tensor:
    """Weighted means in both directions; edge pixels go on beyond the image."""
    half, (height, width) = len(weights) // 2, image.shape[-2:]
    wide = functional.pad(image, [half] * 4, mode="replicate")
    rows = torch.stack([w * wide[..., k : k + height, :] for k, w in enumerate(weights)]).sum(dim=0)
    return torch.stack([w * rows[..., k : k + width] for k, w in enumerate(weights)]).sum(dim=0)
