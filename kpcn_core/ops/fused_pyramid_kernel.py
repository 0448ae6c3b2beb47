"""The device code of `ops.fused_pyramid`, in Triton's language."""

import triton
import triton.language as tl


@triton.jit
def mask_kernel(radiance, valid, result, count, CHANNELS: tl.constexpr, TILE: tl.constexpr):
    """One tile of pixels with their mask.

    Args:
        radiance: of each pixel [B,CHANNELS,count].
        valid: [B,1,count].
        result: 0 where not valid, and as last plane what is valid [B,CHANNELS+1,count].
        count: pixels of an image.
        CHANNELS: of the radiance.
        TILE: pixels of a program.
    """
    image = tl.program_id(1).to(tl.int64)
    pixel = tl.program_id(0) * TILE + tl.arange(0, TILE)
    there = pixel < count
    mask = tl.load(valid + image * count + pixel, mask=there, other=0.0)
    result += image * (CHANNELS + 1) * count + pixel
    for channel in tl.static_range(CHANNELS):
        place = radiance + (image * CHANNELS + channel) * count + pixel
        found = tl.load(place, mask=there & (mask > 0), other=0.0)
        tl.store(result + channel * count, found, mask=there)
    tl.store(result + CHANNELS * count, mask, mask=there)


@triton.jit
def halve_kernel(fine, result, width, count, CHANNELS: tl.constexpr, TILE: tl.constexpr):
    """One tile of coarse pixels: the means of the valid ones of four, and whether there are any.

    Args:
        fine: an image with its mask [B,CHANNELS+1,4*count].
        result: the coarser one [B,CHANNELS+1,count].
        width: of that.
        count: pixels of that.
        CHANNELS: beside the mask.
        TILE: pixels of a program.
    """
    image = tl.program_id(1).to(tl.int64)
    pixel = tl.program_id(0) * TILE + tl.arange(0, TILE)
    there = pixel < count
    corner = 4 * (pixel // width) * width + 2 * (pixel % width)
    fine += image * (CHANNELS + 1) * 4 * count + corner
    result += image * (CHANNELS + 1) * count + pixel
    weight = _four(fine + CHANNELS * 4 * count, width, there)
    divisor = tl.where(weight > 0, weight, 1.0)
    for channel in tl.static_range(CHANNELS):
        found = _four(fine + channel * 4 * count, width, there) / divisor
        tl.store(result + channel * count, found, mask=there)
    tl.store(result + CHANNELS * count, tl.where(weight > 0, 1.0, 0.0), mask=there)


@triton.jit
def _four(place, width, there):
    """The sum of a pixel, the one beside it and the two below."""
    found = tl.load(place, mask=there, other=0.0) + tl.load(place + 1, mask=there, other=0.0)
    place += 2 * width
    found += tl.load(place, mask=there, other=0.0)
    return found + tl.load(place + 1, mask=there, other=0.0)
