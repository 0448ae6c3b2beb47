"""What every renderer gives: an accumulation of samples per pixel that merges exactly."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kpcn_core.errors import MissingAov
from kpcn_core.frame import Frame, Pixels

SamplingMap = NDArray[np.uint32]  # [H,W] samples per pixel
Float64 = NDArray[np.float64]
Progress = Callable[[int, int], None]  # samples done, samples in all


@dataclass(frozen=True)
class Accumulation:
    """Mean and spread of all samples so far, per pixel.

    Attributes:
        count: samples taken [H,W].
        mean: AOV name to mean over the samples, float64 [C,H,W]; 0 where count is 0.
        deviation: AOV name to sum of squared deviations from the mean, float64 [C,H,W]; of those
            AOVs whose variance the renderer gives.
        closest: AOV name to its value at the sample nearest to the camera, float32 [C,H,W]:
            "depth" and motion, whose averages over an edge would belong to no surface.
        source: name of the source that the AOVs are of, see `Frame`.
    """

    count: SamplingMap
    mean: Mapping[str, Float64]
    deviation: Mapping[str, Float64]
    closest: Mapping[str, Pixels] = field(default_factory=dict)
    source: str = "kpcn"

    def merged(self, other: "Accumulation") -> "Accumulation":
        """Both passes together, as if all samples had been taken in one (Chan et al. 1979).

        Raises:
            MissingAov: only one of them has some AOV.
        """
        _check_same_aovs(self, other)
        mean, deviation = {}, {}
        unknown = np.zeros(1)
        for aov in self.mean:
            mean[aov], deviation[aov] = merge_moments(
                (self.count, self.mean[aov], self.deviation.get(aov, unknown)),
                (other.count, other.mean[aov], other.deviation.get(aov, unknown)),
            )
        deviation = {aov: deviation[aov] for aov in self.deviation}
        closest = merge_closest((self.count, self.closest), (other.count, other.closest))
        return Accumulation(self.count + other.count, mean, deviation, closest, self.source)

    def frame(self) -> Frame:
        """The AOVs as float32, with `*_mse` twins: the variance of the pixel mean.

        `*_mse` = deviation / (n (n-1)). One sample alone says nothing about its variance; such a
        pixel gets the square of its mean, as if it were as noisy as it is bright.
        """
        count = self.count.astype(np.float64)
        aovs = {aov: mean.astype(np.float32) for aov, mean in self.mean.items()}
        for aov, deviation in self.deviation.items():
            variance = deviation / np.maximum(count * (count - 1), 1)
            known = np.where(self.count > 1, variance, np.square(self.mean[aov]))
            aovs[f"{aov}_mse"] = known.astype(np.float32)
        aovs = {**aovs, **self.closest, "sample_count": count.astype(np.float32)[None]}
        return Frame(aovs, source=self.source)


def _check_same_aovs(first: Accumulation, second: Accumulation) -> None:
    for known, new in zip(_aovs(first), _aovs(second), strict=True):
        if known != new:
            raise MissingAov(
                f"Two passes cannot be merged: {', '.join(sorted(known ^ new))} is in only one of "
                f"them. Let the renderer write the same layers in every pass."
            )


def _aovs(passed: Accumulation) -> tuple[set[str], ...]:
    return set(passed.mean), {f"{aov}_mse" for aov in passed.deviation}, set(passed.closest)


def merge_moments(
    first: tuple[SamplingMap, Float64, Float64], second: tuple[SamplingMap, Float64, Float64]
) -> tuple[Float64, Float64]:
    """Mean and deviation of two (count, mean, deviation) together; counts without channels."""
    (count_a, mean_a, deviation_a), (count_b, mean_b, deviation_b) = first, second
    total = np.maximum(count_a + count_b, 1).astype(np.float64)
    difference = mean_b - mean_a
    mean = mean_a + difference * (count_b / total)
    spread = np.square(difference) * (count_a.astype(np.float64) * count_b / total)
    return mean, deviation_a + deviation_b + spread


def merge_closest(
    first: tuple[SamplingMap, Mapping[str, Pixels]],
    second: tuple[SamplingMap, Mapping[str, Pixels]],
) -> dict[str, Pixels]:
    """Closest values of two (count, closest) together: of the nearer, or the first if as near.

    Where one took no sample, all values are the other's, also those of an infinite depth.
    """
    (count_a, closest_a), (count_b, closest_b) = first, second
    if not closest_a:
        return {}
    nearer = closest_b["depth"] < closest_a["depth"]
    chosen = (count_b > 0) & (nearer | (count_a == 0))
    return {aov: np.where(chosen, closest_b[aov], closest_a[aov]) for aov in closest_a}


class Renderer(Protocol):
    """A renderer that can be told how many samples to take where."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        ...

    def render(
        self, samples: int | SamplingMap, seed: int, progress: Progress | None = None
    ) -> Accumulation:
        """Take this many new samples in each pixel. Different seeds are independent."""
        ...


class PlacedRenderer(Renderer, Protocol):
    """A renderer that knows where its pixels lie on the film."""

    @property
    def origin(self) -> tuple[int, int]:
        """(x, y) of its first pixel."""
        ...

    @property
    def film_size(self) -> tuple[int, int]:
        """(height, width) of the whole film."""
        ...
