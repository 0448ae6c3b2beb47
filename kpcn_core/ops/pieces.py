"""Parts of the passes over pieces of a row: logits, their softmax, weighted sums; compiled.

They take memory from whoever calls them, and may write or read up to a register beyond the pixels
asked for: what is PIECE pixels wide has room for that.

Compiled code that is kept on disk (`ops.compiler`) does not notice a change in this file: whoever
makes one deletes it.
"""

import numpy as np
from numpy.typing import NDArray

from kpcn_core.ops.compiler import part
from kpcn_core.ops.kernels import LOGIT_RANGE
from kpcn_core.ops.lanes import (
    LANES,
    Register,
    everywhere,
    exponential,
    larger,
    load,
    positive,
    store,
    store_first,
)
from kpcn_core.ops.registers import COLUMNS, multiply
from kpcn_core.ops.shuffles import turn, zipped, zipped_on

Floats = NDArray[np.float32]

PIECE = 128  # pixels, even
ROOM = PIECE + LANES  # numbers that a piece's row has room for
ZERO, ONE = np.float32(0.0), np.float32(1.0)
LEAST = np.float32(-LOGIT_RANGE)
VANISHING = np.float32(-87.0)  # its exponential is the least that float32 has in full precision


@part
def unfold_piece(
    cells: Floats,
    first: int,
    count: int,
    unfold: Floats,
    bias: Floats,
    turned: Floats,
    folded: Floats,
    full: Floats,
) -> None:
    """What the last layer reads of folded features [w,C], in columns of pixels [*,C'+1,COLUMNS].

    ReLU of `pixel_shuffle` by 2. Room: for columns of cells [C,COLUMNS], and of what the layer
    makes of them [4*C',COLUMNS].
    """
    for start in range(0, count, COLUMNS):
        _turn_cells(cells, first + start, count - start, turned)
        multiply(unfold, turned, folded, 0)
        for channel in range(len(unfold) // 4):
            for below in range(2):
                index = 4 * channel + 2 * below
                place = (below * PIECE + 2 * start) // COLUMNS
                even_bias, odd_bias = everywhere(bias[index]), everywhere(bias[index + 1])
                for right in range(2):
                    even = _rectified(load(folded, (index, LANES * right)) + even_bias)
                    odd = _rectified(load(folded, (index + 1, LANES * right)) + odd_bias)
                    store(full, (place + right, channel, 0), zipped(even, odd))
                    store(full, (place + right, channel, LANES), zipped_on(even, odd))


@part
def _turn_cells(cells: Floats, first: int, count: int, turned: Floats) -> None:
    """Some cells [w,C] as columns [C,COLUMNS]; beyond the last one, any numbers will do."""
    channels = cells.shape[1]
    for i in range(0, min(COLUMNS, count), LANES):
        if i + LANES <= count and channels % LANES == 0:
            for k in range(0, channels, LANES):
                turn(cells, (first + i, k), turned, (k, i), None)
            continue
        for at in range(i, min(i + LANES, count)):
            for k in range(channels):
                turned[k, at] = cells[first + at, k]


@part
def _rectified(number: Register) -> Register:
    return larger(number, everywhere(ZERO))


@part
def turn_piece(rows: Floats, first: int, count: int, full: Floats) -> None:
    """The same of features [h,w,C] that are not folded."""
    channels = rows.shape[2]
    for y in range(len(rows)):
        for i in range(0, count, LANES):
            place = y * PIECE + i
            column, at = place // COLUMNS, place % COLUMNS
            if i + LANES <= count and channels % LANES == 0:
                for k in range(0, channels, LANES):
                    turn(rows, (y, first + i, k), full, (column, k, at), everywhere(ZERO))
                continue
            for pixel in range(min(LANES, count - i)):
                for k in range(channels):
                    full[column, k, at + pixel] = max(rows[y, first + i + pixel, k], ZERO)


@part
def layer_products(layer: Floats, full: Floats, rows: int, count: int, out: Floats) -> None:
    """A layer's results [L,2*PIECE] for the pixels of a piece."""
    for y in range(rows):
        for x in range(y * PIECE, y * PIECE + count, COLUMNS):
            multiply(layer, full[x // COLUMNS], out, x)


@part
def steep_products(
    layer: Floats,
    powers: Floats,
    slope: Floats,
    full: Floats,
    both: Floats,
    logits: Floats,
    rises: Floats,
) -> None:
    """The same, with log(lambda) [h,w] times their powers added; room for a layer, and logits."""
    rows, count = slope.shape
    steepest = gentlest = slope[0, 0]
    for y in range(rows):
        for i in range(count):
            steepest, gentlest = max(steepest, slope[y, i]), min(gentlest, slope[y, i])
    if steepest == gentlest:  # as nearly everywhere: both layers are one
        for index in range(len(layer)):
            for k in range(layer.shape[1]):
                both[index, k] = layer[index, k] + steepest * powers[index, k]
        layer_products(both, full, rows, count, logits)
        return
    layer_products(layer, full, rows, count, logits)
    layer_products(powers, full, rows, count, rises)
    for index in range(len(logits)):
        for y in range(rows):
            found, rise, steep = logits[index, y * PIECE :], rises[index, y * PIECE :], slope[y]
            for i in range(count):
                found[i] += steep[i] * rise[i]


@part
def find_peaks(logits: Floats, y: int, count: int, peak: Floats) -> None:
    """The largest logit of every pixel."""
    for i in range(0, count, LANES):
        found = load(logits, (0, y, i))
        for tap in range(1, len(logits)):
            found = larger(found, load(logits, (tap, y, i)))
        store(peak, (i,), found)


@part
def find_numerators(
    logits: Floats, y: int, count: int, peak: Floats, least: np.float32, weights: Floats
) -> None:
    """exp(logit - peak), at least exp(least)."""
    floor = everywhere(least)
    for i in range(0, count, LANES):
        highest = load(peak, (i,))
        for tap in range(len(logits)):
            store(
                weights, (tap, i),
                exponential(larger(load(logits, (tap, y, i)) - highest, floor)),
            )  # fmt: skip


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
        image: [C,*,*]; a register may be read beyond its end.
        size: side of the kernels.
        y: row of the image.
        x: column of it.
        start: the first of the pixels among those of the piece.
        count: how many there are.
        weights: of all taps [size**2,ROOM].
        sums: the result [C,ROOM], of which these pixels are written, and some behind them.
    """
    # Compiled for the usual sizes, their loops over taps are none.
    if size == 5:
        _sum(image, 5, y, x, start, count, weights, sums)
    elif size == 3:
        _sum(image, 3, y, x, start, count, weights, sums)
    else:
        _sum(image, size, y, x, start, count, weights, sums)


@part
def _sum(
    image: Floats,
    size: int,
    y: int,
    x: int,
    start: int,
    count: int,
    weights: Floats,
    sums: Floats,
) -> None:
    if len(sums) == 4:  # as nearly everywhere
        _sum_four(image, size, y, x, start, count, weights, sums)
        return
    for i in range(0, count, LANES):
        for channel in range(len(sums)):
            total = everywhere(ZERO)
            for down in range(size):
                for right in range(size):
                    weight = load(weights, (size * down + right, start + i))
                    total = total + weight * load(image, (channel, y + down, x + right + i))
            store(sums, (channel, start + i), total)


@part
def _sum_four(
    image: Floats,
    size: int,
    y: int,
    x: int,
    start: int,
    count: int,
    weights: Floats,
    sums: Floats,
) -> None:
    """The same of three channels and a mask, for which each weight is read once."""
    for i in range(0, count, LANES):
        red, green, blue = everywhere(ZERO), everywhere(ZERO), everywhere(ZERO)
        mask = everywhere(ZERO)
        for down in range(size):
            for right in range(size):
                weight = load(weights, (size * down + right, start + i))
                row, column = y + down, x + right + i
                red = red + weight * load(image, (0, row, column))
                green = green + weight * load(image, (1, row, column))
                blue = blue + weight * load(image, (2, row, column))
                mask = mask + weight * load(image, (3, row, column))
        store(sums, (0, start + i), red)
        store(sums, (1, start + i), green)
        store(sums, (2, start + i), blue)
        store(sums, (3, start + i), mask)


@part
def add_share(
    others: tuple[Floats, Floats],
    y: int,
    x: int,
    count: int,
    peak: Floats,
    pair: Floats,
    scales: Floats,
    sums: Floats,
) -> None:
    """`together`: both shares at the scale of the larger peak.

    Room: for two logits a pixel [2,1,ROOM] and for what becomes of them [2,ROOM].
    """
    last = len(sums) - 1
    there, weight, mine = others[1][y, x : x + count], others[0][last, y, x : x + count], sums[last]
    # Like two logits a pixel; one that adds nothing must not set the scale: it has the other's.
    for i in range(count):
        other = there[i] if weight[i] > ZERO else ZERO
        pair[0, 0, i] = peak[i] if mine[i] > ZERO else other
        pair[1, 0, i] = there[i] if weight[i] > ZERO else pair[0, 0, i]
    find_peaks(pair, 0, count, peak)
    find_numerators(pair, 0, count, peak, VANISHING, scales)
    for channel in range(last + 1):
        total, added = sums[channel], others[0][channel, y, x : x + count]
        for i in range(count):
            total[i] = total[i] * scales[0, i] + added[i] * scales[1, i]


@part
def renormalize(sums: Floats, count: int, out: Floats, y: int, x: int) -> None:
    """Sums over their weights, which come last, and a mask of 0 and 1 in place of those."""
    last, zero, one = len(sums) - 1, everywhere(ZERO), everywhere(ONE)
    for i in range(0, count, LANES):
        weights = load(sums, (last, i))
        known = positive(weights, one, zero)
        share = known / positive(weights, weights, one)
        for channel in range(last):
            store_first(out, (channel, y, x + i), load(sums, (channel, i)) * share, count - i)
        store_first(out, (last, y, x + i), known, count - i)
