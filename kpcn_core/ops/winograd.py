"""3x3 convolutions on a CPU by Winograd's minimal filtering F(4x4,3x3), compiled (`ops.compiler`).

A square of 6x6 pixels becomes 36 numbers a channel, of which each is multiplied by itself: 2.25
products for each pixel instead of 9. Twin of `functional.conv2d` for float32, channels last; the
transforms cost accuracy: errors are about 2e-6 of the deviation of the result, a few times those
of direct sums.
"""

import numpy as np
from numpy.typing import NDArray

from kpcn_core.ops.compiler import compiled, part
from kpcn_core.ops.registers import COLUMNS, multiply

Floats = NDArray[np.float32]

SIDE, TILE = 4, 6  # of what a tile gives and reads
TILES = 30  # at a time: what they become stays in the second cache
ZERO, TWO, FOUR, FIVE, EIGHT = (np.float32(value) for value in (0, 2, 4, 5, 8))
LOWEST = np.float32(-3e38)

# From three weights to those of the six transformed numbers (points 0, 1, -1, 2, -2 and infinity).
SPREAD = np.array(
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ]
)


def transformed(weight: NDArray[np.float64]) -> Floats:
    """Weights [M,C,3,3] as `convolve_rows` reads them [36,M/COLUMNS,C,COLUMNS]; M a multiple."""
    spread = np.einsum("ai,ocij,bj->abco", SPREAD, weight, SPREAD)
    panels = spread.reshape(TILE * TILE, weight.shape[1], -1, COLUMNS).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(panels, np.float32)


