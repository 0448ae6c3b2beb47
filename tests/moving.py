"""Frames that move, for tests of windows."""

import numpy as np

from kpcn_core.frame import Frame, Pixels
from tests.frames import random_frame


def moving_frames(
    count: int,
    height: int,
    width: int,
    step: tuple[float, float] = (1.6, -0.7),
    spread: float = 0.0,
) -> list[Frame]:
    """Frames of independent noise whose vectors say that everything moves alike.

    Args:
        count: of frames.
        height: pixels.
        width: pixels.
        step: x and y of the motion from each frame to the next, pixels.
        spread: standard deviation of what each vector has beside it, pixels.
    """
    generator = np.random.default_rng(17)

    def vectors(sign: float) -> Pixels:
        noise = spread * generator.standard_normal((2, height, width))
        return (sign * np.array(step).reshape(2, 1, 1) + noise).astype(np.float32)

    return [
        random_frame(height, width, seed).with_aovs(forward=vectors(1.0), backward=vectors(-1.0))
        for seed in range(count)
    ]
