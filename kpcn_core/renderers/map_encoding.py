"""How a sampling map is told to a renderer that is a command line.

Some renderers read a number for each pixel, some a factor, some a texture between two numbers, and
some can only leave pixels out. So a pass becomes one or more requests, each with a map to read.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kpcn_core.frame import Pixels
from kpcn_core.renderers.base import SamplingMap
from kpcn_core.renderers.rounding import proportional
from kpcn_core.renderers.sampling_map import LAYER

GREY = ""  # the main layer, R = G = B: what a texture is


@dataclass(frozen=True)
class Request:
    """One run of the renderer.

    Attributes:
        layers: what the map's file holds: layer name to pixels [C,H,W].
        counts: samples that it asks for [H,W].
        spp: what the renderer's own setting is to be.
    """

    layers: Mapping[str, Pixels]
    counts: SamplingMap
    spp: int


def count_map(counts: SamplingMap, sizes: Sequence[int], seed: int) -> Iterator[Request]:
    """Samples per pixel as they are, in the layer `samples`; {spp} is their mean."""
    yield Request({LAYER: _pixels(counts)}, counts, _mean(counts))


def multiplier(counts: SamplingMap, sizes: Sequence[int], seed: int) -> Iterator[Request]:
    """Factors to {spp}, the renderer's own setting: `sizes` if there is one, else the mean."""
    spp = sizes[0] if sizes else _mean(counts)
    yield Request({GREY: _grey(counts / spp)}, counts, spp)


def texture(counts: SamplingMap, sizes: Sequence[int], seed: int) -> Iterator[Request]:
    """A texture: 0 stands for {min} samples, 1 for {max}, linear between them."""
    least, most = int(counts.min()), int(counts.max())
    values = (counts - np.float64(least)) / max(most - least, 1)
    yield Request({GREY: _grey(values)}, counts, _mean(counts))


def masks(counts: SamplingMap, sizes: Sequence[int], seed: int) -> Iterator[Request]:
    """Black and white masks, {spp} samples where white; together they make up the counts.

    Each pixel's number is paid in the sizes as in coins, largest first, and a mask is white where
    one more of them is due: those of one size lie within each other. Sizes that include 1 (the
    default, powers of 4) pay every number exactly; else numbers are first rounded, at random, to
    multiples of the least.
    """
    coins = sorted(sizes or powers(4, int(counts.max())), reverse=True)
    left = _multiples(counts, coins[-1], seed)
    for coin in coins:
        due, left = left // coin, left % coin
        for step in range(int(due.max())):
            white = due > step
            asked = np.where(white, coin, 0).astype(np.uint32)
            yield Request({GREY: _grey(white)}, asked, coin)


def even(counts: SamplingMap, sizes: Sequence[int], seed: int) -> Iterator[Request]:
    """No map: {spp} everywhere, the mean; for renderers that can do no more."""
    spp = _mean(counts)
    everywhere = np.full_like(counts, spp)
    yield Request({LAYER: _pixels(everywhere)}, everywhere, spp)


Encoding = Callable[[SamplingMap, Sequence[int], int], Iterator[Request]]

ENCODINGS: dict[str, Encoding] = {
    "counts": count_map,
    "multiplier": multiplier,
    "texture": texture,
    "masks": masks,
    "even": even,
}


def powers(base: int, most: int) -> list[int]:
    """1, base, base² … up to a number."""
    found = [1]
    while found[-1] * base <= most:
        found.append(found[-1] * base)
    return found


def _multiples(counts: SamplingMap, unit: int, seed: int) -> SamplingMap:
    """Numbers that are multiples of a unit, and the same in expectation."""
    if unit == 1 or not counts.any():
        return counts
    units = round(int(counts.sum(dtype=np.int64)) / unit)
    return proportional(counts.astype(np.float64), units, seed) * np.uint32(unit)


def _mean(counts: SamplingMap) -> int:
    return max(1, round(float(counts.mean(dtype=np.float64))))


def _pixels(values: np.ndarray) -> Pixels:
    return values[None].astype(np.float32)


def _grey(values: np.ndarray) -> Pixels:
    return np.repeat(_pixels(values), 3, axis=0)
