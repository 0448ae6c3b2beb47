"""Components of a frame in one pass, for CPUs; compiled (`ops.compiler`).

Twin of what `features.component` does to images.
"""

import numpy as np
from numpy.typing import NDArray

from kpcn_core.ops.compiler import compiled, part
from kpcn_core.ops.lanes import (
    LANES,
    Register,
    everywhere,
    load_first,
    negative,
    positive,
    store_first,
    where_finite,
)

Floats = NDArray[np.float32]

ZERO, ONE = np.float32(0.0), np.float32(1.0)


@compiled
def mask_rows(
    image: Floats,
    less: Floats,
    less_still: Floats,
    variance: Floats,
    albedo: Floats,
    gain: np.float32,
    epsilon: np.float32,
    first: int,
    last: int,
    radiance: Floats,
    spread: Floats,
    valid: Floats,
) -> None:
    """Write rows of a component.

    Args:
        image: [C,H,W]; numbers of a row side by side.
        less: subtracted from it, likewise; or [0,0,0].
        less_still: likewise.
        variance: of the image, likewise; or [0,0,0].
        albedo: what it is divided by, see `features.demodulator`, likewise; or [0,0,0].
        gain: what it is multiplied by.
        epsilon: of the demodulator.
        first: row to start at.
        last: row to stop before.
        radiance: the result [C,H,W], 0 where a channel of a pixel is not finite.
        spread: its variance, likewise, 0 where that is not finite; not written without one.
        valid: 1 where all channels are finite, else 0 [1,H,W].
    """
    zero = everywhere(ZERO)
    for y in range(first, last):
        for x in range(0, image.shape[2], LANES):
            count, known = image.shape[2] - x, everywhere(ONE)
            for channel in range(len(image)):
                place = channel, y, x
                light = load_first(image, place, count)
                if len(less):
                    light = light - load_first(less, place, count)
                if len(less_still):
                    light = light - load_first(less_still, place, count)
                factor = _factor(albedo, gain, epsilon, place, count)
                light = light * factor
                known = where_finite(light, known, zero)
                store_first(radiance, place, light, count)
                if len(variance):
                    found = load_first(variance, place, count) * (factor * factor)
                    store_first(spread, place, where_finite(found, found, zero), count)
            store_first(valid, (0, y, x), known, count)
            for channel in range(len(image)):
                light = load_first(radiance, (channel, y, x), count)
                store_first(radiance, (channel, y, x), positive(known, light, zero), count)


@part
def _factor(
    albedo: Floats, gain: np.float32, epsilon: np.float32, place: tuple[int, int, int], count: int
) -> Register:
    factor = everywhere(gain)
    if not len(albedo):
        return factor
    there = load_first(albedo, place, count)
    return factor / (negative(there, everywhere(ZERO), there) + everywhere(epsilon))
