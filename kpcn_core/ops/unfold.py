"""Folded features unfolded, a few rows at a time, channels last; compiled (`ops.compiler`).

Twin of `KernelPredictor.unfolded` up to its layer over pixels, for features folded by 2.
"""

import numpy as np
from numpy.typing import NDArray

from kpcn_core.ops.compiler import compiled, part
from kpcn_core.ops.lanes import LANES, aligned, load, store
from kpcn_core.ops.registers import COLUMNS, in_panels, multiply
from kpcn_core.ops.shuffles import evens, odds

Floats = NDArray[np.float32]

CELLS = 60  # at a time: what they become stays in the first cache
ZERO = np.float32(0.0)


def panels(weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
    """A layer [4*C',C] with its bias [4*C'] as `unfold_rows` reads them.

    The outputs of each pixel of a cell side by side: [4*C'/COLUMNS,C,COLUMNS] and [4,C'].
    """
    width = len(weight) // 4
    by_pixel = weight.reshape(width, 4, -1).transpose(1, 0, 2).reshape(4 * width, -1)
    return in_panels(by_pixel), np.ascontiguousarray(bias.reshape(width, 4).T)


@compiled
def unfold_rows(
    cells: Floats, own: Floats, layer: Floats, bias: Floats, first: int, out: Floats
) -> None:
    """Write rows of what the layer over pixels reads.

    Args:
        cells: features [h,w,C].
        own: of every pixel, folded [h,w,P*4].
        layer: that unfolds them, see `panels`.
        bias: of it.
        first: row of pixels of the first one written; may be -1.
        out: [rows,2*w,C'+P]; rows outside of the image become 0.
    """
    height, width = cells.shape[:2]
    wide = COLUMNS * len(layer)
    products = aligned(CELLS * wide).reshape(CELLS, wide)
    for row in range(len(out)):
        if not 0 <= first + row < 2 * height:
            out[row] = ZERO
    for y in range(max(first // 2, 0), min((first + len(out) + 1) // 2, height)):
        for x in range(0, width, CELLS):
            count = min(CELLS, width - x)
            for panel in range(len(layer)):
                multiply(cells[y, x : x + count], layer[panel], products, panel * COLUMNS)
            for below in range(2):
                row = 2 * y + below - first
                if 0 <= row < len(out):
                    shifts = bias[2 * below : 2 * below + 2]
                    _write_row(
                        products[:count], own[y, x : x + count], shifts, below, out[row], 2 * x
                    )


@part
def _write_row(
    products: Floats, own: Floats, bias: Floats, below: int, out: Floats, first: int
) -> None:
    """The upper or the lower pixels of some cells side by side."""
    made, others = bias.shape[1], own.shape[1] // 4
    for i in range(len(products)):
        for right in range(2):
            pixel, x = 2 * below + right, first + 2 * i + right
            for k in range(0, made, LANES):
                product = load(products, (i, pixel * made + k))
                store(out, (x, k), product + load(bias, (right, k)))
        if others % LANES == 0:
            for k in range(0, others, LANES):
                _copy_two(own, i, 4 * k, below, out, first + 2 * i, made + k)
            continue
        for right in range(2):
            for k in range(others):
                out[first + 2 * i + right, made + k] = own[i, 4 * k + 2 * below + right]


@part
def _copy_two(own: Floats, cell: int, k: int, below: int, out: Floats, x: int, place: int) -> None:
    """Some channels of the upper or the lower pixels of a cell, which come four by four."""
    a, b = load(own, (cell, k)), load(own, (cell, k + LANES))
    c, d = load(own, (cell, k + 2 * LANES)), load(own, (cell, k + 3 * LANES))
    left, left_on, right, right_on = evens(a, b), evens(c, d), odds(a, b), odds(c, d)
    if below:
        store(out, (x, place), odds(left, left_on))
        store(out, (x + 1, place), odds(right, right_on))
    else:
        store(out, (x, place), evens(left, left_on))
        store(out, (x + 1, place), evens(right, right_on))
