"""The device code of `ops.fused_light`, in Triton's language."""

import triton
import triton.language as tl

from kpcn_core.ops.fused_pixels_kernel import at_least, at_most, finite, is_finite, read, tile


@triton.jit
def sums_kernel(
    noisy, denoised, variance, before, after, sums, height, width, epsilon,
    ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """Sums over one tile of pixels.

    Args:
        noisy: an image of three channels, like the next four; None loses nothing.
        denoised: what is not finite counts nothing.
        variance: of the noisy pixels, or None with them.
        before: albedo that the noisy pixels are multiplied by, or None.
        after: albedo that the denoised ones are multiplied by, or None.
        sums: light kept, light lost and its variance, float64 [programs,3]; the result.
        height: of the images.
        width: of the images.
        epsilon: added to an albedo.
        ROWS: of a tile.
        COLUMNS: of a tile.
    """
    row, column = tile(ROWS, COLUMNS)
    there = (row < height) & (column < width)
    kept = tl.zeros([ROWS, COLUMNS], tl.float64)
    lost = tl.zeros([ROWS, COLUMNS], tl.float64)
    squares = tl.zeros([ROWS, COLUMNS], tl.float64)
    for channel in tl.static_range(3):
        light = read(denoised, channel, row, column, there)
        if after is not None:
            light *= at_least(read(after, channel, row, column, there), 0.0) + epsilon
        known = there & is_finite(light)
        kept += tl.where(known, light, 0.0)
        if noisy is not None:
            mean = read(noisy, channel, row, column, there)
            spread = at_least(read(variance, channel, row, column, there), 0.0)
            if before is not None:
                was = at_least(finite(read(before, channel, row, column, there)), 0.0) + epsilon
                mean *= was
                spread = spread * was * was
            lost += tl.where(known, mean - light, 0.0)
            squares += tl.where(known, spread, 0.0)
    at = sums + 3 * (tl.program_id(1) * tl.num_programs(0) + tl.program_id(0))
    tl.store(at, tl.sum(kept))
    tl.store(at + 1, tl.sum(lost))
    tl.store(at + 2, tl.sum(squares))


@triton.jit
def gain_kernel(
    sums, blocks, known, known_squares, factor, light, certain, most, tiny, LANES: tl.constexpr
):  # fmt: skip
    """The one program that makes a factor of all sums; see `restoration.light_gain`.

    Args:
        sums: of `sums_kernel` [blocks,3].
        blocks: how many.
        known: light of the noisy image, float64, or None if the sums are to tell.
        known_squares: its variance, float64, or None.
        factor: the result.
        light: that of the noisy image and its variance, float64 [2]; filled.
        certain: of `fused_light.Rule`, like the next two.
        most: likewise.
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
    bright = tl.sum(kept)
    noisy = bright + tl.sum(lost)
    spread = tl.sum(squares)
    if known is not None:
        noisy = tl.load(known)
        spread = tl.load(known_squares)
    tl.store(light, noisy)
    tl.store(light + 1, spread)
    missing = noisy - bright
    share = at_least(1 - certain * 3 * spread / (missing * missing + tiny), 0.0)
    found = 1 + share * missing / at_least(bright, tiny)
    found = at_most(at_least(found, 1 / most), most)
    tl.store(factor, found.to(tl.float32))
