"""Adaptive sampling (paper §5): rendering that asks the denoiser where it needs samples.

Example:
    >>> for step in adaptive.run(renderer, Denoiser.load(), budget=64):
    ...     print(step.spp, step.mean_error)
"""

from kpcn_core.adaptive.loop import run
from kpcn_core.adaptive.state import State, Step

__all__ = ["State", "Step", "run"]
