"""Channels of a file to the pixels of an AOV, by its recipe."""

from collections.abc import Callable, Mapping
from functools import reduce

import numpy as np

from kpcn_core.frame import Pixels
from kpcn_core.layer import Channel
from kpcn_core.mapping import Found

MOTION = ("forward", "backward")

ChannelPixels = Callable[[Channel], Pixels]  # [H,W]


def load_aovs(found: Mapping[str, Found], channel: ChannelPixels) -> dict[str, Pixels]:
    """The pixels of every AOV.

    Args:
        found: where each AOV is.
        channel: gives a channel's pixels, float32 [H,W].
    """
    aovs = {aov: _combined(where, channel) for aov, where in found.items()}
    for aov, where in found.items():
        if where.recipe.premultiplied and "alpha" in aovs:
            aovs[aov] = _unpremultiplied(aovs[aov], aovs["alpha"])
        aovs[aov] = _in_our_units(aovs[aov], where, aov)
    return aovs


def _combined(where: Found, channel: ChannelPixels) -> Pixels:
    """Sum of the layers, times the factor, minus what is taken from it [C,H,W]."""
    # Not from 0: what is one layer keeps its bits, -0 and the payloads of NaN.
    terms = (np.stack([channel(one) for one in term]) for term in where.terms)
    total = reduce(np.add, terms)
    if where.factor:
        total = total * np.stack([channel(one) for one in where.factor])
    for taken in where.minus:
        total = total - _combined(taken, channel)
    return np.asarray(total, dtype=np.float32)


def _unpremultiplied(pixels: Pixels, alpha: Pixels) -> Pixels:
    return np.where(alpha > 0, pixels / np.where(alpha > 0, alpha, 1), pixels).astype(np.float32)


def _in_our_units(pixels: Pixels, where: Found, aov: str) -> Pixels:
    recipe = where.recipe
    if recipe.is_plain:
        return pixels
    factors = np.array(recipe.scale, dtype=np.float32)
    if aov in MOTION:
        factors = factors * np.array(pixels_per_unit(recipe.units, *pixels.shape[-2:]), np.float32)
    pixels = (pixels - np.float32(recipe.offset)) * factors.reshape(-1, 1, 1)
    if recipe.far is not None:
        pixels = np.where(pixels >= recipe.far, np.float32(np.inf), pixels)
    return pixels.astype(np.float32)


def pixels_per_unit(units: str, height: int, width: int) -> tuple[float, float]:
    """How many pixels (x, y) a motion of 1 is, in an image of this size."""
    return {
        "pixels": (1.0, 1.0),
        "screen": (float(width), float(height)),
        "clip": (width / 2, height / 2),
        "width": (float(width), float(width)),
    }[units]
