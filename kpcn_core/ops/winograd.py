"""3x3 convolutions on a CPU by Winograd's minimal filtering F(4x4,3x3), compiled (`ops.compiler`).

A square of 6x6 pixels becomes 36 numbers a channel, of which each is multiplied by itself: 2.25
products for each pixel instead of 9. Twin of `functional.conv2d` for float32, channels last; the
transforms cost accuracy: errors are about 2e-6 of the deviation of the result, a few times those
of direct sums.
"""

import numpy as np
from numpy.typing import NDArray

from kpcn_core.ops.compiler import compiled, part
from kpcn_core.ops.lanes import LANES, LINE, Register, aligned, everywhere, larger, load, store
from kpcn_core.ops.registers import COLUMNS, in_panels, multiply

Floats = NDArray[np.float32]

SIDE, TILE = 4, 6  # of what a tile gives and reads
# Tiles at a time: what they become stays in the second cache.
TILES = 36 if LANES == 16 else 30
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
    """Weights [M,C,3,3] as `convolve_rows` reads them [36,ceil(M/COLUMNS),C,COLUMNS]."""
    spread = np.einsum("ai,ocij,bj->abco", SPREAD, weight, SPREAD)
    return np.stack([in_panels(one.T) for one in spread.reshape(-1, *spread.shape[2:])])


