"""Light that denoising took from a whole frame, given back.

A loss of absolute errors seeks the median of what a pixel may be. The noise of renders is skewed:
its median is darker than its mean, so that some light is lost, more where there are fewer samples.
One factor a component gives it back. How certain the loss is follows from the frame alone: what
denoising took of each pixel is noise but for the loss, and the sum of its squares is the variance
of its sum. So frames without variances keep their light as well.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kpcn_core.features import ALBEDO_EPSILON, LIGHT, demodulator
from kpcn_core.ops import compiler, fusion
from kpcn_core.ops.workers import ROWS, in_rows
from kpcn_core.prepared import Prepared

MOST_GAIN = 1.25
# What a pixel loses counts up to so many times its brightness and a little: the light of fireflies
# is not given to the whole frame.
MOST_LOSS, DARK = 20.0, 0.1
TINY = 1e-12

Albedos = tuple[Tensor, Tensor]


class Light(NamedTuple):
    """Light of a component, the sum of all channels of all pixels, float64.

    Attributes:
        kept: by denoising [].
        lost: by it [].
        squares: variance of that [].
    """

    kept: Tensor
    lost: Tensor
    squares: Tensor


def gains(prepared: Prepared, filtered: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What to multiply filtered components by, so that they keep their light [1,1,1,1].

    Args:
        prepared: the frame.
        filtered: component to its filtered image, exposed [1,C,H,W].
    """
    found = {}
    for name in LIGHT:
        if name not in prepared.parts:
            continue
        part, albedos = prepared.parts[name], None
        if name == "irradiance":
            albedos = prepared.aovs["albedo"], filtered["albedo"][:, :3]
        found[name] = gain(part.radiance, part.valid, filtered[name][:, :3], albedos)
    return found


def gain(noisy: Tensor, valid: Tensor, clean: Tensor, albedos: Albedos | None = None) -> Tensor:
    """The factor of one component [1,1,1,1], float32; 1 where chance explains what it lost.

    Args:
        noisy: exposed [1,3,H,W].
        valid: 1 where noisy pixels count, else 0 [1,1,H,W].
        clean: the denoised ones; where one is not finite, the pixel counts nothing.
        albedos: what the noisy pixels are to be multiplied by, and the denoised ones; see
            `features.demodulator`.
    """
    if fusion.usable(clean):
        # Triton is not everywhere.
        from kpcn_core.ops import fused_light

        sums = fused_light.block_sums(noisy, valid, clean, albedos, _counting())
        return fused_light.gain(sums, fused_light.Rule(MOST_GAIN, TINY))
    light = light_of(noisy, valid, clean, albedos)
    # The squared loss beyond its variance, as a share: the positive-part rule of James and Stein.
    certain = (1 - light.squares / (light.lost.square() + TINY)).clamp(min=0)
    factor = 1 + certain * light.lost / light.kept.clamp(min=TINY)
    return factor.clamp(1 / MOST_GAIN, MOST_GAIN).view(1, 1, 1, 1).to(clean.dtype)


def light_of(noisy: Tensor, valid: Tensor, clean: Tensor, albedos: Albedos | None = None) -> Light:
    """Light that a denoised image kept and lost; arguments as of `gain`."""
    if compiler.usable(clean):
        return _compiled(noisy, valid, clean, albedos)
    was = now = torch.ones_like(noisy)
    if albedos is not None:
        was, now = map(demodulator, albedos)
    light = (clean * now).sum(dim=1, keepdim=True)
    left = (noisy * was).sum(dim=1, keepdim=True) - light
    known = (valid > 0) & left.isfinite()
    lost = left.minimum(MOST_LOSS * (light.clamp(min=0) + 3 * DARK))
    terms = (torch.where(known, term, 0.0).double() for term in (light, lost))
    kept, taken = terms
    return Light(kept.sum(), taken.sum(), taken.square().sum())


def _compiled(noisy: Tensor, valid: Tensor, clean: Tensor, albedos: Albedos | None) -> Light:
    """`light_of` on a CPU, in one pass."""
    # numba takes its time to be imported.
    from kpcn_core.ops.light import light_sums

    mean, (there,), now = (compiler.planes(image) for image in (noisy, valid, clean))
    before, after = (compiler.planes(image) for image in albedos or (noisy, clean))
    height, width = clean.shape[2:]
    sums = np.empty((-(-height // ROWS), 3, width))

    def add(first: int, last: int) -> None:
        light_sums(
            *(mean, there, now, before, after, albedos is not None, *_counting()),
            *(first, last, sums[first // ROWS]),
        )

    in_rows(add, height)
    return Light(*torch.from_numpy(sums).sum(dim=(0, 2)))


def _counting() -> tuple[float, float, float]:
    """What the sums need to know: epsilon of the demodulator, the most loss, and what is dark."""
    return ALBEDO_EPSILON, MOST_LOSS, 3 * DARK
