"""Light that an image kept and lost, in one pass, for CPUs; compiled (`ops.compiler`).

Images are float32, a plane [h,w] for each channel. The loops over pixels are the innermost, and
free of conditions: so they become vector instructions.
"""

import numpy as np
from numpy.typing import NDArray

from kpcn_core.ops.compiler import compiled

Floats = NDArray[np.float32]
Planes = tuple[Floats, ...]

ZERO = np.float32(0.0)
EXPONENT = np.int32(0x7F800000)  # its bits are all set where a number is not finite


@compiled
def light_sums(
    noisy: Planes,
    valid: Floats,
    clean: Planes,
    before: Planes,
    after: Planes,
    demodulated: bool,
    epsilon: float,
    most: float,
    dark: float,
    first: int,
    last: int,
    sums: NDArray[np.float64],
) -> None:
    """Light of rows `first` to `last`: kept, lost, and the squares of what pixels lost, added up.

    Args:
        noisy: the planes of each channel.
        valid: 0 where they count nothing.
        clean: denoised planes; where one is not finite, the pixel counts nothing.
        before: albedo that the noisy pixels are multiplied by, see `features.demodulator`.
        after: albedo that the denoised ones are multiplied by.
        demodulated: False multiplies by nothing; no albedo is read.
        epsilon: of the demodulator.
        most: times its brightness that a pixel can lose.
        dark: added to that.
        first: row.
        last: row after the last one.
        sums: the result of each column [3,w].
    """
    width = sums.shape[1]
    black, times, floor = np.float32(epsilon), np.float32(most), np.float32(dark)
    kept, lost, squared = sums[0], sums[1], sums[2]
    kept[:] = lost[:] = squared[:] = np.float64(0.0)
    light, left = np.empty(width, np.float32), np.empty(width, np.float32)
    unknown, bits = np.empty(width, np.int32), left.view(np.int32)
    for y in range(first, last):
        light[:] = left[:] = ZERO
        unknown[:] = np.int32(0)
        for channel in range(len(noisy)):
            mean, now = noisy[channel][y], clean[channel][y]
            if demodulated:
                old, new = before[channel][y], after[channel][y]
                numbers, found = old.view(np.int32), new.view(np.int32)
                for i in range(width):
                    # A maximum would make a number of what is none.
                    unknown[i] |= (numbers[i] & EXPONENT) == EXPONENT
                    unknown[i] |= (found[i] & EXPONENT) == EXPONENT
                    bright = now[i] * (max(new[i], ZERO) + black)
                    light[i] += bright
                    left[i] += mean[i] * (max(old[i], ZERO) + black) - bright
            else:
                for i in range(width):
                    light[i] += now[i]
                    left[i] += mean[i] - now[i]
        there = valid[y]
        for i in range(width):
            number = (unknown[i] == 0) & ((bits[i] & EXPONENT) != EXPONENT)
            known = (there[i] > ZERO) & number
            largest = times * (max(light[i], ZERO) + floor)
            loss = np.float64(min(left[i], largest) if known else ZERO)
            kept[i] += np.float64(light[i] if known else ZERO)
            lost[i] += loss
            squared[i] += loss * loss
