"""Kernels and joins of scales in one pass over the logits, for CPUs; compiled (`ops.compiler`).

Twins of `ops.kernels`, `ops.reposition` and `ops.pyramid`, for float32 blocks of an image. A row is
done in pieces that stay in the first cache. The loops over pixels are the innermost, and free of
conditions: so they become vector instructions.
"""

import numpy as np
from numpy.typing import NDArray

from kpcn_core.ops.compiler import compiled, part
from kpcn_core.ops.pieces import (
    LEAST,
    ONE,
    PIECE,
    ZERO,
    add_share,
    find_numerators,
    find_peaks,
    layer_products,
    renormalize,
    steep_products,
    sum_taps,
    turn_piece,
    unfold_piece,
)
from kpcn_core.ops.registers import COLUMNS

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]


@compiled
def reconstruct_rows(
    features: Floats,
    unfold: Floats,
    unfold_bias: Floats,
    layer: Floats,
    powers: Floats,
    slope: Floats,
    unfolded: Floats,
    ready: bool,
    images: Floats,
    margin: int,
    starts: Integers,
    sizes: Integers,
    other_sums: Floats,
    other_peaks: Floats,
    coarse: Floats,
    first: int,
    last: int,
    out: Floats,
) -> None:
    """Filter and join rows of all components: `reconstruction.reconstruct` of one scale.

    Args:
        features: that kernels are predicted from, from the first row on [H/fold,W/fold,C].
        unfold: the layer that unfolds them by 2 [4*C',C]; [0,0] where they are not folded.
        unfold_bias: of it [4*C'].
        layer: to the logits [L,C'+1]: the kernels of each component, then the joins of each; its
            bias is the last column.
        powers: likewise, of lambda; [0,0] if it changes no kernels.
        slope: log(lambda) [H,W]; [0,0] with no powers.
        unfolded: room to keep what the last layers read, likewise from the first row on
            [ceil(H/2),ceil(W/PIECE),*,C'+1,COLUMNS], the C'+1st of the channels 1; [0,0,0,0,0]
            keeps nothing.
        ready: whether it is in there already.
        images: the components, each with its mask, one after another, and a margin of zeros on all
            sides [P,H+2*margin,W+2*margin].
        margin: pixels, at least half of a kernel.
        starts: where each component starts among those P planes, and at last P [N+1].
        sizes: sides of the components' kernels [N].
        other_sums: of the `Share` of all other frames [P,H,W]; [P,0,0] if there is none.
        other_peaks: likewise [N,H,W].
        coarse: the joined image of the coarser scale [P,H/2,W/2]; [P,0,0] for no join.
        first: row to start at; even.
        last: row to stop before; odd only at the end of an image that is neither folded nor joined.
        out: the result [P,H,W], of which these rows are written.
    """
    width = out.shape[2]
    outputs, read = layer.shape
    room = np.zeros((2 * PIECE // COLUMNS, read, COLUMNS), np.float32)
    room[:, read - 1] = ONE
    logits = np.empty((outputs, 2, PIECE), np.float32)
    flat = logits.reshape(outputs, 2 * PIECE)
    rises = np.empty_like(flat) if len(powers) else np.empty((0, 0), np.float32)
    fine = np.empty((len(out), 2, PIECE), np.float32)
    for y in range(first, last, 2):
        rows = min(2, last - y)
        for x in range(0, width, PIECE):
            count = min(PIECE, width - x)
            full = unfolded[(y - first) // 2, x // PIECE] if len(unfolded) else room
            if ready:
                pass
            elif len(unfold):
                cells = features[(y - first) // 2]
                unfold_piece(cells, x // 2, count // 2, unfold, unfold_bias, full)
            else:
                turn_piece(features[y - first : y - first + rows], x, count, full)
            if len(powers):
                steep = slope[y : y + rows, x : x + count]
                steep_products(layer, powers, steep, full, flat, rises)
            else:
                layer_products(layer, full, rows, count, flat)
            _reconstruct_piece(
                *(logits, images, margin, starts, sizes, other_sums, other_peaks, coarse),
                *(y, x, rows, count, fine, out),
            )


@compiled
def halve(fine: Floats, margin: int, starts: Integers) -> Floats:
    """`down_masked` of all components: their next coarser scale, likewise with a margin of zeros.

    Args:
        fine: see `images` of `reconstruct_rows`; H and W even.
        margin: likewise.
        starts: likewise.
    """
    height, width = (fine.shape[1] - 2 * margin) // 2, (fine.shape[2] - 2 * margin) // 2
    coarse = np.zeros((len(fine), height + 2 * margin, width + 2 * margin), np.float32)
    for index in range(len(starts) - 1):
        image = fine[starts[index] : starts[index + 1]]
        low = np.empty((len(image), width), np.float32)
        for y in range(height):
            _low(image, margin + 2 * y, margin, width, low)
            for channel in range(len(image)):
                found = coarse[starts[index] + channel, margin + y, margin : margin + width]
                for i in range(width):
                    found[i] = low[channel, i]
    return coarse


@part
def _reconstruct_piece(
    logits: Floats,
    images: Floats,
    margin: int,
    starts: Integers,
    sizes: Integers,
    other_sums: Floats,
    other_peaks: Floats,
    coarse: Floats,
    row: int,
    column: int,
    rows: int,
    count: int,
    fine: Floats,
    out: Floats,
) -> None:
    """The same, from the logits [L,2,PIECE] of a piece of one or two rows."""
    join = np.sum(sizes * sizes)
    first = 0
    for index in range(len(sizes)):
        planes = slice(starts[index], starts[index + 1])
        kernels = logits[first : first + sizes[index] ** 2]
        first += len(kernels)
        others = other_sums[planes], other_peaks[index]
        image, size = images[planes], sizes[index]
        if not coarse.shape[1]:
            _filter(
                *(image, margin, kernels, size, row, column, rows, count, others),
                *(out[planes], row, column),
            )
            continue
        filtered = fine[planes]
        _filter(
            *(image, margin, kernels, size, row, column, rows, count, others),
            *(filtered, 0, 0),
        )
        _join(filtered, coarse[planes], logits[join : join + 6], row, column, count, out[planes])
        join += 6


@part
def _filter(
    image: Floats,
    margin: int,
    logits: Floats,
    size: int,
    row: int,
    column: int,
    rows: int,
    count: int,
    others: tuple[Floats, Floats],
    out: Floats,
    out_row: int,
    out_column: int,
) -> None:
    """`renormalized` of the centre's share together with that of the other frames."""
    weights = np.empty((size * size, PIECE), np.float32)
    sums = np.empty((len(image), PIECE), np.float32)
    peak = np.empty(PIECE, np.float32)
    shift = margin - size // 2
    for y in range(rows):
        find_peaks(logits, y, 0, count, peak)
        find_numerators(logits, y, 0, count, peak, LEAST, weights)
        sum_taps(image, size, row + y + shift, column + shift, 0, count, weights, sums)
        if len(others[1]):
            add_share(others, row + y, column, count, peak, sums)
        renormalize(sums, count, out, out_row + y, out_column)


@part
def _join(
    fine: Floats, coarse: Floats, logits: Floats, row: int, column: int, count: int, out: Floats
) -> None:
    """`interpolating_join_masked` of two rows of a piece [C+1,2,*]; coarse and out are whole."""
    channels, half, first = len(fine), count // 2, column // 2
    weights = np.empty((6, PIECE), np.float32)
    peak = np.empty(PIECE, np.float32)
    low = np.empty((channels, PIECE // 2), np.float32)
    near = np.empty((2, channels, PIECE // 2 + 2), np.float32)
    split = np.empty((2, 6, PIECE // 2), np.float32)
    joined = np.empty((2, channels, PIECE // 2), np.float32)
    _low(fine, 0, 0, half, low)
    _nearest(coarse, row // 2, first, half, near[0])
    for below in range(2):
        _nearest(coarse, row // 2 + 2 * below - 1, first, half, near[1])
        _join_weights(logits, below, 0, count, peak, weights)
        _parted(weights, half, split)
        for right in range(2):
            _interpolate(near, low, split[right], right, half, joined[right])
        _with_detail(fine, below, 0, low, split, joined, half)
        _together(joined, half, out, row + below, column)


@part
def _low(fine: Floats, y: int, x: int, count: int, low: Floats) -> None:
    """`down_masked` of a pair of rows."""
    last = len(low) - 1
    for channel in range(last + 1):
        upper = fine[channel, y, x : x + 2 * count]
        lower = fine[channel, y + 1, x : x + 2 * count]
        found = low[channel]
        for i in range(count):
            found[i] = upper[2 * i] + upper[2 * i + 1] + lower[2 * i] + lower[2 * i + 1]
    weights = low[last]
    for channel in range(last):
        found = low[channel]
        for i in range(count):
            found[i] = found[i] / (weights[i] if weights[i] > ZERO else ONE)
    for i in range(count):
        weights[i] = ONE if weights[i] > ZERO else ZERO


@part
def _join_weights(
    logits: Floats, y: int, x: int, count: int, peak: Floats, weights: Floats
) -> None:
    """Softmax of the first five, sigmoid of the last."""
    find_peaks(logits[:5], y, x, count, peak)
    find_numerators(logits[:5], y, x, count, peak, LEAST, weights)
    w0, w1, w2, w3, w4 = weights[0], weights[1], weights[2], weights[3], weights[4]
    for i in range(count):
        share = ONE / (w0[i] + w1[i] + w2[i] + w3[i] + w4[i])
        w0[i] *= share
        w1[i] *= share
        w2[i] *= share
        w3[i] *= share
        w4[i] *= share
    gate = logits[5, y, x : x + count]
    detail = weights[5]
    for i in range(count):
        peak[i] = abs(gate[i])
    # exp(-|g|), by the same series.
    pair = np.zeros((1, 1, count), np.float32)
    find_numerators(pair, 0, 0, count, peak, LEAST, weights[5:])
    for i in range(count):
        small = detail[i] / (ONE + detail[i])
        detail[i] = ONE - small if gate[i] > ZERO else small


@part
def _nearest(coarse: Floats, y: int, x: int, count: int, near: Floats) -> None:
    """A row of the coarse image with a pixel more on both sides; the border is repeated."""
    height, width = coarse.shape[1:]
    y = min(max(y, 0), height - 1)
    for channel in range(len(near)):
        row, found = coarse[channel, y, x : x + count], near[channel, 1 : 1 + count]
        for i in range(count):
            found[i] = row[i]
        near[channel, 0] = coarse[channel, y, max(x - 1, 0)]
        near[channel, count + 1] = coarse[channel, y, min(x + count, width - 1)]


@part
def _parted(weights: Floats, count: int, split: Floats) -> None:
    """The weights of even and odd pixels."""
    for index in range(len(weights)):
        row, even, odd = weights[index], split[0, index], split[1, index]
        for i in range(count):
            even[i] = row[2 * i]
            odd[i] = row[2 * i + 1]


@part
def _interpolate(
    near: Floats, low: Floats, weights: Floats, right: int, count: int, joined: Floats
) -> None:
    """The coarse image between its pixels, for the even or the odd pixels of a row."""
    w0, w1, w2, w3, w4 = weights[0], weights[1], weights[2], weights[3], weights[4]
    last = len(low) - 1
    for channel in range(last + 1):
        here, beside = near[0, channel, 1:], near[0, channel, 2 * right :]
        above, across = near[1, channel, 1:], near[1, channel, 2 * right :]
        mean, found = low[channel], joined[channel]
        for i in range(count):
            found[i] = (
                w0[i] * here[i] + w1[i] * beside[i] + w2[i] * above[i] + w3[i] * across[i]
                + w4[i] * mean[i]
            )  # fmt: skip
    known = joined[last]
    for channel in range(last):
        found = joined[channel]
        for i in range(count):
            found[i] = found[i] / (known[i] if known[i] > ZERO else ONE)
    for i in range(count):
        known[i] = ONE if known[i] > ZERO else ZERO


@part
def _with_detail(
    fine: Floats, y: int, x: int, low: Floats, split: Floats, joined: Floats, count: int
) -> None:
    """Add what the fine image has beyond its own low frequencies."""
    last = len(low) - 1
    mask = fine[last, y, x : x + 2 * count]
    even_gate, odd_gate = split[0, 5], split[1, 5]
    for channel in range(last):
        row, mean = fine[channel, y, x : x + 2 * count], low[channel]
        even, odd = joined[0, channel], joined[1, channel]
        for i in range(count):
            even[i] += even_gate[i] * (row[2 * i] - mean[i]) * mask[2 * i]
            odd[i] += odd_gate[i] * (row[2 * i + 1] - mean[i]) * mask[2 * i + 1]


@part
def _together(joined: Floats, count: int, out: Floats, y: int, x: int) -> None:
    """Even and odd pixels side by side."""
    for channel in range(joined.shape[1]):
        found = out[channel, y, x : x + 2 * count]
        even, odd = joined[0, channel], joined[1, channel]
        for i in range(count):
            found[2 * i] = even[i]
            found[2 * i + 1] = odd[i]
