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

import torch
from torch import Tensor
from torch.nn import functional

from kpcn_core.features import demodulator, finite
from kpcn_core.prepared import Prepared

# Standard errors that a loss of light must exceed, before some of it is given back; squared.
CERTAIN = 4.0
MOST_GAIN = 1.25
# Pixels around one, whose differences are judged together: boxes of 5 and of 3 after each other.
AROUND = (5, 3)
# The noise is at least this share of what it is in a wide area around: where few samples meet
# rare bright light, those without it know nothing of their noise.
WIDE, FLOOR = (17, 17), 0.25
# A variance of N samples is itself uncertain: 1 + this / sqrt(N) times it is taken for noise.
DOUBT = 4.0
# Brightness, in exposed units, below which differences no longer count relative to it.
DARK = 0.1
TINY = 1e-12


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
        before = after = torch.ones_like(prepared.gain)
        if demodulated:
            before = demodulator(finite(prepared.aovs["albedo"]))
            after = demodulator(filtered["albedo"][:, :3])
        found[name] = light_gain(
            part.radiance * before, filtered[name][:, :3] * after, part.variance * before.square()
        )
    return found


def light_gain(noisy: Tensor, denoised: Tensor, variance: Tensor) -> Tensor:
    """One factor [1,1,1,1] that makes a denoised image as bright as the noisy one.

    It is 1 where chance explains the difference, so also where few pixels make it up.

    Args:
        noisy: linear [1,3,H,W].
        denoised: likewise; NaN counts nothing.
        variance: of the noisy pixels.
    """
    there = denoised.isfinite()
    kept = torch.where(there, denoised, 0.0).sum(dtype=torch.float64)
    lost = torch.where(there, noisy - denoised, 0.0).sum(dtype=torch.float64)
    # The noise of a pixel's channels is much the same: its deviations add up, not its variances.
    squared_error = 3 * torch.where(there, variance.clamp(min=0), 0.0).sum(dtype=torch.float64)
    certain = (1 - CERTAIN * squared_error / (lost.square() + TINY)).clamp(min=0)
    factor = 1 + certain * lost / kept.clamp(min=TINY)
    return factor.clamp(1 / MOST_GAIN, MOST_GAIN).to(denoised.dtype).view(1, 1, 1, 1)


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
    difference = noisy - denoised
    usable = difference.isfinite().all(dim=1, keepdim=True) & (count >= 2)
    bright = denoised.nan_to_num().clamp(min=0).mean(dim=1, keepdim=True)
    weight = usable / (bright.square() + DARK**2)

    def relative(squares: Tensor) -> Tensor:
        return torch.where(usable, squares, 0.0).sum(dim=1, keepdim=True) * weight

    noise = relative(finite(variance).clamp(min=0))
    expected = torch.maximum(_mean(noise, AROUND), FLOOR * _mean(noise, WIDE))
    doubt = 1 + DOUBT * count.clamp(min=1).rsqrt()
    seen = _mean(relative(difference.square()), AROUND)
    return (1 - doubt * expected / (seen + TINY)).clamp(min=0) * usable


def _mean(image: Tensor, sides: tuple[int, ...]) -> Tensor:
    """Means of boxes of odd sides, one after the other; edge pixels go on beyond the image."""
    for side in sides:
        half = side // 2
        rows = functional.pad(image, [0, 0, half, half], mode="replicate")
        image = functional.avg_pool2d(rows, (side, 1), stride=1)
        columns = functional.pad(image, [half, half, 0, 0], mode="replicate")
        image = functional.avg_pool2d(columns, (1, side), stride=1)
    return image
