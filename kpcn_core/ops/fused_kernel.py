"""The device code of `ops.fused`, in Triton's language."""

import triton
import triton.language as tl

# Below every logit, and still a number.
NOTHING = tl.constexpr(-1e30)


@triton.jit(do_not_specialize=["first", "row_start", "column_start"])
def share_kernel(
    rows, matrix, bias, pixels, base, before, former, sums, peak,
    count, width, stride, image_stride, planes, first, row_start, column_start,
    CHANNELS: tl.constexpr, PADDED: tl.constexpr, SIDE: tl.constexpr, COLORS: tl.constexpr,
    MOVES: tl.constexpr, ADDS: tl.constexpr, TILE_PIXELS: tl.constexpr, TILE_TAPS: tl.constexpr,
    LEAST: tl.constexpr, SCALE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One tile of pixels of one image; logits are times SCALE = log2(e).

    Two passes over the taps: the largest logit needs no color, and the sums then need no rescaling,
    whose reductions across lanes would cost more than the second matrix product. Sums stay one for
    each lane of taps until the end, for the same reason.

    Args:
        rows: features of each pixel [B,count,CHANNELS].
        matrix: the layer [SIDE**2,CHANNELS].
        bias: [SIDE**2].
        pixels: (r, g) and (b, mask) of each pixel as two int64, with a border [B,image_stride/2,2].
        base: a kernel's first pixel, or -1 [B,count]; not read where kernels stay in place.
        before: sums and weights of the frames so far [B,planes,count].
        former: what those are relative to [B,count].
        sums: the same of all [B,planes,count].
        peak: likewise [B,count].
        count: pixels of an image.
        width: of an image.
        stride: from a row of `pixels` to the next, in pixels.
        image_stride: int64 numbers of an image in `pixels`.
        planes: of the sums, the last of which are the weights.
        first: of the colors among them.
        row_start: row in `pixels` of the first kernel in place.
        column_start: its column.
        CHANNELS: of the features.
        PADDED: the same, or more, a power of 2.
        SIDE: of the kernels.
        COLORS: how many are summed, 1 to 3.
        MOVES: whether kernels start at `base`.
        ADDS: whether there are frames so far.
        TILE_PIXELS: pixels of a program.
        TILE_TAPS: taps that it takes at a time.
        LEAST: what a logit counts for at least, beside the largest, times SCALE.
        SCALE: log2(e).
        PRECISION: of the products of float32, as `tl.dot` calls it.
    """
    image = tl.program_id(1).to(tl.int64)
    pixel = tl.program_id(0) * TILE_PIXELS + tl.arange(0, TILE_PIXELS)
    there = pixel < count
    channel = tl.arange(0, PADDED)
    filled = channel < CHANNELS
    lane = tl.arange(0, TILE_TAPS)
    row = image * count + pixel
    features = tl.load(
        rows + row[:, None] * CHANNELS + channel[None, :],
        mask=there[:, None] & filled[None, :],
        other=0.0,
    )

    highest = tl.full([TILE_PIXELS, TILE_TAPS], NOTHING, tl.float32)
    for start in range(0, SIDE * SIDE, TILE_TAPS):
        tap = start + lane
        logits, line = _logits(
            features, matrix, bias, tap, tap < SIDE * SIDE, CHANNELS, PADDED, PRECISION
        )
        highest = tl.maximum(highest, logits + line[None, :])
    top = tl.max(highest, axis=1) * SCALE

    if MOVES:
        base_pixel = tl.load(base + row, mask=there, other=-1)
    else:
        base_pixel = (pixel // width + row_start) * stride + pixel % width + column_start
        base_pixel = tl.where(there, base_pixel, -1)
    source = pixels + image * image_stride + tl.maximum(base_pixel, 0).to(tl.int64) * 2
    red = tl.zeros([TILE_PIXELS, TILE_TAPS], tl.float32)
    green = tl.zeros([TILE_PIXELS, TILE_TAPS], tl.float32)
    blue = tl.zeros([TILE_PIXELS, TILE_TAPS], tl.float32)
    weight = tl.zeros([TILE_PIXELS, TILE_TAPS], tl.float32)
    for start in range(0, SIDE * SIDE, TILE_TAPS):
        tap = start + lane
        logits, line = _logits(
            features, matrix, bias, tap, tap < SIDE * SIDE, CHANNELS, PADDED, PRECISION
        )
        lower = logits * SCALE + (line[None, :] * SCALE - top[:, None])
        # Never less than a normal number: all that a pixel prefers may be masked.
        power = tl.exp2(tl.maximum(lower, tl.where(tap < SIDE * SIDE, LEAST, NOTHING)[None, :]))
        offset = tl.where(tap < SIDE * SIDE, tap // SIDE * stride + tap % SIDE, 0)
        at = source[:, None] + offset[None, :] * 2
        red_green = tl.load(at)
        blue_mask = tl.load(at + 1)
        red += power * (red_green & 0xFFFFFFFF).to(tl.int32).to(tl.float32, bitcast=True)
        green += power * (red_green >> 32).to(tl.int32).to(tl.float32, bitcast=True)
        blue += power * (blue_mask & 0xFFFFFFFF).to(tl.int32).to(tl.float32, bitcast=True)
        weight += power * (blue_mask >> 32).to(tl.int32).to(tl.float32, bitcast=True)

    # The frames so far and this one, each relative to its own largest logit.
    now = tl.where(base_pixel >= 0, tl.sum(weight, axis=1), 0.0)
    higher = tl.where(now > 0, top / SCALE, NOTHING)
    keep, add = tl.zeros_like(now), tl.where(now > 0, 1.0, 0.0)
    last = (image * planes + planes - 1) * count + pixel
    old = tl.zeros_like(now)
    if ADDS:
        old = tl.load(before + last, mask=there, other=0.0)
        earlier = tl.where(old > 0, tl.load(former + row, mask=there, other=0.0), NOTHING)
        current = higher
        higher = tl.maximum(earlier, current)
        keep = tl.where(old > 0, tl.exp(earlier - higher), 0.0)
        add = tl.where(now > 0, tl.exp(current - higher), 0.0)
    tl.store(sums + last, old * keep + now * add, mask=there)
    tl.store(peak + row, higher, mask=there)
    place = (image * planes + first) * count + pixel
    _sum(place, red, before, keep, add, sums, there, ADDS)
    if COLORS > 1:
        _sum(place + count, green, before, keep, add, sums, there, ADDS)
    if COLORS > 2:
        _sum(place + 2 * count, blue, before, keep, add, sums, there, ADDS)


@triton.jit
def _logits(
    features, matrix, bias, tap, there,
    CHANNELS: tl.constexpr, PADDED: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Products of features for some taps [TILE_PIXELS,TILE_TAPS], and what is added [TILE_TAPS]."""
    channel = tl.arange(0, PADDED)
    columns = tl.load(
        matrix + tap[None, :] * CHANNELS + channel[:, None],
        mask=there[None, :] & (channel < CHANNELS)[:, None],
        other=0.0,
    )
    line = tl.load(bias + tap, mask=there, other=NOTHING)
    return tl.dot(features, columns, input_precision=PRECISION), line


@triton.jit
def _sum(place, color, before, keep, add, sums, there, ADDS: tl.constexpr):
    """One color of the frames so far, and of this one."""
    found = tl.sum(color, axis=1) * add
    if ADDS:
        found += tl.load(before + place, mask=there, other=0.0) * keep
    tl.store(sums + place, found, mask=there)


@triton.jit(do_not_specialize=["first"])
def pack_kernel(
    image, packed, height, width, planes, first,
    RADIUS: tl.constexpr, COLORS: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """One tile of pixels as four numbers side by side, in a border of pixels that count nothing.

    Args:
        image: colors, and as last plane their mask [B,planes,height,width].
        packed: three colors and the mask [B,height+2*RADIUS,width+2*RADIUS,4].
        height: of the image.
        width: likewise.
        planes: likewise.
        first: of the colors that are packed.
        RADIUS: of the border.
        COLORS: how many there are, 1 to 3; the others are 0.
        TILE: pixels of a program.
    """
    number = tl.program_id(1).to(tl.int64)
    pixel = tl.program_id(0) * TILE + tl.arange(0, TILE)
    stride = width + 2 * RADIUS
    count = stride * (height + 2 * RADIUS)
    row, column = pixel // stride - RADIUS, pixel % stride - RADIUS
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width) & (pixel < count)
    plane = height * width
    place = row * width + column
    color = tl.arange(0, 4)
    which = tl.where(color < 3, first + color, planes - 1)
    known = (color < COLORS) | (color == 3)
    found = tl.load(
        image + number * planes * plane + which[None, :] * plane + place[:, None],
        mask=inside[:, None] & known[None, :],
        other=0.0,
    )
    at = (number * count + pixel[:, None]) * 4 + color[None, :]
    tl.store(packed + at, found, mask=(pixel < count)[:, None])
