"""What another frame's repositioned kernels add to a window's centre, for CPUs; compiled.

Twin of `ops.reposition.masked_share` and `together`, piece by piece: no image of logits is made.
Motion is even nearly everywhere, so that taps of neighbouring pixels lie side by side: what leads
from a run of pixels to a run of pixels is summed at once, by vector instructions.
"""

import numpy as np
from numpy.typing import NDArray

from kpcn_core.ops.compiler import compiled, part
from kpcn_core.ops.lanes import aligned
from kpcn_core.ops.pieces import (
    LEAST,
    ONE,
    PIECE,
    ROOM,
    ZERO,
    add_share,
    find_numerators,
    find_peaks,
    layer_products,
    sum_taps,
    turn_piece,
    unfold_piece,
)
from kpcn_core.ops.registers import COLUMNS

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]


@compiled
def gather_rows(
    features: Floats,
    unfold: Floats,
    unfold_bias: Floats,
    layer: Floats,
    images: Floats,
    margin: int,
    starts: Integers,
    size: int,
    target: Integers,
    begun: bool,
    first: int,
    last: int,
    sums: Floats,
    peaks: Floats,
) -> None:
    """Add to rows of the sums of all components.

    Args:
        features: that the frame's kernels are predicted from [H/fold,W/fold,C].
        unfold: see `compiled.reconstruct_rows`, like its bias.
        unfold_bias: of it.
        layer: to the kernels of each component [N*size**2,C'+1].
        images: the components of the frame, with a margin, likewise [P,H'+2*margin,W'+2*margin].
        margin: pixels, at least half of a kernel.
        starts: where each component starts among those P planes, and at last P [N+1].
        size: side of all kernels.
        target: the pixel y*W'+x of the frame that motion leads to; -1 if none [H,W].
        begun: whether there is something in the sums already.
        first: row to start at; even.
        last: row to stop before.
        sums: of the `Share` of all frames so far [P,H,W], of which these rows are changed.
        peaks: likewise [N,H,W].
    """
    width, (outputs, read) = sums.shape[2], layer.shape
    full = aligned(2 * PIECE * read).reshape(2 * PIECE // COLUMNS, read, COLUMNS)
    full[:, read - 1] = ONE
    logits = aligned(outputs * 2 * PIECE).reshape(outputs, 2, PIECE)
    turned = aligned(unfold.shape[1] * COLUMNS).reshape(unfold.shape[1], COLUMNS)
    folded = aligned(len(unfold) * COLUMNS).reshape(len(unfold), COLUMNS)
    weights = aligned(size * size * ROOM).reshape(size * size, ROOM)
    found = aligned(len(sums) * ROOM).reshape(len(sums), ROOM)
    peak = aligned(ROOM)
    pair = np.zeros((2, 1, ROOM), np.float32)
    scales = np.empty((2, ROOM), np.float32)
    for y in range(first, last, 2):
        rows = min(2, last - y)
        for x in range(0, width, PIECE):
            count = min(PIECE, width - x)
            if len(unfold):
                cells = features[y // 2]
                unfold_piece(cells, x // 2, count // 2, unfold, unfold_bias, turned, folded, full)
            else:
                turn_piece(features[y : y + rows], x, count, full)
            layer_products(layer, full, rows, count, logits.reshape(outputs, 2 * PIECE))
            for index in range(len(starts) - 1):
                planes, taps = slice(starts[index], starts[index + 1]), size * size
                kernels = logits[index * taps : (index + 1) * taps]
                _gather_piece(
                    kernels, images[planes], margin, size, target, begun, y, x, rows, count,
                    weights, found, peak, pair, scales, sums[planes], peaks[index],
                )  # fmt: skip


@part
def _gather_piece(
    logits: Floats,
    image: Floats,
    margin: int,
    size: int,
    target: Integers,
    begun: bool,
    row: int,
    column: int,
    rows: int,
    count: int,
    weights: Floats,
    found: Floats,
    peak: Floats,
    pair: Floats,
    scales: Floats,
    sums: Floats,
    peaks: Floats,
) -> None:
    """The same of one component, from its logits [size**2,2,PIECE]."""
    found = found[: len(image)]
    for y in range(rows):
        find_peaks(logits, y, count, peak)
        find_numerators(logits, y, count, peak, LEAST, weights)
        _sum_runs(image, margin, size, target[row + y, column : column + count], weights, found)
        if begun:
            add_share((sums, peaks), row + y, column, count, peak, pair, scales, found)
        for i in range(count):
            for channel in range(len(found)):
                sums[channel, row + y, column + i] = found[channel, i]
            peaks[row + y, column + i] = peak[i]


@part
def _sum_runs(
    image: Floats, margin: int, size: int, target: Integers, weights: Floats, sums: Floats
) -> None:
    """Weighted sums [C,PIECE] of the pixels whose kernels lie around their targets."""
    width, shift = image.shape[2] - 2 * margin, margin - size // 2
    start, count = 0, len(target)
    while start < count:
        there, stop = target[start], start + 1
        if there < 0:
            while stop < count and target[stop] < 0:
                stop += 1
            for channel in range(len(sums)):
                for i in range(start, stop):
                    sums[channel, i] = ZERO
        else:
            y, x = there // width, there % width
            most = min(count, start + width - x)
            while stop < most and target[stop] == there + (stop - start):
                stop += 1
            sum_taps(image, size, y + shift, x + shift, start, stop - start, weights, sums)
        start = stop
