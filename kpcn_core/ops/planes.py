"""Input planes folded into cells, channels last, a few rows at a time (`ops.compiler`); for CPUs.

Twins of `features.signed_log`, `finite` and `relative_deviation` with `pixel_unshuffle`. Pixels
beyond an image's size are 0. Cells come line by line first, one for each of their numbers; all
lines of a row are then turned at once.
"""

import math

import numpy as np
from numpy.typing import NDArray

from kpcn_core.ops.compiler import compiled, part
from kpcn_core.ops.lanes import LANES, everywhere
from kpcn_core.ops.registers import from_bits, to_bits
from kpcn_core.ops.shuffles import turn

Floats = NDArray[np.float32]
Planes = tuple[Floats, ...]

ZERO, HALF, ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
LOWEST = np.float32(-3e38)
# The exponent of a float32; all of its bits are set in what is not finite.
EXPONENT, PLACE = np.int32(0x7F800000), np.int32(23)
ROOT_HALF = np.int32(0x3F3504F3)  # bits of sqrt(1/2)
LOG2 = np.float32(math.log(2.0))
# log(1+t) = t - t**2/2 + t**3 * this, for sqrt(1/2) <= 1+t < sqrt(2); the coefficients of Cephes.
C0, C1, C2, C3, C4, C5, C6, C7, C8 = (
    np.float32(value)
    for value in (
        7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1,
        -1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1,
    )
)  # fmt: skip


@compiled
def fold_image(
    image: Planes, logarithmic: bool, fold: int, plane: int, first: int, last: int, out: Floats
) -> None:
    """Write the planes of an image.

    Args:
        image: a plane [H,W] for each channel; what is not finite counts as 0.
        logarithmic: write sign(x) log(1+|x|).
        fold: side of a cell.
        plane: which one is the image's first.
        first: row of cells to start at.
        last: row of cells to stop before.
        out: numbers of the cells, line by line [h,P*fold**2,w].
    """
    height, width = image[0].shape
    line = np.empty(fold * out.shape[2], np.float32)
    for y in range(fold * first, fold * last):
        for channel in range(len(image)):
            line[:] = ZERO
            if y < height:
                row = image[channel][y]
                for i in range(width):
                    line[i] = _finite(row[i])
                if logarithmic:
                    _signed_log(line)
            _write(line, fold, y, plane + channel, out)


@compiled
def fold_deviation(
    mean: Planes,
    variance: Planes,
    epsilon: float,
    fold: int,
    plane: int,
    first: int,
    last: int,
    out: Floats,
) -> None:
    """Write the plane of a relative deviation.

    Args:
        mean: a plane [H,W] for each channel.
        variance: likewise.
        epsilon: floor of the squared mean.
        fold: see `fold_image`, like the rest.
        plane: which one it is.
        first: row of cells to start at.
        last: row of cells to stop before.
        out: numbers of the cells, line by line [h,P*fold**2,w].
    """
    height, width = mean[0].shape
    line = np.empty(fold * out.shape[2], np.float32)
    squares = np.empty(width, np.float32)
    for y in range(fold * first, fold * last):
        line[:] = ZERO
        if y < height:
            squares[:] = epsilon
            for channel in range(len(mean)):
                row = mean[channel][y]
                for i in range(width):
                    squares[i] += _finite(row[i]) * _finite(row[i])
            for channel in range(len(variance)):
                row = variance[channel][y]
                for i in range(width):
                    line[i] += max(_finite(row[i]), ZERO)
            for i in range(width):
                line[i] = math.sqrt(min(line[i] / squares[i], ONE))
        _write(line, fold, y, plane, out)


@part
def _finite(value: float) -> np.float32:
    bits = to_bits(np.float32(value))
    found: np.float32 = from_bits(bits if bits & EXPONENT != EXPONENT else np.int32(0))
    return found


@part
def _signed_log(line: Floats) -> None:
    for i in range(len(line)):
        value = line[i]
        bits = to_bits(ONE + abs(value))
        power = (bits - ROOT_HALF) >> PLACE
        t = from_bits(bits - (power << PLACE)) - ONE
        series = (((((((C0 * t + C1) * t + C2) * t + C3) * t + C4) * t + C5) * t + C6) * t + C7) * t
        found = t - HALF * t * t + (series + C8) * t * t * t + np.float32(power) * LOG2
        line[i] = found if value > ZERO else -found


@part
def _write(line: Floats, fold: int, y: int, plane: int, out: Floats) -> None:
    """One row of pixels, in the lines that they belong to."""
    for right in range(fold):
        found = out[y // fold, fold * fold * plane + fold * (y % fold) + right]
        for i in range(len(found)):
            found[i] = line[fold * i + right]


@compiled
def turn_lines(lines: Floats, out: Floats) -> None:
    """Lines [h,C,w] as pixels [h,w,C]."""
    channels, width = lines.shape[1:]
    anything = everywhere(LOWEST)
    for y in range(len(lines)):
        if channels < LANES or width < LANES:
            for i in range(width):
                for k in range(channels):
                    out[y, i, k] = lines[y, k, i]
            continue
        for start in range(0, width, LANES):
            # The last ones overlap those before.
            i = min(start, width - LANES)
            for first in range(0, channels, LANES):
                k = min(first, channels - LANES)
                turn(lines, (y, k, i), out, (y, i, k), anything)
