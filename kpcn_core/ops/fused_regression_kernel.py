"""The device code of `ops.fused_regression`, in Triton's language."""

import triton
import triton.language as tl

from kpcn_core.ops.fused_pixels_kernel import (
    at_least,
    at_most,
    finite,
    is_finite,
    mean_around,
    read,
    row_of_squares,
    tile,
    total,
)

GUIDES = tl.constexpr(4)  # a normal, and the mean of an albedo
# Products of 1, the guides and what was taken, each with itself and those after it; and of the
# brightness with 1 and the guides.
SUMS = tl.constexpr(26)
COLUMNS = tl.constexpr(5)  # of an equation: a factor of each guide, and the right-hand side


@triton.jit
def products_kernel(
    noisy, denoised, normal, albedo, albedo_share, dark, sums, height, width, most,
    SIDE: tl.constexpr, SQUARES: tl.constexpr,
):  # fmt: skip
    """One row of squares of pixels: means of products.

    Args:
        noisy: an image of three channels, like the next three.
        denoised: likewise.
        normal: or None.
        albedo: or None.
        albedo_share: what the mean of the albedo is multiplied by.
        dark: one number, added to the brightness.
        sums: the result [SUMS,height/SIDE,width/SIDE].
        height: of the images.
        width: of the images.
        most: how far a relative difference counts.
        SIDE: of a square.
        SQUARES: of a program.
    """
    square, row, column = row_of_squares(SIDE, SQUARES)
    there = (row < height) & (column < width)
    usable = there
    light = 0.0
    taken = 0.0
    for channel in tl.static_range(3):
        mean = read(noisy, channel, row, column, there)
        clean = read(denoised, channel, row, column, there)
        usable = usable & is_finite(mean + clean)
        light += clean
        taken += mean - clean
    light = tl.where(usable, tl.maximum(light / 3, 0.0), 0.0)
    taken = taken / 3 / (light + tl.load(dark))
    taken = tl.where(usable, at_least(at_most(taken, most), -most), 0.0)
    known = tl.where(usable, 1.0, 0.0)
    factors = (known,) + _guides(normal, albedo, albedo_share, row, column, usable) + (taken,)
    squares = tl.cdiv(width, SIDE)
    plane = tl.cdiv(height, SIDE) * squares
    at = sums + tl.program_id(1) * squares + square
    stored = square < squares
    for first in tl.static_range(GUIDES + 2):
        for second in tl.static_range(first, GUIDES + 2):
            product = total(factors[first] * factors[second])
            tl.store(at, product / (SIDE * SIDE), mask=stored)
            at += plane
    for first in tl.static_range(GUIDES + 1):
        tl.store(at, total(light * factors[first]) / (SIDE * SIDE), mask=stored)
        at += plane


@triton.jit
def _guides(normal, albedo, albedo_share, row, column, there):
    """The guides of some pixels; 0 where they are not there."""
    nothing = tl.where(there, 0.0, 0.0)
    first = nothing
    second = nothing
    third = nothing
    mean = nothing
    if normal is not None:
        first = finite(read(normal, 0, row, column, there))
        second = finite(read(normal, 1, row, column, there))
        third = finite(read(normal, 2, row, column, there))
    if albedo is not None:
        for channel in tl.static_range(3):
            mean += finite(read(albedo, channel, row, column, there))
        mean = mean / 3 * albedo_share
    return first, second, third, mean


