"""The join of a row of a piece with the coarser scale, in vector registers; compiled.

Twins of `ops.pyramid.down_masked` and `interpolating_join_masked`. A register holds every second
pixel of a row, so that each of its numbers belongs to one of the coarser scale.

Compiled code that is kept on disk (`ops.compiler`) does not notice a change in this file: whoever
makes one deletes it.
"""

import numpy as np
from numpy.typing import NDArray

from kpcn_core.ops.compiler import part
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
from kpcn_core.ops.pieces import LEAST
from kpcn_core.ops.shuffles import evens, odds, zipped, zipped_on

Floats = NDArray[np.float32]

ZERO, ONE = np.float32(0.0), np.float32(1.0)


@part
def find_low(fine: Floats, y: int, x: int, count: int, low: Floats) -> None:
    """`down_masked` of a pair of rows [C+1,*,*], of which some numbers more may be read."""
    last, zero, one = len(fine) - 1, everywhere(ZERO), everywhere(ONE)
    for i in range(0, count, LANES):
        weight = _of_four(fine, last, y, x + 2 * i)
        known = positive(weight, one, zero)
        share = one / positive(weight, weight, one)
        for channel in range(last):
            store(low, (channel, i), _of_four(fine, channel, y, x + 2 * i) * share)
        store(low, (last, i), known)


@part
def _of_four(fine: Floats, channel: int, y: int, x: int) -> Register:
    """Sums of blocks of 2x2 pixels."""
    left = load(fine, (channel, y, x)) + load(fine, (channel, y + 1, x))
    right = load(fine, (channel, y, x + LANES)) + load(fine, (channel, y + 1, x + LANES))
    return evens(left, right) + odds(left, right)


@part
def find_near(coarse: Floats, row: int, below: int, first: int, count: int, near: Floats) -> None:
    """The two coarse rows around a fine one, with a pixel more on both sides; borders are repeated.

    Args:
        coarse: [C+1,h,w].
        row: the upper of a pair of fine rows.
        below: which one of the pair, 0 or 1.
        first: column of the coarse image.
        count: of its pixels.
        near: the nearer row and the other one [2,C+1,count+2 and more].
    """
    height, width = coarse.shape[1:]
    other = min(max(row // 2 + 2 * below - 1, 0), height - 1)
    for channel in range(len(coarse)):
        for index, y in enumerate((row // 2, other)):
            line, found = coarse[channel, y], near[index, channel]
            found[0] = line[max(first - 1, 0)]
            for i in range(count):
                found[1 + i] = line[first + i]
            found[count + 1] = line[min(first + count, width - 1)]


@part
def join_row(
    fine: Floats,
    y: int,
    low: Floats,
    near: Floats,
    logits: Floats,
    row: int,
    column: int,
    count: int,
    out: Floats,
) -> None:
    """`interpolating_join_masked` of a row.

    Args:
        fine: a pair of rows [C+1,2,*].
        y: which one.
        low: `find_low` of both [C+1,*].
        near: see `find_near`.
        logits: of the join [6,2,*].
        row: of the result.
        column: of it.
        count: half of its pixels.
        out: the result [C+1,H,W].
    """
    last, zero, one = len(fine) - 1, everywhere(ZERO), everywhere(ONE)
    for i in range(0, count, LANES):
        even, odd = _weights(logits, y, i, 0), _weights(logits, y, i, 1)
        even_weight = _between(near, low, even, last, i, 0)
        odd_weight = _between(near, low, odd, last, i, 2)
        even_share = one / positive(even_weight, even_weight, one)
        odd_share = one / positive(odd_weight, odd_weight, one)
        start, left = (last, y, 2 * i), 2 * (count - i)
        mask, mask_on = load(fine, start), load(fine, (last, y, 2 * i + LANES))
        even_gate, odd_gate = even[5] * evens(mask, mask_on), odd[5] * odds(mask, mask_on)
        for channel in range(last):
            here, on = load(fine, (channel, y, 2 * i)), load(fine, (channel, y, 2 * i + LANES))
            mean = load(low, (channel, i))
            first = _between(near, low, even, channel, i, 0) * even_share
            first = first + even_gate * (evens(here, on) - mean)
            second = _between(near, low, odd, channel, i, 2) * odd_share
            second = second + odd_gate * (odds(here, on) - mean)
            _store_both(out, channel, row, column + 2 * i, first, second, left)
        first, second = positive(even_weight, one, zero), positive(odd_weight, one, zero)
        _store_both(out, last, row, column + 2 * i, first, second, left)


@part
def _store_both(
    out: Floats, channel: int, y: int, x: int, even: Register, odd: Register, count: int
) -> None:
    store_first(out, (channel, y, x), zipped(even, odd), count)
    if count > LANES:
        store_first(out, (channel, y, x + LANES), zipped_on(even, odd), count - LANES)


@part
def _between(
    near: Floats,
    low: Floats,
    weights: tuple[Register, Register, Register, Register, Register, Register],
    channel: int,
    i: int,
    beside: int,
) -> Register:
    """The coarse image between its pixels; beside: 0 for the left neighbours, 2 for the right."""
    total = weights[0] * load(near, (0, channel, i + 1))
    total = total + weights[1] * load(near, (0, channel, i + beside))
    total = total + weights[2] * load(near, (1, channel, i + 1))
    total = total + weights[3] * load(near, (1, channel, i + beside))
    return total + weights[4] * load(low, (channel, i))


@part
def _weights(
    logits: Floats, y: int, i: int, right: int
) -> tuple[Register, Register, Register, Register, Register, Register]:
    """Softmax of the first five, sigmoid of the last, of the even or the odd pixels."""
    z0, z1 = _halved(logits, 0, y, i, right), _halved(logits, 1, y, i, right)
    z2, z3 = _halved(logits, 2, y, i, right), _halved(logits, 3, y, i, right)
    z4, gate = _halved(logits, 4, y, i, right), _halved(logits, 5, y, i, right)
    peak = larger(larger(larger(z0, z1), larger(z2, z3)), z4)
    w0, w1, w2 = _numerator(z0 - peak), _numerator(z1 - peak), _numerator(z2 - peak)
    w3, w4 = _numerator(z3 - peak), _numerator(z4 - peak)
    zero, one = everywhere(ZERO), everywhere(ONE)
    share = one / (w0 + w1 + w2 + w3 + w4)
    small = _numerator(zero - larger(gate, zero - gate))
    detail = small / (one + small)
    detail = positive(gate, one - detail, detail)
    return w0 * share, w1 * share, w2 * share, w3 * share, w4 * share, detail


@part
def _numerator(exponent: Register) -> Register:
    return exponential(larger(exponent, everywhere(LEAST)))


@part
def _halved(logits: Floats, index: int, y: int, i: int, right: int) -> Register:
    """Every second logit of a row."""
    here, on = load(logits, (index, y, 2 * i)), load(logits, (index, y, 2 * i + LANES))
    return odds(here, on) if right else evens(here, on)
