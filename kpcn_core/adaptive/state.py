"""Where the loop stands after a pass."""

from dataclasses import dataclass

import numpy as np

from kpcn_core.frame import Frame, Pixels
from kpcn_core.renderers.base import Accumulation, SamplingMap


@dataclass(frozen=True)
class State:
    """All that the next pass depends on.

    Attributes:
        passes: how many there were.
        accumulation: all samples so far.
        error: what the guide says of the image so far [1,H,W].
        seconds: time that all passes took, denoising included.
    """

    passes: int
    accumulation: Accumulation
    error: Pixels
    seconds: float

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.accumulation.count.size

    @property
    def total(self) -> int:
        """Samples so far, over all pixels."""
        return int(self.accumulation.count.sum(dtype=np.int64))

    @property
    def spp(self) -> float:
        """Samples per pixel so far, on average."""
        return self.total / self.pixels

    @property
    def mean_error(self) -> float:
        """Mean of the error map."""
        return float(self.error.mean(dtype=np.float64))


@dataclass(frozen=True)
class Step(State):
    """What a pass leads to.

    Attributes:
        samples: the sampling map [H,W] that this pass was asked for.
        noisy: all samples so far.
        denoised: the same frame, denoised.
        stop: why this is the last pass: "budget", "target" or "time"; None if it is not.
    """

    samples: SamplingMap
    noisy: Frame
    denoised: Frame
    stop: str | None