@compiled
def convolve_rows(
    image: Floats,
    coarse: Floats,
    weights: Floats,
    bias: Floats,
    added: Floats,
    relu_before: bool,
    relu_after: bool,
    first: int,
    last: int,
    out: Floats,
) -> None:
    """Rows of a convolution with zeros around the image.

    Args:
        image: [H,W,C], C at least LANES.
        coarse: added to it, each pixel repeated over 2x2 [ceil(H/2),ceil(W/2),C]; or [0,0,0].
        weights: see `transformed`.
        bias: [M], M a multiple of LANES.
        added: to the result, last [H,W,M or more]; or [0,0,0].
        relu_before: whether negative inputs count as 0.
        relu_after: whether negative results become 0.
        first: row to start at, a multiple of 4.
        last: row to stop before.
        out: the result [H,W,M], of which these rows are written.
    """
    channels, width = image.shape[2], out.shape[1]
    tiles = -(-width // SIDE)
    most = min(TILES, tiles)
    rows = aligned(TILE * (SIDE * most + 2) * LANES).reshape(TILE, SIDE * most + 2, LANES)
    deep, wide = -(-channels // LINE) * LINE, COLUMNS * weights.shape[1]
    # A cache line more than asked for: else all 36 would lie in the same few sets of the cache.
    size = most * deep + LINE
    squares = aligned(TILE * TILE * size).reshape(TILE * TILE, size)
    size = most * wide + LINE
    products = aligned(TILE * TILE * size).reshape(TILE * TILE, size)
    columns = aligned(SIDE * TILE * LANES).reshape(SIDE, TILE, LANES)
    least = everywhere(ZERO if relu_before else LOWEST)
    for y in range(first, last, SIDE):
        for tile in range(0, tiles, most):
            count = min(most, tiles - tile)
            x = SIDE * tile
            for first_channel in range(0, channels, LANES):
                # The last of them overlap the ones before.
                k = min(first_channel, channels - LANES)
                _spread_rows(image, coarse, least, y, x, k, SIDE * count + 2, rows)
                _spread_columns(rows, deep, k, count, squares)
            for index in range(TILE * TILE):
                square = squares[index, : count * deep].reshape(count, deep)[:, :channels]
                product = products[index, : count * wide].reshape(count, wide)
                for panel in range(weights.shape[1]):
                    multiply(square, weights[index, panel], product, panel * COLUMNS)
            for index in range(count):
                _gather(
                    products, index, wide, bias, added, relu_after, y, x + SIDE * index,
                    columns, out,
                )  # fmt: skip


@part
def _spread_rows(
    image: Floats,
    coarse: Floats,
    least: Register,
    y: int,
    x: int,
    k: int,
    count: int,
    out: Floats,
) -> None:
    """Some channels of six rows from y - 1 on, transformed column by column from x - 1 on."""
    two, four, five = everywhere(TWO), everywhere(FOUR), everywhere(FIVE)
    zero = everywhere(ZERO)
    for column in range(count):
        at = x - 1 + column
        if at < 0 or at >= image.shape[1]:
            for row in range(TILE):
                store(out, (row, column, 0), zero)
            continue
        d0 = _pixel(image, coarse, least, y - 1, at, k)
        d1 = _pixel(image, coarse, least, y, at, k)
        d2 = _pixel(image, coarse, least, y + 1, at, k)
        d3 = _pixel(image, coarse, least, y + 2, at, k)
        d4 = _pixel(image, coarse, least, y + 3, at, k)
        d5 = _pixel(image, coarse, least, y + 4, at, k)
        p, q, r, s = d4 - four * d2, d3 - four * d1, d4 - d2, two * (d3 - d1)
        store(out, (0, column, 0), four * d0 - five * d2 + d4)
        store(out, (1, column, 0), p + q)
        store(out, (2, column, 0), p - q)
        store(out, (3, column, 0), r + s)
        store(out, (4, column, 0), r - s)
        store(out, (5, column, 0), four * d1 - five * d3 + d5)


@part
def _pixel(image: Floats, coarse: Floats, least: Register, y: int, x: int, k: int) -> Register:
    """Some channels of a pixel; zeros around the image."""
    if y < 0 or y >= len(image):
        return everywhere(ZERO)
    found = load(image, (y, x, k))
    if len(coarse):
        found = found + load(coarse, (y // 2, x // 2, k))
    return larger(found, least)


@part
def _spread_columns(rows: Floats, deep: int, k: int, count: int, out: Floats) -> None:
    """The same along the rows, tile by tile: [6,*,LANES] -> channels of [36,tiles,C]."""
    two, four, five = everywhere(TWO), everywhere(FOUR), everywhere(FIVE)
    for tile in range(count):
        x, place = SIDE * tile, deep * tile + k
        for row in range(TILE):
            d0, d1 = load(rows, (row, x, 0)), load(rows, (row, x + 1, 0))
            d2, d3 = load(rows, (row, x + 2, 0)), load(rows, (row, x + 3, 0))
            d4, d5 = load(rows, (row, x + 4, 0)), load(rows, (row, x + 5, 0))
            first = TILE * row
            p, q, r, s = d4 - four * d2, d3 - four * d1, d4 - d2, two * (d3 - d1)
            store(out, (first, place), four * d0 - five * d2 + d4)
            store(out, (first + 1, place), p + q)
            store(out, (first + 2, place), p - q)
            store(out, (first + 3, place), r + s)
            store(out, (first + 4, place), r - s)
            store(out, (first + 5, place), four * d1 - five * d3 + d5)


@part
def _gather(
    products: Floats,
    tile: int,
    wide: int,
    bias: Floats,
    added: Floats,
    relu: bool,
    y: int,
    x: int,
    columns: Floats,
    out: Floats,
) -> None:
    """The 4x4 pixels of a tile, as far as they are in the image."""
    height, _, channels = out.shape
    two, four, eight = everywhere(TWO), everywhere(FOUR), everywhere(EIGHT)
    least = everywhere(ZERO if relu else LOWEST)
    for k in range(0, channels, LANES):
        place = wide * tile + k
        for column in range(TILE):
            m0, m1 = load(products, (column, place)), load(products, (6 + column, place))
            m2, m3 = load(products, (12 + column, place)), load(products, (18 + column, place))
            m4, m5 = load(products, (24 + column, place)), load(products, (30 + column, place))
            p, q, r, s = m1 + m2, m1 - m2, m3 + m4, m3 - m4
            store(columns, (0, column, 0), m0 + p + r)
            store(columns, (1, column, 0), q + two * s)
            store(columns, (2, column, 0), p + four * r)
            store(columns, (3, column, 0), q + eight * s + m5)
        shift = load(bias, (k,))
        for row in range(min(SIDE, height - y)):
            m0, m1 = load(columns, (row, 0, 0)), load(columns, (row, 1, 0))
            m2, m3 = load(columns, (row, 2, 0)), load(columns, (row, 3, 0))
            m4, m5 = load(columns, (row, 4, 0)), load(columns, (row, 5, 0))
            p, q, r, s = m1 + m2, m1 - m2, m3 + m4, m3 - m4
            _finish(p + r + m0, shift, least, added, y + row, x, k, out)
            _finish(q + two * s, shift, least, added, y + row, x + 1, k, out)
            _finish(p + four * r, shift, least, added, y + row, x + 2, k, out)
            _finish(q + eight * s + m5, shift, least, added, y + row, x + 3, k, out)


@part
def _finish(
    total: Register,
    bias: Register,
    least: Register,
    added: Floats,
    y: int,
    x: int,
    k: int,
    out: Floats,
) -> None:
    """Some channels of a pixel, if the image has it."""
    if x >= out.shape[1]:
        return
    found = larger(total + bias, least)
    if len(added):
        found = found + load(added, (y, x, k))
    store(out, (y, x, k), found)
