"""The device code of `ops.fused_planes`, in Triton's language."""

import triton
import triton.language as tl

from kpcn_core.ops.fused_pixels_kernel import at_least, at_most, finite, is_finite, read

# What a plane can be made of its image.
NOTHING, ONE, VALUE, LOGARITHM, DEVIATION = (tl.constexpr(kind) for kind in range(5))


@triton.jit
def planes_kernel(
    images, out, height, width, grown_width, count,
    KINDS: tl.constexpr, IMAGES: tl.constexpr, CHANNELS: tl.constexpr,
    DEPTH: tl.constexpr, LEVELS: tl.constexpr, FOLD: tl.constexpr, EPSILON: tl.constexpr,
    TILE: tl.constexpr,
):  # fmt: skip
    """One tile of pixels, with all of their planes; 0 beyond the images, but for ONE.

    Args:
        images: what planes are made of, each of `height` rows of `width` pixels.
        out: cell by cell of FOLD**2 pixels, which lie plane by plane [count/FOLD**2,DEPTH*FOLD**2].
        height: of the images.
        width: of the images.
        grown_width: of the result.
        count: pixels of the result.
        KINDS: what each plane is, and after those NOTHING; 2**LEVELS of them.
        IMAGES: which of the images it is made of; of a DEVIATION the mean, before the variance.
        CHANNELS: which channel of it.
        DEPTH: how many planes there are.
        LEVELS: its logarithm, rounded up.
        FOLD: pixels of a cell along each side.
        EPSILON: floor of the squared mean of a DEVIATION.
        TILE: pixels of a program.
    """
    pixel = tl.program_id(0) * TILE + tl.arange(0, TILE)
    row = pixel // grown_width
    column = pixel % grown_width
    there = (row < height) & (column < width)
    planes = ()
    for index in tl.static_range(2**LEVELS):
        found = _made(
            images, row, column, there,
            KINDS[index], IMAGES[index], CHANNELS[index], EPSILON, TILE,
        )  # fmt: skip
        planes = planes + (found.to(out.dtype.element_ty),)
    together = _together(planes, LEVELS, TILE)
    depth = tl.arange(0, 2**LEVELS)
    cell = (row // FOLD).to(tl.int64) * (grown_width // FOLD) + column // FOLD
    inner = row % FOLD * FOLD + column % FOLD
    place = (cell[:, None] * DEPTH + depth[None, :]) * (FOLD * FOLD) + inner[:, None]
    tl.store(out + place, together, mask=(pixel < count)[:, None] & (depth < DEPTH)[None, :])


@triton.jit
def _together(planes, LEVELS: tl.constexpr, TILE: tl.constexpr):
    """2**LEVELS planes of the same pixels as [TILE,2**LEVELS].

    Each thread has all planes of its pixels; so they are stored pixel by pixel, many at a time.
    """
    for level in tl.static_range(LEVELS):
        planes = _halved(planes, 2 ** (LEVELS - 1 - level))
    return tl.reshape(planes[0], [TILE, 2**LEVELS])


@triton.jit
def _halved(planes, HALF: tl.constexpr):
    """Each of the first half of some planes, joined with the one so far behind it."""
    joined = ()
    for index in tl.static_range(HALF):
        joined = joined + (tl.join(planes[index], planes[index + HALF]),)
    return joined


@triton.jit
def _made(
    images, row, column, there,
    KIND: tl.constexpr, IMAGE: tl.constexpr, CHANNEL: tl.constexpr, EPSILON: tl.constexpr,
    TILE: tl.constexpr,
):  # fmt: skip
    """One plane of a tile of pixels."""
    if KIND == NOTHING:
        found = tl.zeros([TILE], tl.float32)
    elif KIND == ONE:
        found = tl.full([TILE], 1.0, tl.float32)
    elif KIND == DEVIATION:
        square = tl.full([TILE], EPSILON, tl.float32)
        variance = tl.zeros([TILE], tl.float32)
        for channel in tl.static_range(3):
            mean = finite(read(images[IMAGE], channel, row, column, there))
            square += mean * mean
            spread = finite(read(images[IMAGE + 1], channel, row, column, there))
            variance += at_least(spread, 0.0)
        found = tl.sqrt(at_most(variance / square, 1.0))
    else:
        found = finite(read(images[IMAGE], CHANNEL, row, column, there))
        if KIND == LOGARITHM:
            found = _signed_log(found)
    return found


@triton.jit
def _signed_log(value):
    """sign(x) log(1+|x|), exact to a few bits for small values as well."""
    size = tl.abs(value)
    more = 1.0 + size
    # What 1 + x loses of x, the quotient gives back.
    part = more - 1.0
    log = tl.where(part > 0, tl.log(more) * (size / tl.where(part > 0, part, 1.0)), size)
    return tl.where(value < 0, -log, log)


@triton.jit
def coarser_kernel(
    image, valid, result, found, height, width, low_height, low_width,
    VARIANCE: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """One tile of blocks of 2x2 pixels of one channel; see `pyramid.down`.

    Args:
        image: of `height` rows of `width` pixels; 0 beyond.
        valid: its mask of one channel, 0 beyond; None: what is finite counts, and what is beyond.
        result: means of the blocks' pixels [C,low_height,low_width]; 0 where none counts.
        found: the result's mask [low_height,low_width]; or None.
        height: of the image.
        width: of the image.
        low_height: of the result.
        low_width: of the result.
        VARIANCE: whether the result is the variance of a mean.
        TILE: blocks of a program.
    """
    channel = tl.program_id(1)
    block = tl.program_id(0) * TILE + tl.arange(0, TILE)
    inside = block < low_height * low_width
    total = tl.zeros([TILE], tl.float32)
    number = tl.zeros([TILE], tl.float32)
    for quarter in tl.static_range(4):
        row = 2 * (block // low_width) + quarter // 2
        column = 2 * (block % low_width) + quarter % 2
        there = inside & (row < height) & (column < width)
        value = read(image, channel, row, column, there)
        counts = is_finite(value)
        if valid is not None:
            counts = read(valid, 0, row, column, there) != 0
        total += tl.where(counts, value, 0.0)
        number += tl.where(counts, 1.0, 0.0)
    divisor = at_least(number, 1.0)
    total = total / divisor
    if VARIANCE:
        total = total / divisor
    tl.store(result + channel * low_height * low_width + block, total, mask=inside)
    if found is not None:
        # Every channel's program writes the same.
        tl.store(found + block, tl.where(number > 0, 1.0, 0.0), mask=inside)
