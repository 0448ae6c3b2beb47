"""The device code of `ops.fused_light`, in Triton's language."""

import triton
import triton.language as tl

from kpcn_core.ops.fused_pixels_kernel import at_least, at_most, is_finite, read, tile


@triton.jit
def sums_kernel(
    noisy, valid, clean, before, after, sums, height, width, epsilon, most, dark,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Sums over one tile of pixels.

    Args:
        noisy: an image of three channels.
        valid: one channel; 0 where a pixel counts nothing.
        clean: denoised, three channels; where one is not finite, the pixel counts nothing.
        before: albedo that the noisy pixels are multiplied by, or None.
        after: albedo that the denoised ones are multiplied by, or None.
        sums: light kept, light lost and its variance, float64 [programs,3]; the result.
        height: of the images.
        width: of the images.
        epsilon: added to an albedo.
        most: times its brightness that a pixel can lose.
        dark: added to that.
        ROWS: of a tile.
        COLUMNS: of a tile.
    """
    row, column = tile(ROWS, COLUMNS)
    there = (row < height) & (column < width)
    light = tl.zeros([ROWS, COLUMNS], tl.float32)
    left = tl.zeros([ROWS, COLUMNS], tl.float32)
    for channel in tl.static_range(3):
        bright = read(clean, channel, row, column, there)
        mean = read(noisy, channel, row, column, there)
        if after is not None:
            bright *= at_least(read(after, channel, row, column, there), 0.0) + epsilon
            mean *= at_least(read(before, channel, row, column, there), 0.0) + epsilon
        light += bright
        left += mean - bright
    known = there & (read(valid, 0, row, column, there) > 0) & is_finite(left)
    largest = most * (tl.maximum(light, 0.0) + dark)
    lost = tl.where(known, tl.minimum(left, largest), 0.0).to(tl.float64)
    at = sums + 3 * (tl.program_id(1) * tl.num_programs(0) + tl.program_id(0))
    tl.store(at, tl.sum(tl.where(known, light, 0.0).to(tl.float64)))
    tl.store(at + 1, tl.sum(lost))
    tl.store(at + 2, tl.sum(lost * lost))


@triton.jit
def gain_kernel(sums, blocks, factor, most, tiny, LANES: tl.constexpr):
    """The one program that makes a factor of all sums; see `brightness.gain`.

    Args:
        sums: of `sums_kernel` [blocks,3].
        blocks: how many.
        factor: the result.
        most: of `fused_light.Rule`, like the next one.
        tiny: likewise.
        LANES: sums that are added at once.
    """
    kept = tl.zeros([LANES], tl.float64)
    lost = tl.zeros([LANES], tl.float64)
    squares = tl.zeros([LANES], tl.float64)
    for first in range(0, blocks, LANES):
        block = first + tl.arange(0, LANES)
        there = block < blocks
        kept += tl.load(sums + 3 * block, mask=there, other=0.0)
        lost += tl.load(sums + 3 * block + 1, mask=there, other=0.0)
        squares += tl.load(sums + 3 * block + 2, mask=there, other=0.0)
    missing = tl.sum(lost)
    share = at_least(1 - tl.sum(squares) / (missing * missing + tiny), 0.0)
    found = 1 + share * missing / at_least(tl.sum(kept), tiny)
    found = at_most(at_least(found, 1 / most), most)
    tl.store(factor, found.to(tl.float32))
