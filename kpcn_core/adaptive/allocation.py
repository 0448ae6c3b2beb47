"""How the samples of a pass are spread over the pixels (paper §5)."""

import numpy as np

from kpcn_core.errors import InvalidPixels
from kpcn_core.frame import Pixels
from kpcn_core.renderers.base import SamplingMap
from kpcn_core.renderers.rounding import proportional

# Part of every pass that goes to all pixels alike: a guide that is wrong somewhere finds out.
FLOOR = 0.1


def allocate(error: Pixels, total: int, floor: float, seed: int) -> SamplingMap:
    """The sampling map [H,W] of a pass: in proportion to an error map, above a floor.

    Args:
        error: what a guide gives, at least 0 [1,H,W]; without any error the samples are spread
            evenly.
        total: samples of the pass, which the map sums to.
        floor: part of them that is spread evenly, 0 to 1.
        seed: of the rounding, which keeps the expectation of each pixel.

    Raises:
        InvalidPixels: the error map has negative values, NaN or Inf.
    """
    bad = int((~(np.isfinite(error) & (error >= 0))).sum())
    if bad:
        raise InvalidPixels(
            f"The guide gives {bad} of {error.size} pixels a negative error, NaN or Inf. "
            f"Choose another guide, or mend yours."
        )
    weights = error[0].astype(np.float64)
    mean = weights.mean()
    relative = weights / mean if mean > 0 else np.ones_like(weights)
    return proportional(floor + (1 - floor) * relative, total, seed)
