"""The device code of `ops.fused_surplus`, in Triton's language."""

import triton
import triton.language as tl

from kpcn_core.ops.fused_pixels_kernel import (
    at_least,
    finite,
    is_finite,
    mean_around,
    read,
    row_of_squares,
    tile,
    total,
)


@triton.jit
def squares_kernel(
    noisy, denoised, variance, count, dark, noise, seen, doubts, pooled, height, width,
    times, doubt, SIDE: tl.constexpr, SQUARES: tl.constexpr,
):  # fmt: skip
    """One row of squares of pixels.

    Args:
        noisy: an image of three channels, like the next two.
        denoised: likewise.
        variance: of the noisy pixels.
        count: samples a pixel.
        dark: one number, the brightness below which nothing is relative to it.
        noise: the variances, relative to the brightness [height,width]; filled, like the next four.
        seen: the squared differences [height,width].
        doubts: how many times the noise must be seen [height,width]; -1 where that is unknown.
        pooled: means of the noise [height/SIDE,width/SIDE].
        height: of the images.
        width: of the images.
        times: this + doubt / sqrt(count) times the noise must be seen.
        doubt: see there.
        SIDE: of a square.
        SQUARES: of a program.
    """
    square, row, column = row_of_squares(SIDE, SQUARES)
    there = (row < height) & (column < width)
    samples = read(count, 0, row, column, there)
    usable = there & (samples >= 2)
    bright = 0.0
    difference = 0.0
    spread = 0.0
    for channel in tl.static_range(3):
        mean = read(noisy, channel, row, column, there)
        clean = read(denoised, channel, row, column, there)
        usable = usable & is_finite(mean + clean)
        bright += tl.maximum(clean, 0.0)
        difference += (mean - clean) * (mean - clean)
        spread += tl.maximum(finite(read(variance, channel, row, column, there)), 0.0)
    bright = bright / 3
    black = tl.load(dark)
    weight = 1 / (bright * bright + black * black)
    found = tl.where(usable, spread * weight, 0.0)
    pixel = row * width + column
    tl.store(noise + pixel, found, mask=there)
    tl.store(seen + pixel, tl.where(usable, difference * weight, 0.0), mask=there)
    needed = times + doubt * tl.rsqrt(tl.maximum(samples, 1.0))
    tl.store(doubts + pixel, tl.where(usable, needed, -1.0), mask=there)
    rows = tl.minimum(height - tl.program_id(1) * SIDE, SIDE)
    pixels = tl.minimum(width - square * SIDE, SIDE) * rows
    squares = tl.cdiv(width, SIDE)
    at = pooled + tl.program_id(1) * squares + square
    tl.store(at, total(found) / pixels, mask=square < squares)


@triton.jit
def floor_kernel(
    pooled, found, height, width, share, weights, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """One tile of squares: a share of the mean around each.

    Args:
        pooled: [height,width].
        found: the result [height,width].
        height: in squares.
        width: in squares.
        share: of the mean.
        weights: of the squares around, in each direction.
        ROWS: of a tile.
        COLUMNS: of a tile.
    """
    row, column = tile(ROWS, COLUMNS)
    mean = share * mean_around(pooled, row, column, height, width, weights)
    there = (row < height) & (column < width)
    tl.store(found + row * width + column, mean, mask=there)


@triton.jit
def shares_kernel(
    noise, seen, doubts, least, found, height, width, tiny, weights,
    SIDE: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """One tile of pixels: the share of what is seen that noise does not explain.

    Args:
        noise: of `squares_kernel`, like the next two.
        seen: likewise.
        doubts: likewise.
        least: noise of squares [height/SIDE,width/SIDE].
        found: the result [height,width].
        height: of the images.
        width: of the images.
        tiny: added to what is seen.
        weights: of the pixels around, in each direction.
        SIDE: of a square.
        ROWS: of a tile.
        COLUMNS: of a tile.
    """
    row, column = tile(ROWS, COLUMNS)
    there = (row < height) & (column < width)
    pixel = row * width + column
    doubt = tl.load(doubts + pixel, mask=there, other=-1.0)
    floor = (row // SIDE) * tl.cdiv(width, SIDE) + column // SIDE
    expected = mean_around(noise, row, column, height, width, weights)
    expected = at_least(expected, tl.load(least + floor, mask=there, other=0.0))
    square = mean_around(seen, row, column, height, width, weights)
    share = at_least(1 - doubt * expected / (square + tiny), 0.0)
    tl.store(found + pixel, tl.where(doubt >= 0, share, 0.0), mask=there)