@compiled
def convolve_rows(
    image: Floats,
    coarse: Floats,
    weights: Floats,
    bias: Floats,
    relu_before: bool,
    relu_after: bool,
    first: int,
    last: int,
    out: Floats,
) -> None:
    """Rows of a convolution with zeros around the image.

    Args:
        image: [H,W,C].
        coarse: added to it, each pixel repeated over 2x2 [ceil(H/2),ceil(W/2),C]; or [0,0,0].
        weights: see `transformed`.
        bias: [M].
        relu_before: whether negative inputs count as 0.
        relu_after: whether negative results become 0.
        first: row to start at, a multiple of 4.
        last: row to stop before.
        out: the result [H,W,M], of which these rows are written.
    """
    channels, (_, width, made) = image.shape[2], out.shape
    tiles = -(-width // SIDE)
    most = min(TILES, tiles)
    rows = np.empty((TILE, SIDE * most + 2, channels), np.float32)
    squares = np.empty((TILE * TILE, most, channels), np.float32)
    products = np.empty((TILE * TILE, most, made), np.float32)
    columns = np.empty((SIDE, TILE, made), np.float32)
    rest = np.empty(made, np.float32)
    nothing = np.zeros(channels, np.float32)
    for y in range(first, last, SIDE):
        for tile in range(0, tiles, most):
            count = min(most, tiles - tile)
            x = SIDE * tile
            _spread_rows(image, coarse, relu_before, y, x, SIDE * count + 2, nothing, rows)
            _spread_columns(rows, count, squares)
            for index in range(TILE * TILE):
                for panel in range(weights.shape[1]):
                    multiply(
                        squares[index, :count], weights[index, panel], products[index],
                        panel * COLUMNS,
                    )  # fmt: skip
            for index in range(count):
                _gather(products, index, bias, relu_after, y, x + SIDE * index, columns, rest, out)


@part
def _spread_rows(
    image: Floats,
    coarse: Floats,
    relu: bool,
    y: int,
    x: int,
    count: int,
    nothing: Floats,
    out: Floats,
) -> None:
    """Six rows from y - 1 on, transformed column by column from x - 1 on."""
    height, width = image.shape[:2]
    least = ZERO if relu else LOWEST
    for column in range(count):
        at = x - 1 + column
        r0, r1, r2 = out[0, column], out[1, column], out[2, column]
        r3, r4, r5 = out[3, column], out[4, column], out[5, column]
        if at < 0 or at >= width:
            for row in range(TILE):
                out[row, column] = ZERO
            continue
        i0 = image[y - 1, at] if y > 0 else nothing
        i1 = image[y, at]
        i2 = image[y + 1, at] if y + 1 < height else nothing
        i3 = image[y + 2, at] if y + 2 < height else nothing
        i4 = image[y + 3, at] if y + 3 < height else nothing
        i5 = image[y + 4, at] if y + 4 < height else nothing
        if len(coarse):
            half = at // 2
            c0 = coarse[(y - 1) // 2, half] if y > 0 else nothing
            c1 = coarse[y // 2, half]
            c2 = c1 if y + 1 < height else nothing
            c3 = coarse[y // 2 + 1, half] if y + 2 < height else nothing
            c4 = c3 if y + 3 < height else nothing
            c5 = coarse[y // 2 + 2, half] if y + 4 < height else nothing
            for k in range(len(i0)):
                d0, d1, d2 = (
                    max(i0[k] + c0[k], least), max(i1[k] + c1[k], least), max(i2[k] + c2[k], least),
                )  # fmt: skip
                d3, d4, d5 = (
                    max(i3[k] + c3[k], least), max(i4[k] + c4[k], least), max(i5[k] + c5[k], least),
                )  # fmt: skip
                p, q, r, s = d4 - FOUR * d2, d3 - FOUR * d1, d4 - d2, TWO * (d3 - d1)
                r0[k] = FOUR * d0 - FIVE * d2 + d4
                r1[k], r2[k], r3[k], r4[k] = p + q, p - q, r + s, r - s
                r5[k] = FOUR * d1 - FIVE * d3 + d5
            continue
        for k in range(len(i0)):
            d0, d1, d2 = max(i0[k], least), max(i1[k], least), max(i2[k], least)
            d3, d4, d5 = max(i3[k], least), max(i4[k], least), max(i5[k], least)
            p, q, r, s = d4 - FOUR * d2, d3 - FOUR * d1, d4 - d2, TWO * (d3 - d1)
            r0[k] = FOUR * d0 - FIVE * d2 + d4
            r1[k], r2[k], r3[k], r4[k] = p + q, p - q, r + s, r - s
            r5[k] = FOUR * d1 - FIVE * d3 + d5


@part
def _spread_columns(rows: Floats, count: int, out: Floats) -> None:
    """The same along the rows, tile by tile: [6,*,C] -> [36,tiles,C]."""
    for tile in range(count):
        x = SIDE * tile
        for row in range(TILE):
            i0, i1, i2 = rows[row, x], rows[row, x + 1], rows[row, x + 2]
            i3, i4, i5 = rows[row, x + 3], rows[row, x + 4], rows[row, x + 5]
            first = TILE * row
            r0, r1, r2 = out[first, tile], out[first + 1, tile], out[first + 2, tile]
            r3, r4, r5 = out[first + 3, tile], out[first + 4, tile], out[first + 5, tile]
            for k in range(len(i0)):
                d1, d2, d3, d4 = i1[k], i2[k], i3[k], i4[k]
                p, q, r, s = d4 - FOUR * d2, d3 - FOUR * d1, d4 - d2, TWO * (d3 - d1)
                r0[k] = FOUR * i0[k] - FIVE * d2 + d4
                r1[k], r2[k], r3[k], r4[k] = p + q, p - q, r + s, r - s
                r5[k] = FOUR * d1 - FIVE * d3 + i5[k]


@part
def _gather(
    products: Floats,
    tile: int,
    bias: Floats,
    relu: bool,
    y: int,
    x: int,
    columns: Floats,
    rest: Floats,
    out: Floats,
) -> None:
    """The 4x4 pixels of a tile, as far as they are in the image."""
    height, width = out.shape[:2]
    least = ZERO if relu else LOWEST
    for column in range(TILE):
        m0, m1, m2 = products[column, tile], products[6 + column, tile], products[12 + column, tile]
        m3, m4 = products[18 + column, tile], products[24 + column, tile]
        m5 = products[30 + column, tile]
        r0, r1, r2, r3 = (
            columns[0, column],
            columns[1, column],
            columns[2, column],
            columns[3, column],
        )
        for k in range(len(m0)):
            p, q, r, s = m1[k] + m2[k], m1[k] - m2[k], m3[k] + m4[k], m3[k] - m4[k]
            r0[k], r1[k], r2[k] = m0[k] + p + r, q + TWO * s, p + FOUR * r
            r3[k] = q + EIGHT * s + m5[k]
    for row in range(min(SIDE, height - y)):
        m0, m1, m2 = columns[row, 0], columns[row, 1], columns[row, 2]
        m3, m4, m5 = columns[row, 3], columns[row, 4], columns[row, 5]
        line = out[y + row]
        r0 = line[x]
        r1 = line[x + 1] if x + 1 < width else rest
        r2 = line[x + 2] if x + 2 < width else rest
        r3 = line[x + 3] if x + 3 < width else rest
        for k in range(len(m0)):
            p, q, r, s = m1[k] + m2[k], m1[k] - m2[k], m3[k] + m4[k], m3[k] - m4[k]
            r0[k] = max(m0[k] + p + r + bias[k], least)
            r1[k] = max(q + TWO * s + bias[k], least)
            r2[k] = max(p + FOUR * r + bias[k], least)
            r3[k] = max(q + EIGHT * s + m5[k] + bias[k], least)
