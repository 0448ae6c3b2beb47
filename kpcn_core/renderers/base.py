"""What every renderer gives: an accumulation of samples per pixel that merges exactly."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kpcn_core.frame import Frame

SamplingMap = NDArray[np.uint32]  # [H,W] samples per pixel


@dataclass(frozen=True)
class Accumulation:
    """Mean and spread of all samples so far, per pixel.

    Attributes:
        count: samples taken [H,W].
        mean: AOV name to mean over the samples, float64 [C,H,W]; 0 where count is 0.
        deviation: AOV name to sum of squared deviations from the mean, float64 [C,H,W].
            AOVs without it (motion, depth) have no variance twin.
    """

    count: NDArray[np.uint32]
    mean: Mapping[str, NDArray[np.float64]]
    deviation: Mapping[str, NDArray[np.float64]]

    def merged(self, other: "Accumulation") -> "Accumulation":
        """Both passes together, as if all samples had been taken in one (Chan et al. 1979)."""
        raise NotImplementedError

    def frame(self) -> Frame:
        """The AOVs, with `*_mse` = deviation / (n (n-1)), the variance of the mean."""
        raise NotImplementedError


class Renderer(Protocol):
    """A renderer that can be told how many samples to take where."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        ...

    def render(self, samples: int | SamplingMap, seed: int) -> Accumulation:
        """Take this many new samples in each pixel. Different seeds are independent."""
        ...
