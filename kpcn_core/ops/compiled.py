"""Kernels and joins of scales in one pass over the logits, for CPUs; compiled (`ops.compiler`).

Twins of `ops.kernels`, `ops.reposition` and `ops.pyramid`, for float32 blocks of an image. A row is
done in pieces that stay in the first cache. The loops over pixels are the innermost, and free of
conditions: so they become vector instructions.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpcn_core.ops.compiler import compiled, memory, part
from kpcn_core.ops.joined import find_low, find_near, join_row
from kpcn_core.ops.lanes import LANES, aligned
from kpcn_core.ops.pieces import (
    LEAST,
    ONE,
    PIECE,
    ROOM,
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
    full = aligned(2 * PIECE * read).reshape(2 * PIECE // COLUMNS, read, COLUMNS)
    full[:, read - 1] = ONE
    flat = aligned(outputs * 2 * PIECE).reshape(outputs, 2 * PIECE)
    logits = flat.reshape(outputs, 2, PIECE)
    rises, both = np.empty_like(flat), np.empty_like(layer)
    turned = aligned(unfold.shape[1] * COLUMNS).reshape(unfold.shape[1], COLUMNS)
    folded = aligned(len(unfold) * COLUMNS).reshape(len(unfold), COLUMNS)
    room = _room(len(out), sizes.max())
    for y in range(first, last, 2):
        rows = min(2, last - y)
        for x in range(0, width, PIECE):
            count = min(PIECE, width - x)
            seen = unfolded[(y - first) // 2, x // PIECE] if len(unfolded) else full
            if ready:
                pass
            elif len(unfold):
                cells = features[(y - first) // 2]
                unfold_piece(cells, x // 2, count // 2, unfold, unfold_bias, turned, folded, seen)
            else:
                turn_piece(features[y - first : y - first + rows], x, count, seen)
            if len(powers):
                steep = slope[y : y + rows, x : x + count]
                steep_products(layer, powers, steep, seen, both, flat, rises)
            else:
                layer_products(layer, seen, rows, count, flat)
            _reconstruct_piece(
                *(logits, images, margin, starts, sizes, other_sums, other_peaks, coarse),
                *(y, x, rows, count, room, out),
            )


@compiled
def halve_rows(
    fine: Floats, margin: int, starts: Integers, first: int, last: int, coarse: Floats
) -> None:
    """Rows of `down_masked` of all components: their next coarser scale.

    Args:
        fine: see `images` of `reconstruct_rows`; H and W even.
        margin: likewise.
        starts: likewise.
        first: row of the coarser scale.
        last: row after the last one.
        coarse: the result, with a margin that stays as it is.
    """
    width = coarse.shape[2] - 2 * margin
    low = np.empty((len(fine), width + LANES), np.float32)
    for index in range(len(starts) - 1):
        image = fine[starts[index] : starts[index + 1]]
        for y in range(first, last):
            find_low(image, margin + 2 * y, margin, width, low)
            for channel in range(len(image)):
                found = coarse[starts[index] + channel, margin + y]
                for i in range(width):
                    found[margin + i] = low[channel, i]


class Room(NamedTuple):
    """Memory that a piece needs again and again."""

    weights: Floats
    sums: Floats
    peak: Floats
    fine: Floats
    low: Floats
    near: Floats
    pair: Floats
    scales: Floats


@memory
def _room(planes: int, size: int) -> Room:
    """That for kernels of a size, and images of so many planes."""
    return Room(
        aligned(size * size * ROOM).reshape(size * size, ROOM),
        aligned(planes * ROOM).reshape(planes, ROOM),
        aligned(ROOM),
        aligned(planes * 2 * ROOM).reshape(planes, 2, ROOM),
        aligned(planes * ROOM).reshape(planes, ROOM),
        np.empty((2, planes, ROOM), np.float32),
        np.zeros((2, 1, ROOM), np.float32),
        np.empty((2, ROOM), np.float32),
    )


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
    room: Room,
    out: Floats,
) -> None:
    """The same, from the logits [L,2,PIECE] of a piece of one or two rows."""
    join = 0
    for size in sizes:
        join += size * size
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
                *(room, out[planes], row, column),
            )
            continue
        fine, lower = room.fine[: len(image)], coarse[planes]
        _filter(
            *(image, margin, kernels, size, row, column, rows, count, others),
            *(room, fine, 0, 0),
        )
        own, near = logits[join : join + 6], room.near
        find_low(fine, 0, 0, count // 2, room.low)
        for y in range(rows):
            find_near(lower, row, y, column // 2, count // 2, near)
            join_row(fine, y, room.low, near, own, row + y, column, count // 2, out[planes])
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
    room: Room,
    out: Floats,
    out_row: int,
    out_column: int,
) -> None:
    """`renormalized` of the centre's share together with that of the other frames."""
    weights, sums, peak = room.weights, room.sums[: len(image)], room.peak
    shift = margin - size // 2
    for y in range(rows):
        find_peaks(logits, y, count, peak)
        find_numerators(logits, y, count, peak, LEAST, weights)
        sum_taps(image, size, row + y + shift, column + shift, 0, count, weights, sums)
        if len(others[1]):
            add_share(others, row + y, column, count, peak, room.pair, room.scales, sums)
        renormalize(sums, count, out, out_row + y, out_column)
