"""The device code of `ops.fused_sum`, in Triton's language."""

import triton
import triton.language as tl


@triton.jit
def sum_kernel(
    product, bias, skip, total, rectified, count,
    CHANNELS: tl.constexpr, BIASED: tl.constexpr, SKIPS: tl.constexpr, KEEPS: tl.constexpr,
    RECTIFIES: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """One tile of numbers.

    Args:
        product: of a layer, without its bias, channels innermost [count].
        bias: of the layer [CHANNELS].
        skip: what is added [count].
        total: the sum [count]; may be `product`.
        rectified: the same, 0 where it is negative [count].
        count: numbers of each.
        CHANNELS: of a pixel.
        BIASED: whether there is a bias.
        SKIPS: whether there is a skip.
        KEEPS: whether the total is written.
        RECTIFIES: whether what is not negative is.
        TILE: numbers of a program.
    """
    at = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    there = at < count
    found = tl.load(product + at, mask=there, other=0.0).to(tl.float32)
    if BIASED:
        found += tl.load(bias + at % CHANNELS, mask=there, other=0.0).to(tl.float32)
    if SKIPS:
        found += tl.load(skip + at, mask=there, other=0.0).to(tl.float32)
    if KEEPS:
        tl.store(total + at, found, mask=there)
    if RECTIFIES:
        tl.store(rectified + at, tl.maximum(found, 0.0), mask=there)


@triton.jit
def enlarge_kernel(
    product, bias, skip, rectified, width, count, CHANNELS: tl.constexpr, TILE: tl.constexpr
):  # fmt: skip
    """One tile of numbers: what is coarser by 2, repeated, a bias and a skip.

    Images lie below each other: their heights are even.

    Args:
        product: of a layer, without its bias, channels innermost [B,h/2,w/2,CHANNELS].
        bias: of the layer [CHANNELS].
        skip: what is added [B,h,w,CHANNELS].
        rectified: the sum, 0 where it is negative [B,h,w,CHANNELS].
        width: w.
        count: numbers of the skip.
        CHANNELS: of a pixel.
        TILE: numbers of a program.
    """
    at = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    there = at < count
    channel, pixel = at % CHANNELS, at // CHANNELS
    row, column = pixel // width, pixel % width
    coarse = (row // 2 * (width // 2) + column // 2) * CHANNELS + channel
    found = tl.load(product + coarse, mask=there, other=0.0).to(tl.float32)
    found += tl.load(bias + channel, mask=there, other=0.0).to(tl.float32)
    found += tl.load(skip + at, mask=there, other=0.0).to(tl.float32)
    tl.store(rectified + at, tl.maximum(found, 0.0), mask=there)


@triton.jit
def unfold_kernel(
    product, bias, pixels, full, seen, width, count,
    WIDTH: tl.constexpr, BESIDE: tl.constexpr, FOLD: tl.constexpr, KEEPS: tl.constexpr,
    TILE: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    """One tile of pixels: their numbers fetched from the cells that hold them.

    Args:
        product: of a layer over cells, without its bias [B,h,w,WIDTH*FOLD**2].
        bias: of the layer.
        pixels: of every pixel, folded [B,h,w,BESIDE*FOLD**2].
        full: the unfolded product with its bias [B,H,W,WIDTH].
        seen: that and the pixels, 0 where negative [B,H,W,WIDTH+BESIDE].
        width: W.
        count: B*H*W.
        WIDTH: numbers of a pixel.
        BESIDE: those it has by itself; 0 for none.
        FOLD: pixels of a cell along each side.
        KEEPS: whether `full` is written.
        TILE: pixels of a program.
        CHANNELS: at least WIDTH + BESIDE, a power of 2.
    """
    pixel = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    row, column = pixel // width, pixel % width
    cell = row // FOLD * (width // FOLD) + column // FOLD
    place = row % FOLD * FOLD + column % FOLD
    channel = tl.arange(0, CHANNELS)
    there = pixel[:, None] < count
    own = there & (channel < WIDTH)[None, :]
    source = channel[None, :] * (FOLD * FOLD) + place[:, None]
    found = tl.load(
        product + cell[:, None] * (WIDTH * FOLD * FOLD) + source, mask=own, other=0.0
    ).to(tl.float32)
    found += tl.load(bias + source, mask=own, other=0.0).to(tl.float32)
    if KEEPS:
        tl.store(full + pixel[:, None] * WIDTH + channel[None, :], found, mask=own)
    if BESIDE > 0:
        beside = there & ((channel >= WIDTH) & (channel < WIDTH + BESIDE))[None, :]
        there = there & (channel < WIDTH + BESIDE)[None, :]
        place = cell[:, None] * (BESIDE * FOLD * FOLD) + source - WIDTH * FOLD * FOLD
        found += tl.load(pixels + place, mask=beside, other=0.0).to(tl.float32)
    else:
        there = own
    at = pixel[:, None] * (WIDTH + BESIDE) + channel[None, :]
    tl.store(seen + at, tl.maximum(found, 0.0), mask=there)
