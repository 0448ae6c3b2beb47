"""What denoising took although noise does not explain it, given back.

A loss of absolute errors seeks the median of what a pixel may be. The noise of renders is skewed:
its median is darker than its mean, so that a little light is lost. And kernels blur a little even
what has no noise left to remove. How much of that is more than noise is a matter of statistics,
where the frame has the variances of its pixels and says how many samples they are of; other frames
stay as the network leaves them. Noise that goes to 0 so leads to the noisy frame itself.

- `gains`: light of a component over the whole frame, shrunk by its standard error.
- `detail`: how much of each pixel's own value comes back, by the positive-part rule of James and
  Stein (1961), which combines a biased estimate and an unbiased one of known variance.
- `texture`: the same of the albedo, which has little noise to remove, and texture to lose.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kpcn_core.features import ALBEDO_EPSILON, demodulator, finite
from kpcn_core.ops import compiler, fusion
from kpcn_core.ops.workers import ROWS, in_rows
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
# Of the albedo's noise so much counts: its texture is seen more than what noise it has.
TEXTURE_NOISE = 0.5
# Brightness, in exposed units, below which differences no longer count relative to it.
DARK = 0.1
TINY = 1e-12


def counted(prepared: Prepared) -> bool:
    """Whether a frame says what it takes."""
    return {"color_mse", "sample_count"} <= prepared.aovs.keys()


class Light(NamedTuple):
    """What no lambda changes of a component's light, float64.

    Attributes:
        noisy: of all of it [].
        squares: variance of that [].
    """

    noisy: Tensor
    squares: Tensor


def gains(
    prepared: Prepared, filtered: Mapping[str, Tensor], known: dict[str, Light] | None = None
) -> dict[str, Tensor]:
    """What to multiply filtered components by, so that they keep their light [1,1,1,1].

    Args:
        prepared: the frame.
        filtered: component to its filtered image, exposed [1,C,H,W].
        known: component to its noisy light, filled by a first call for those with another lambda.
    """
    found = {}
    for name, demodulated in (("irradiance", True), ("specular", False)):
        part = prepared.parts.get(name)
        if part is None or part.variance is None or not counted(prepared):
            continue
        clean = filtered[name][:, :3]
        albedos = None
        if demodulated:
            albedos = prepared.aovs["albedo"], filtered["albedo"][:, :3]
        before = None if known is None else known.get(name)
        found[name], light = _gain((part.radiance, part.variance), clean, albedos, before)
        if known is not None:
            known[name] = light
    return found


def _gain(
    noisy: tuple[Tensor, Tensor],
    clean: Tensor,
    albedos: tuple[Tensor, Tensor] | None,
    known: Light | None,
) -> tuple[Tensor, Light]:
    """The factor of one component [1,1,1,1], and its noisy light, which may be known.

    Args:
        noisy: the component, and the variance of its pixels [1,3,H,W].
        clean: filtered [1,3,H,W].
        albedos: see `light_of`.
        known: from another lambda.
    """
    if fusion.usable(clean):
        # Triton is not everywhere.
        from kpcn_core.ops import fused_light

        unknown = noisy if known is None else None
        sums = fused_light.block_sums(unknown, clean, albedos, ALBEDO_EPSILON)
        rule = fused_light.Rule(CERTAIN, MOST_GAIN, TINY)
        factor, found = fused_light.gain(sums, known, rule)
        return factor, known or Light(*found)
    if known is None:
        kept, light = light_of(noisy[0], clean, noisy[1], albedos)
    else:
        kept, light = bright(clean, albedos and albedos[1]), known
    return light_gain(kept, light).to(clean.dtype), light


def light_gain(kept: Tensor, light: Light) -> Tensor:
    """One factor [1,1,1,1] that makes a denoised image as bright as the noisy one, float64.

    It is 1 where chance explains the difference, so also where few pixels make it up.

    Args:
        kept: light of the denoised image [].
        light: of the noisy one.
    """
    lost = light.noisy - kept
    # The noise of a pixel's channels is much the same: its deviations add up, not its variances.
    certain = (1 - CERTAIN * 3 * light.squares / (lost.square() + TINY)).clamp(min=0)
    factor: Tensor = 1 + certain * lost / kept.clamp(min=TINY)
    return factor.clamp(1 / MOST_GAIN, MOST_GAIN).view(1, 1, 1, 1)


def light_of(
    noisy: Tensor,
    denoised: Tensor,
    variance: Tensor,
    albedos: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Light]:
    """Light of a denoised image [], float64, and of the noisy one where the other has any.

    Args:
        noisy: linear [1,3,H,W].
        denoised: likewise; NaN counts nothing.
        variance: of the noisy pixels.
        albedos: what the noisy pixels are to be multiplied by, and the denoised ones; see
            `features.demodulator`.
    """
    if compiler.usable(denoised):
        # numba takes its time to be imported.
        from kpcn_core.ops.surplus import light_sums

        mean, clean, spread = (compiler.planes(image) for image in (noisy, denoised, variance))
        before, after = (compiler.planes(image) for image in albedos or (noisy, denoised))
        demodulated = albedos is not None
        height, width = denoised.shape[2:]
        sums = np.empty((-(-height // ROWS), 3, width))

        def add(first: int, last: int) -> None:
            light_sums(
                *(mean, clean, spread, before, after, demodulated, ALBEDO_EPSILON),
                *(first, last, sums[first // ROWS]),
            )

        in_rows(add, height)
        kept, lost, squares = torch.from_numpy(sums).sum(dim=(0, 2))
        return kept, Light(kept + lost, squares)
    was = now = torch.ones_like(noisy)
    if albedos is not None:
        was, now = demodulator(finite(albedos[0])), demodulator(albedos[1])
    light = denoised * now
    terms = (light, noisy * was - light, variance.clamp(min=0) * was * was)
    there = light.isfinite()
    kept, lost, squares = (torch.where(there, term, 0.0).sum(dtype=torch.float64) for term in terms)
    return kept, Light(kept + lost, squares)


def bright(denoised: Tensor, albedo: Tensor | None = None) -> Tensor:
    """The first of `light_of`: what is multiplied by its albedo, if that is given."""
    if not compiler.usable(denoised):
        light = denoised if albedo is None else denoised * demodulator(albedo)
        return torch.where(light.isfinite(), light, 0.0).sum(dtype=torch.float64)
    # numba takes its time to be imported.
    from kpcn_core.ops.surplus import bright_sums

    clean = compiler.planes(denoised)
    after = clean if albedo is None else compiler.planes(albedo)
    height, width = denoised.shape[2:]
    sums = np.empty((-(-height // ROWS), width))

    def add(first: int, last: int) -> None:
        demodulated = albedo is not None
        bright_sums(clean, after, demodulated, ALBEDO_EPSILON, first, last, sums[first // ROWS])

    in_rows(add, height)
    return torch.from_numpy(sums).sum()


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
