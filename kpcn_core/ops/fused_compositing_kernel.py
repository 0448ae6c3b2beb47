"""The device code of `ops.fused_compositing`, in Triton's language."""

import triton
import triton.language as tl

from kpcn_core.ops.fused_pixels_kernel import at_least, is_finite, read, tile


@triton.jit
def compose_kernel(
    specular, specular_factor, emission, emission_factor, irradiance, irradiance_factor, albedo,
    gain, found, height, width, epsilon, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """One tile of pixels of three channels: the sum of the components.

    Args:
        specular: an image of three channels, like the other components.
        specular_factor: one number that it is multiplied by, or None, like the other factors.
        emission: or None.
        emission_factor: likewise.
        irradiance: or None.
        irradiance_factor: likewise.
        albedo: that the irradiance is multiplied by as well.
        gain: one number, that the sum is divided by.
        found: the result [3,height,width].
        height: of the images.
        width: of the images.
        epsilon: added to the albedo.
        ROWS: of a tile.
        COLUMNS: of a tile.
    """
    row, column = tile(ROWS, COLUMNS)
    there = (row < height) & (column < width)
    exposure = tl.load(gain)
    for channel in tl.static_range(3):
        light = _gained(specular, specular_factor, channel, row, column, there)
        if emission is not None:
            light += _gained(emission, emission_factor, channel, row, column, there)
        if irradiance is not None:
            surface = at_least(read(albedo, channel, row, column, there), 0.0) + epsilon
            light += surface * _gained(irradiance, irradiance_factor, channel, row, column, there)
        pixel = channel * height * width + row * width + column
        tl.store(found + pixel, light / exposure, mask=there)


@triton.jit
def _gained(image, factor, channel, row, column, there):
    """Pixels times a factor, where there is one."""
    pixels = read(image, channel, row, column, there)
    if factor is not None:
        pixels = pixels * tl.load(factor)
    return pixels


@triton.jit
def keep_kernel(
    result, noisy, share, found, height, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):  # fmt: skip
    """One tile of pixels of one channel: a result with its share of the input.

    Args:
        result: an image; where it is NaN, the input stays.
        noisy: the input; what is not finite is not given back.
        share: of the difference between both, an image of one channel; or None.
        found: [C,height,width].
        height: of the images.
        width: of the images.
        ROWS: of a tile.
        COLUMNS: of a tile.
    """
    row, column = tile(ROWS, COLUMNS)
    there = (row < height) & (column < width)
    channel = tl.program_id(2)
    clean = read(result, channel, row, column, there)
    mean = read(noisy, channel, row, column, there)
    pixels = clean
    if share is not None:
        part = read(share, 0, row, column, there)
        difference = mean - clean
        # From the nearer end, so that all or nothing is exactly that.
        given = tl.where(part < 0.5, clean + part * difference, mean - (1 - part) * difference)
        pixels = tl.where((part > 0) & is_finite(mean), given, pixels)
    # Only NaN differs from itself.
    pixels = tl.where(pixels != pixels, mean, pixels)
    tl.store(found + channel * height * width + row * width + column, pixels, mask=there)
