"""The device code of `ops.fused_components`, in Triton's language."""

import triton
import triton.language as tl

from kpcn_core.ops.fused_pixels_kernel import at_least, finite, is_finite


@triton.jit
def luminance_kernel(color, blocks, height, width, across, SIDE: tl.constexpr):
    """One block of SIDE x SIDE pixels; at the border, what there is of it.

    Args:
        color: [3,height,width].
        blocks: their mean luminances, row by row.
        height: of the image.
        width: of the image.
        across: blocks side by side.
        SIDE: of a block, a power of 2.
    """
    block = tl.program_id(0)
    place = tl.arange(0, SIDE * SIDE)
    row = block // across * SIDE + place // SIDE
    column = block % across * SIDE + place % SIDE
    there = (row < height) & (column < width)
    total = tl.zeros([SIDE * SIDE], tl.float32)
    for channel in tl.static_range(3):
        at = (channel * height + row) * width + column
        total += finite(tl.load(color + at, mask=there, other=0.0))
    luminance = at_least(total / 3, 0.0)
    mean = tl.sum(luminance, axis=0) / tl.sum(there.to(tl.float32), axis=0)
    tl.store(blocks + block, mean)


@triton.jit
def exposure_kernel(
    blocks, gain, count, BLACK: tl.constexpr, GREY: tl.constexpr, TILE: tl.constexpr
):
    """The exposure of an image, by one program.

    Args:
        blocks: mean luminances [count].
        gain: one number.
        count: how many blocks there are.
        BLACK: luminance of a block that does not count.
        GREY: what the geometric mean becomes.
        TILE: blocks that are summed at a time.
    """
    logs = tl.zeros([TILE], tl.float32)
    lit = tl.zeros([TILE], tl.float32)
    for first in range(0, count, TILE):
        place = first + tl.arange(0, TILE)
        value = tl.load(blocks + place, mask=place < count, other=0.0)
        logs += tl.where(value > BLACK, tl.log(at_least(value, BLACK)), 0.0)
        lit += tl.where(value > BLACK, 1.0, 0.0)
    number = tl.sum(lit, axis=0)
    mean = tl.exp(tl.sum(logs, axis=0) / at_least(number, 1.0))
    tl.store(gain, GREY / tl.where(number > 0, mean, GREY))


@triton.jit
def component_kernel(
    image, less, lesser, variance, gain, albedo, radiance, spread, valid, count,
    EPSILON: tl.constexpr, TILE: tl.constexpr,
):  # fmt: skip
    """One tile of pixels of one component; see `features.component`.

    Args:
        image: [3,count].
        less: is subtracted from it, or None.
        lesser: is subtracted from that, or None.
        variance: of the image, or None.
        gain: one number, or None.
        albedo: what the image is divided by, or None.
        radiance: result [3,count].
        spread: its variance, or None.
        valid: 1 where it is finite, else 0 [count].
        count: pixels.
        EPSILON: what is added to an albedo.
        TILE: pixels of a program.
    """
    pixel = tl.program_id(0) * TILE + tl.arange(0, TILE)
    there = pixel < count
    known = there
    colors = ()
    factors = ()
    for channel in tl.static_range(3):
        at = channel * count + pixel
        factor = tl.full([TILE], 1.0, tl.float32)
        if gain is not None:
            factor *= tl.load(gain)
        if albedo is not None:
            reflected = tl.load(albedo + at, mask=there, other=0.0)
            factor = tl.div_rn(factor, at_least(reflected, 0.0) + EPSILON)
        color = tl.load(image + at, mask=there, other=0.0)
        if less is not None:
            color -= tl.load(less + at, mask=there, other=0.0)
        if lesser is not None:
            color -= tl.load(lesser + at, mask=there, other=0.0)
        color *= factor
        known = known & is_finite(color)
        colors = colors + (color,)
        factors = factors + (factor,)
    for channel in tl.static_range(3):
        at = channel * count + pixel
        tl.store(radiance + at, tl.where(known, colors[channel], 0.0), mask=there)
        if variance is not None:
            value = tl.load(variance + at, mask=there, other=0.0)
            value *= factors[channel] * factors[channel]
            tl.store(spread + at, finite(value), mask=there)
    tl.store(valid + pixel, tl.where(known, 1.0, 0.0), mask=there)
