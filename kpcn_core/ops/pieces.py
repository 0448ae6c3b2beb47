"""Parts of the passes over pieces of a row: logits, their softmax, weighted sums; compiled.

Compiled code that is kept on disk (`ops.compiler`) does not notice a change in this file: whoever
makes one deletes it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from kpcn_core.ops.compiler import part
from kpcn_core.ops.kernels import LOGIT_RANGE
from kpcn_core.ops.registers import COLUMNS, from_bits, multiply

Floats = NDArray[np.float32]

PIECE = 128  # pixels, even
ZERO, HALF, ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
LEAST = np.float32(-LOGIT_RANGE)
VANISHING = np.float32(-87.0)  # its exponential is the least that float32 has in full precision
# exp(x) = 2**i * 2**f, i whole and |f| <= 1/2; the power series of 2**f to its sixth term is exact
# to 1e-7, and the bits of 2**i are i + 127 in the place of the exponent.
PER_LOG2 = np.float32(1.0 / math.log(2.0))
S1, S2, S3, S4, S5, S6 = (np.float32(math.log(2.0) ** n / math.factorial(n)) for n in range(1, 7))
BIAS, MANTISSA = np.int32(127), np.int32(23)


@part
def unfold_piece(
    cells: Floats, first: int, count: int, unfold: Floats, bias: Floats, full: Floats
) -> None:
    """What the last layer reads of folded features [w,C], in columns of pixels [*,C'+1,COLUMNS].

    ReLU of `pixel_shuffle` by 2.
    """
    turned = np.empty((cells.shape[1], COLUMNS), np.float32)
    folded = np.empty((len(unfold), COLUMNS), np.float32)
    half = COLUMNS // 2
    for start in range(0, count, COLUMNS):
        for i in range(COLUMNS):
            # Beyond the last one, any numbers will do.
            cell = cells[first + min(start + i, count - 1)]
            for k in range(len(cell)):
                turned[k, i] = cell[k]
        multiply(unfold, turned, folded, 0)
        for channel in range(len(unfold) // 4):
            for below in range(2):
                index = 4 * channel + 2 * below
                even, odd = folded[index], folded[index + 1]
                even_bias, odd_bias = bias[index], bias[index + 1]
                place = (below * PIECE + 2 * start) // COLUMNS
                for right in range(2):
                    found = full[place + right, channel]
                    for i in range(half):
                        found[2 * i] = max(even[half * right + i] + even_bias, ZERO)
                        found[2 * i + 1] = max(odd[half * right + i] + odd_bias, ZERO)


@part
def turn_piece(rows: Floats, first: int, count: int, full: Floats) -> None:
    """The same of features [h,w,C] that are not folded."""
    for y in range(len(rows)):
        for i in range(count):
            pixel, place = rows[y, first + i], y * PIECE + i
            for k in range(len(pixel)):
                full[place // COLUMNS, k, place % COLUMNS] = max(pixel[k], ZERO)


@part
def layer_products(layer: Floats, full: Floats, rows: int, count: int, out: Floats) -> None:
    """A layer's results [L,2*PIECE] for the pixels of a piece."""
    for y in range(rows):
        for x in range(y * PIECE, y * PIECE + count, COLUMNS):
            multiply(layer, full[x // COLUMNS], out, x)


@part
def steep_products(
    layer: Floats, powers: Floats, slope: Floats, full: Floats, logits: Floats, rises: Floats
) -> None:
    """The same, with log(lambda) [h,w] times their powers added."""
    rows, count = slope.shape
    steepest = slope.max()
    if steepest == slope.min():  # as nearly everywhere: both layers are one
        layer_products(layer + steepest * powers, full, rows, count, logits)
        return
    layer_products(layer, full, rows, count, logits)
    layer_products(powers, full, rows, count, rises)
    for index in range(len(logits)):
        for y in range(rows):
            found, rise, steep = logits[index, y * PIECE :], rises[index, y * PIECE :], slope[y]
            for i in range(count):
                found[i] += steep[i] * rise[i]


@part
def find_peaks(logits: Floats, y: int, x: int, count: int, peak: Floats) -> None:
    """The largest logit of every pixel, up to rounding."""
    row = logits[0, y, x : x + count]
    for i in range(count):
        peak[i] = row[i]
    for tap in range(1, len(logits)):
        row = logits[tap, y, x : x + count]
        for i in range(count):
            # A maximum that is stored without a condition.
            peak[i] = HALF * (peak[i] + row[i] + abs(peak[i] - row[i]))


@part
def find_numerators(
    logits: Floats, y: int, x: int, count: int, peak: Floats, least: np.float32, weights: Floats
) -> None:
    """exp(logit - peak), at least exp(least)."""
    for tap in range(len(logits)):
        row, found = logits[tap, y, x : x + count], weights[tap]
        for i in range(count):
            exponent = max(row[i] - peak[i], least) * PER_LOG2
            whole = np.int32(exponent - HALF)
            f = exponent - np.float32(whole)
            series = ((((S6 * f + S5) * f + S4) * f + S3) * f + S2) * f + S1
            found[i] = (series * f + ONE) * from_bits((whole + BIAS) << MANTISSA)


@part
def sum_taps(
    image: Floats,
    size: int,
    y: int,
    x: int,
    start: int,
    count: int,
    weights: Floats,
    sums: Floats,
) -> None:
    """Weighted sums over the kernels of some pixels; that of the first has its first tap at (y, x).

    Args:
        image: [C,*,*].
        size: side of the kernels.
        y: row of the image.
        x: column of it.
        start: the first of the pixels among those of the piece.
        count: how many there are.
        weights: of all taps [size**2,PIECE].
        sums: the result [C,PIECE], of which these pixels are written.
    """
    for channel in range(len(sums)):
        total = sums[channel, start : start + count]
        for i in range(count):
            total[i] = ZERO
        for down in range(size):
            row = image[channel, y + down, x : x + count + size - 1]
            if size == 5:
                _add_five(total, weights[5 * down : 5 * down + 5], row, start, count)
            elif size == 3:
                _add_three(total, weights[3 * down : 3 * down + 3], row, start, count)
            else:
                for right in range(size):
                    _add_one(total, weights[size * down + right, start:], row[right:], count)


@part
def _add_five(total: Floats, weights: Floats, row: Floats, start: int, count: int) -> None:
    w0, w1, w2 = weights[0, start:], weights[1, start:], weights[2, start:]
    w3, w4 = weights[3, start:], weights[4, start:]
    r0, r1, r2, r3, r4 = row[0:], row[1:], row[2:], row[3:], row[4:]
    for i in range(count):
        total[i] += w0[i] * r0[i] + w1[i] * r1[i] + w2[i] * r2[i] + w3[i] * r3[i] + w4[i] * r4[i]


@part
def _add_three(total: Floats, weights: Floats, row: Floats, start: int, count: int) -> None:
    w0, w1, w2 = weights[0, start:], weights[1, start:], weights[2, start:]
    r0, r1, r2 = row[0:], row[1:], row[2:]
    for i in range(count):
        total[i] += w0[i] * r0[i] + w1[i] * r1[i] + w2[i] * r2[i]


@part
def _add_one(total: Floats, weight: Floats, row: Floats, count: int) -> None:
    for i in range(count):
        total[i] += weight[i] * row[i]


@part
def add_share(
    others: tuple[Floats, Floats],
    y: int,
    x: int,
    count: int,
    peak: Floats,
    sums: Floats,
) -> None:
    """`together`: both shares at the scale of the larger peak."""
    last = len(sums) - 1
    there, weight, mine = others[1][y, x : x + count], others[0][last, y, x : x + count], sums[last]
    # Like two logits a pixel; one that adds nothing must not set the scale: it has the other's.
    pair, scales = np.empty((2, 1, count), np.float32), np.empty((2, count), np.float32)
    for i in range(count):
        other = there[i] if weight[i] > ZERO else ZERO
        pair[0, 0, i] = peak[i] if mine[i] > ZERO else other
        pair[1, 0, i] = there[i] if weight[i] > ZERO else pair[0, 0, i]
    find_peaks(pair, 0, 0, count, peak)
    find_numerators(pair, 0, 0, count, peak, VANISHING, scales)
    for channel in range(last + 1):
        total, added = sums[channel], others[0][channel, y, x : x + count]
        for i in range(count):
            total[i] = total[i] * scales[0, i] + added[i] * scales[1, i]


@part
def renormalize(sums: Floats, count: int, out: Floats, y: int, x: int) -> None:
    """Sums over their weights, which come last, and a mask of 0 and 1 in place of those."""
    last = len(sums) - 1
    weights = sums[last]
    for channel in range(last):
        total, found = sums[channel], out[channel, y, x : x + count]
        for i in range(count):
            found[i] = total[i] / (weights[i] if weights[i] > ZERO else ONE)
    mask = out[last, y, x : x + count]
    for i in range(count):
        mask[i] = ONE if weights[i] > ZERO else ZERO
