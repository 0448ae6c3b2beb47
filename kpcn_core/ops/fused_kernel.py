"""The device code of `ops.fused`, in Triton's language."""

import triton
import triton.language as tl

# Below every logit, and still a number.
NOTHING = tl.constexpr(-1e30)


@triton.jit
def share_kernel(
    rows, matrix, bias, least, offsets, pixels, base, sums, peak, count, image_stride,
    CHANNELS: tl.constexpr, TAPS: tl.constexpr, TILE_PIXELS: tl.constexpr,
    TILE_TAPS: tl.constexpr, SCALE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One tile of pixels of one image; logits are times SCALE = log2(e).

    Two passes over the taps: the largest logit needs no color, and the sums then need no rescaling,
    whose reductions across lanes would cost more than the second matrix product. Sums stay one for
    each lane of taps until the end, for the same reason.

    Args:
        rows: features of each pixel [B,count,CHANNELS].
        matrix: the layer [TAPS,CHANNELS].
        bias: [TAPS], times SCALE; very low for taps that only fill a tile.
        least: what a logit counts for at least, beside the largest [TAPS], times SCALE; the same.
        offsets: of each tap from a kernel's first [TAPS].
        pixels: (r, g) and (b, mask) of each pixel as two int64 [B,image_stride/2,2].
        base: a kernel's first pixel, or -1 [B,count].
        sums: r, g, b and weights of the frames so far [B,4,count].
        peak: what they are relative to [B,count].
        count: pixels of an image.
        image_stride: int64 numbers of an image in `pixels`.
        CHANNELS: of the features, a power of 2.
        TAPS: of the kernel, a multiple of TILE_TAPS.
        TILE_PIXELS: pixels of a program.
        TILE_TAPS: taps that it takes at a time.
        SCALE: log2(e).
        PRECISION: of the products of float32, as `tl.dot` calls it.
    """
    image = tl.program_id(1).to(tl.int64)
    pixel = tl.program_id(0) * TILE_PIXELS + tl.arange(0, TILE_PIXELS)
    there = pixel < count
    channel = tl.arange(0, CHANNELS)
    tap = tl.arange(0, TILE_TAPS)
    row = image * count + pixel
    features = tl.load(
        rows + row[:, None] * CHANNELS + channel[None, :], mask=there[:, None], other=0.0
    )

    highest = tl.full([TILE_PIXELS, TILE_TAPS], NOTHING, tl.float32)
    for first in range(0, TAPS, TILE_TAPS):
        columns = tl.load(matrix + (first + tap)[None, :] * CHANNELS + channel[:, None])
        logits = tl.dot(features, columns, input_precision=PRECISION) * SCALE
        highest = tl.maximum(highest, logits + tl.load(bias + first + tap)[None, :])
    top = tl.max(highest, axis=1)

    base_pixel = tl.load(base + row, mask=there, other=-1)
    source = pixels + image * image_stride + tl.maximum(base_pixel, 0).to(tl.int64) * 2
    red = tl.zeros([TILE_PIXELS, TILE_TAPS], tl.float32)
    green = tl.zeros([TILE_PIXELS, TILE_TAPS], tl.float32)
    blue = tl.zeros([TILE_PIXELS, TILE_TAPS], tl.float32)
    weight = tl.zeros([TILE_PIXELS, TILE_TAPS], tl.float32)
    for first in range(0, TAPS, TILE_TAPS):
        columns = tl.load(matrix + (first + tap)[None, :] * CHANNELS + channel[:, None])
        logits = tl.dot(features, columns, input_precision=PRECISION) * SCALE
        lower = logits + (tl.load(bias + first + tap)[None, :] - top[:, None])
        # Never less than a normal number: all that a pixel prefers may be masked.
        power = tl.exp2(tl.maximum(lower, tl.load(least + first + tap)[None, :]))
        at = source[:, None] + tl.load(offsets + first + tap)[None, :] * 2
        red_green = tl.load(at)
        blue_mask = tl.load(at + 1)
        red += power * (red_green & 0xFFFFFFFF).to(tl.int32).to(tl.float32, bitcast=True)
        green += power * (red_green >> 32).to(tl.int32).to(tl.float32, bitcast=True)
        blue += power * (blue_mask & 0xFFFFFFFF).to(tl.int32).to(tl.float32, bitcast=True)
        weight += power * (blue_mask >> 32).to(tl.int32).to(tl.float32, bitcast=True)

    # The frames so far and this one, each relative to its own largest logit.
    place = sums + image * 4 * count + pixel
    before = tl.load(place + 3 * count, mask=there, other=0.0)
    now = tl.where(base_pixel >= 0, tl.sum(weight, axis=1), 0.0)
    former = tl.where(before > 0, tl.load(peak + row, mask=there, other=0.0), NOTHING)
    current = tl.where(now > 0, top / SCALE, NOTHING)
    higher = tl.maximum(former, current)
    keep = tl.where(before > 0, tl.exp(former - higher), 0.0)
    add = tl.where(now > 0, tl.exp(current - higher), 0.0)
    tl.store(place + 3 * count, before * keep + now * add, mask=there)
    old = tl.load(place, mask=there, other=0.0)
    tl.store(place, old * keep + tl.sum(red, axis=1) * add, mask=there)
    old = tl.load(place + count, mask=there, other=0.0)
    tl.store(place + count, old * keep + tl.sum(green, axis=1) * add, mask=there)
    old = tl.load(place + 2 * count, mask=there, other=0.0)
    tl.store(place + 2 * count, old * keep + tl.sum(blue, axis=1) * add, mask=there)
    tl.store(peak + row, higher, mask=there)
