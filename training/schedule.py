"""Learning rate: warm-up, flat, and a decay over the end of whatever budget there is.

Flat in between, because the length of a training that goes on over several sessions is not known
when it starts; a decay turns any state of it into weights worth releasing.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from training.config import OptimizerConfig


@dataclass(frozen=True)
class Budget:
    """How long to train.

    Attributes:
        steps: of the whole training, or None.
        seconds: of this session, or None.
        decay: whether the learning rate falls at the end of it.
        clock: seconds since the session started.
    """

    steps: int | None
    seconds: float | None
    decay: bool = True
    clock: Callable[[], float] = time.monotonic

    def spent(self, step: int) -> float:
        """The part of the budget that is used up, 0 to 1."""
        parts = [0.0]
        if self.steps is not None:
            parts.append(step / self.steps)
        if self.seconds is not None:
            parts.append(self.clock() / self.seconds)
        return min(max(parts), 1.0)


def session_clock() -> Callable[[], float]:
    """Seconds since now."""
    start = time.monotonic()
    return lambda: time.monotonic() - start


def learning_rate(config: OptimizerConfig, budget: Budget, step: int) -> float:
    """The learning rate of a step, counted from 0."""
    rate = config.rate * min(1.0, (step + 1) / max(config.warmup, 1))
    left = 1.0 - budget.spent(step)
    if not budget.decay or left >= config.decay:
        return rate
    return rate * 0.5 * (1 - math.cos(math.pi * left / config.decay))
