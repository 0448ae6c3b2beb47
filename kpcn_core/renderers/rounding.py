"""From shares of a total to whole numbers of samples."""

import numpy as np

from kpcn_core.renderers.base import Float64, SamplingMap


def proportional(weights: Float64, total: int, seed: int) -> SamplingMap:
    """Whole numbers in proportion to weights, that sum to `total`.

    Systematic sampling: the pixels lie on a line, each as long as its share, and are counted at
    marks one unit apart that start at a random place. So every number is the share rounded up or
    down, and its expectation is the share itself. The pixels' order on the line is random, because
    any regular one would show as a pattern where shares are even.

    Args:
        weights: at least 0, with a positive sum [H,W].
        total: how many samples there are.
        seed: of the order and the start.
    """
    generator = np.random.default_rng(seed)
    order = generator.permutation(weights.size)
    ends = np.cumsum(weights.ravel()[order])
    ends *= total / ends[-1]
    ends[-1] = total
    counts = np.empty(weights.size, np.uint32)
    counts[order] = np.diff(np.floor(ends + generator.random()), prepend=0)
    return counts.reshape(weights.shape)