@triton.jit
def fit_kernel(
    sums, functions, height, width, ridge, trust, weights, LANES: tl.constexpr
):  # fmt: skip
    """Some squares: least squares of what was taken, by elimination; see `structure._fitted`.

    Args:
        sums: of `products_kernel` [SUMS,height,width].
        functions: a factor for each guide, and a constant [GUIDES+1,height,width]; the result.
        height: in squares.
        width: in squares.
        ridge: see `fused_regression.fitted`, like the next one.
        trust: likewise.
        weights: of the squares around, in each direction.
        LANES: squares of a program.
    """
    square = tl.program_id(0) * LANES + tl.arange(0, LANES)
    plane = height * width
    mean = _means(sums, square // width, square % width, height, width, weights)
    found = _solved(_eliminated(_equations(mean, ridge, trust)))
    constant = 0.0
    there = square < plane
    light = mean[SUMS - 2 - GUIDES]
    for k in tl.static_range(GUIDES):
        lit = mean[SUMS - 1 - GUIDES + k] / light
        constant -= found[k] * tl.where(light > 0, lit, mean[k])
        tl.store(functions + k * plane + square, found[k], mask=there)
    tl.store(functions + GUIDES * plane + square, constant, mask=there)


@triton.jit
def _means(sums, row, column, height, width, weights):
    """Means of all products but the first over the pixels around squares that count."""
    count = tl.maximum(mean_around(sums, row, column, height, width, weights), 1e-6)
    found = ()
    for k in tl.static_range(1, SUMS):
        total = mean_around(sums + k * height * width, row, column, height, width, weights)
        found = found + (total / count,)
    return found


@triton.jit
def _equations(mean, ridge, trust):
    """Of each guide, what is on the diagonal and to the right of it; the right-hand side at last.

    And so for what was taken, which nothing reads.
    """
    taken = mean[GUIDES]
    noise = tl.maximum(mean[SUMS - 3 - GUIDES] - taken * taken, 0.0)
    found = ()
    for i in tl.static_range(COLUMNS):
        for j in tl.static_range(i, COLUMNS):
            number = mean[COLUMNS + len(found)] - mean[i] * mean[j]
            if i == j:
                number += ridge + noise * trust
            found = found + (number,)
    return found


@triton.jit
def _eliminated(equations):
    """Equations of which each has one unknown less than the one before."""
    for k in tl.static_range(GUIDES):
        rest = ()
        for i in tl.static_range(COLUMNS):
            for j in tl.static_range(i, COLUMNS):
                number = equations[len(rest)]
                if i > k:
                    share = _of(equations, k, i) / _of(equations, k, k)
                    number -= share * _of(equations, k, j)
                rest = rest + (number,)
        equations = rest
    return equations


@triton.jit
def _solved(equations):
    """The unknowns of such equations, of which the last is found first."""
    found = ()
    for step in tl.static_range(GUIDES):
        number = _of(equations, GUIDES - 1 - step, GUIDES)
        for k in tl.static_range(step):
            number -= _of(equations, GUIDES - 1 - step, GUIDES - step + k) * found[k]
        found = (number / _of(equations, GUIDES - 1 - step, GUIDES - 1 - step),) + found
    return found


@triton.jit
def _of(equations, i: tl.constexpr, j: tl.constexpr):
    """The number in row i and column j, which is not less."""
    return equations[i * COLUMNS - i * (i - 1) // 2 + j - i]


@triton.jit
def factors_kernel(
    functions, rows, columns, normal, albedo, albedo_share, filtered, found, height, width,
    least, most, SIDE: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """One tile of pixels: 1 and what functions make of guides, within bounds.

    Args:
        functions: of `fit_kernel` [GUIDES+1,rows,columns].
        rows: of squares.
        columns: of squares.
        normal: of `products_kernel`, like the next two.
        albedo: likewise.
        albedo_share: likewise.
        filtered: an image of three channels; where it is not finite, the factor is 1.
        found: the result [height,width].
        height: of the images.
        width: of the images.
        least: the smallest factor.
        most: the largest.
        SIDE: of a square.
        ROWS: of a tile.
        COLUMNS: of a tile.
    """
    row, column = tile(ROWS, COLUMNS)
    there = (row < height) & (column < width)
    above, below, down = _between(row, rows, SIDE)
    left, beside, right = _between(column, columns, SIDE)
    above *= columns
    below *= columns
    guides = _guides(normal, albedo, albedo_share, row, column, there) + (1.0,)
    factor = 1.0
    for k in tl.static_range(GUIDES + 1):
        plane = functions + k * rows * columns
        upper = (1 - right) * tl.load(plane + above + left) + right * tl.load(
            plane + above + beside
        )
        lower = (1 - right) * tl.load(plane + below + left) + right * tl.load(
            plane + below + beside
        )
        factor += ((1 - down) * upper + down * lower) * guides[k]
    factor = at_most(at_least(factor, least), most)
    known = there
    for channel in tl.static_range(3):
        known = known & is_finite(read(filtered, channel, row, column, there))
    tl.store(found + row * width + column, tl.where(known, factor, 1.0), mask=there)


@triton.jit
def _between(pixel, squares, SIDE: tl.constexpr):
    """The squares before and after pixels, and how far these are to the latter, 0 to 1."""
    place = tl.maximum((pixel + 0.5) / SIDE - 0.5, 0.0)
    before = tl.minimum(place.to(tl.int32), squares - 1)
    after = tl.minimum(before + 1, squares - 1)
    return before, after, place - before


@triton.jit
def _mixed(row, left, right, share):
    """Numbers between two of a row, of which the right one has a share."""
    return (1 - share) * tl.load(row + left) + share * tl.load(row + right)
