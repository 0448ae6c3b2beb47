"""Filtered components to a color, and shares of the input back, in one pass (`ops.compiler`).

For CPUs; twins of `features.compose` and of what `composite` does elsewhere. Images are float32, a
plane [h,w] for each channel. The loops over pixels are the innermost, and free of conditions: so
they become vector instructions.
"""

import numpy as np
from numpy.typing import NDArray

from kpcn_core.ops.compiler import compiled

Floats = NDArray[np.float32]
Planes = tuple[Floats, ...]

ZERO, HALF, ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
# The bits of a number but its sign, and those of infinity: what is more is no number. With its sign
# set, a number is less than 0 as a whole one, too.
UNSIGNED, INFINITE, SIGN = np.int32(0x7FFFFFFF), np.int32(0x7F800000), np.int32(0)


@compiled
def add_light(
    light: Planes,
    factor: float,
    albedo: Planes,
    demodulated: bool,
    epsilon: float,
    started: bool,
    first: int,
    last: int,
    out: Floats,
) -> None:
    """Add rows `first` to `last` of a component to a color.

    Args:
        light: the component.
        factor: what it is multiplied by.
        albedo: what it is multiplied by as well, see `features.demodulator`.
        demodulated: False multiplies by no albedo; none is read.
        epsilon: of the demodulator.
        started: False writes over what is in the result.
        first: row.
        last: row after the last one.
        out: the result [C,h,w].
    """
    width = out.shape[2]
    scale, black = np.float32(factor), np.float32(epsilon)
    for channel in range(len(out)):
        for y in range(first, last):
            row, found = light[channel][y], out[channel, y]
            if not started:
                found[:] = ZERO
            if demodulated:
                surface = albedo[channel][y]
                bits = surface.view(np.int32)
                for i in range(width):
                    # No number stays none, which a maximum would not promise.
                    dark = (bits[i] < SIGN) & ((bits[i] & UNSIGNED) <= INFINITE)
                    found[i] += scale * row[i] * ((ZERO if dark else surface[i]) + black)
            else:
                for i in range(width):
                    found[i] += scale * row[i]


@compiled
def give_back(
    share: Floats, first: int, last: int, result: Floats, noisy: Floats, out: Floats
) -> None:
    """Rows `first` to `last` of one plane of a result, with its share of the input.

    Args:
        share: of the difference between both [h,w], 0 to 1.
        first: row.
        last: row after the last one.
        result: where it is NaN, the input stays.
        noisy: the input; what is not finite is not given back.
        out: [h,w].
    """
    for y in range(first, last):
        clean, mean, part, found = result[y], noisy[y], share[y], out[y]
        before, after = mean.view(np.int32), clean.view(np.int32)
        for i in range(len(found)):
            difference = mean[i] - clean[i]
            # From the nearer end, so that all or nothing is exactly that.
            low = clean[i] + part[i] * difference
            high = mean[i] - (ONE - part[i]) * difference
            given = low if part[i] < HALF else high
            some = (part[i] > ZERO) & ((before[i] & UNSIGNED) < INFINITE)
            pixel = given if some else clean[i]
            found[i] = mean[i] if (after[i] & UNSIGNED) > INFINITE else pixel
