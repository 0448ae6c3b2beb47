"""From a sampling map to camera rays, and from samples back to pixels."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import drjit as dr
import mitsuba as mi
import numpy as np
from numpy.typing import NDArray

from kpcn_core.aov import AOVS, ESTIMATED
from kpcn_core.frame import Pixels
from kpcn_core.renderers.base import Accumulation, SamplingMap, merge_closest, merge_moments

Values = NDArray[np.float32]  # [C,N] of N samples


class PixelFilter:
    """Draws film positions with the density of the scene's pixel filter.

    Each sample then counts for its own pixel alone, with weight 1 (filter importance sampling), so
    that the noise of neighbouring pixels stays independent. Filters with negative lobes draw by
    the absolute value and carry its sign in the weight.
    """

    RESOLUTION = 1024

    def __init__(self, rfilter: Any) -> None:
        radius = rfilter.radius()
        positions = (np.arange(self.RESOLUTION) + 0.5) / self.RESOLUTION * 2 - 1
        values = np.array(rfilter.eval(mi.Float(positions * radius)), np.float64)
        self._box = rfilter.is_box_filter()
        self._distribution = mi.DiscreteDistribution(mi.Float(np.abs(values)))
        scale = np.abs(values).sum() / values.sum()
        self._weights = mi.Float(np.sign(values) * scale)
        self._cell = 2 * radius / self.RESOLUTION
        self._radius = radius

    def sample(self, uniform: Any) -> tuple[Any, Any]:
        """Offset [2] from the pixel centre, and its weight, for uniform numbers [2]."""
        if self._box:
            return mi.Vector2f(uniform) - 0.5, mi.Float(1)
        x, weight_x = self._sample_axis(uniform.x)
        y, weight_y = self._sample_axis(uniform.y)
        return mi.Vector2f(x, y), weight_x * weight_y

    def _sample_axis(self, uniform: Any) -> tuple[Any, Any]:
        cell, remainder = self._distribution.sample_reuse(uniform)
        offset = (mi.Float(cell) + remainder) * self._cell - self._radius
        return offset, dr.gather(mi.Float, self._weights, cell)


@dataclass(frozen=True)
class Chunk:
    """Samples that are traced together: runs of consecutive samples of the same pixel.

    Attributes:
        pixels: index of each run's pixel, ascending [R].
        counts: samples in each run [R].
    """

    pixels: NDArray[np.uint32]
    counts: NDArray[np.uint32]

    @property
    def size(self) -> int:
        """Number of samples."""
        return int(self.counts.sum())


def chunks(samples: SamplingMap, size: int) -> Iterator[Chunk]:
    """Cut a sampling map [H,W] into chunks of at most `size` samples."""
    flat = samples.ravel()
    ends = np.cumsum(flat, dtype=np.int64)
    for start in range(0, int(ends[-1]), size):
        stop = min(start + size, int(ends[-1]))
        first, last = np.searchsorted(ends, [start, stop - 1], side="right")
        run = slice(int(first), int(last) + 1)
        begins = ends[run] - flat[run]
        counts = np.minimum(ends[run], stop) - np.maximum(begins, start)
        taken = counts > 0
        pixels = np.arange(run.start, run.stop)[taken]
        yield Chunk(pixels.astype(np.uint32), counts[taken].astype(np.uint32))


class Statistics:
    """Collects chunks into an `Accumulation`; pixels without samples have 0, and infinite depth."""

    def __init__(self, height: int, width: int, motions: Iterable[str] = ()) -> None:
        pixels = height * width
        self._size = (height, width)
        self._count = np.zeros(pixels, np.uint32)
        self._mean = {aov: np.zeros((AOVS[aov].channels, pixels)) for aov in ESTIMATED}
        self._deviation = {aov: np.zeros_like(mean) for aov, mean in self._mean.items()}
        self._closest: dict[str, Pixels] = {"depth": np.full((1, pixels), np.inf, np.float32)}
        self._closest |= {aov: np.zeros((2, pixels), np.float32) for aov in motions}

    def add(self, chunk: Chunk, values: Mapping[str, Values]) -> None:
        """Merge the samples of a chunk, AOV name to [C,N]."""
        starts = np.concatenate([[0], np.cumsum(chunk.counts[:-1], dtype=np.int64)])
        for aov in self._mean:
            self._add_moments(aov, values[aov], chunk, starts)
        self._add_closest(values, chunk, starts)
        self._count[chunk.pixels] += chunk.counts

    def accumulation(self) -> Accumulation:
        """Everything so far."""
        shape = {aov: (AOVS[aov].channels, *self._size) for aov in AOVS}
        return Accumulation(
            self._count.reshape(self._size),
            {aov: mean.reshape(shape[aov]) for aov, mean in self._mean.items()},
            {aov: deviation.reshape(shape[aov]) for aov, deviation in self._deviation.items()},
            {aov: nearest.reshape(shape[aov]) for aov, nearest in self._closest.items()},
        )

    def _add_moments(
        self, aov: str, values: Values, chunk: Chunk, starts: NDArray[np.int64]
    ) -> None:
        for channel, samples in enumerate(values.astype(np.float64)):
            mean = np.add.reduceat(samples, starts) / chunk.counts
            spread = np.square(samples - np.repeat(mean, chunk.counts))
            deviation = np.add.reduceat(spread, starts)
            at = (channel, chunk.pixels)
            self._mean[aov][at], self._deviation[aov][at] = merge_moments(
                (self._count[chunk.pixels], self._mean[aov][at], self._deviation[aov][at]),
                (chunk.counts, mean, deviation),
            )

    def _add_closest(
        self, values: Mapping[str, Values], chunk: Chunk, starts: NDArray[np.int64]
    ) -> None:
        depth = values["depth"][0]
        least = np.repeat(np.minimum.reduceat(depth, starts), chunk.counts)
        # The first sample of each run that has the least depth.
        candidates = np.where(depth == least, np.arange(depth.size), depth.size)
        nearest = np.minimum.reduceat(candidates, starts)
        found = {aov: values[aov][:, nearest] for aov in self._closest}
        known = {aov: old[:, chunk.pixels] for aov, old in self._closest.items()}
        merged = merge_closest((self._count[chunk.pixels], known), (chunk.counts, found))
        for aov, new in merged.items():
            self._closest[aov][:, chunk.pixels] = new
