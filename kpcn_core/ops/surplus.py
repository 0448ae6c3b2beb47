"""What `restoration` measures of every pixel, in one pass, for CPUs; compiled (`ops.compiler`).

Images are float32, a plane [h,w] for each channel. The loops over pixels are the innermost, and
free of conditions: so they become vector instructions.
"""

import numpy as np
from numpy.typing import NDArray

from kpcn_core.ops.compiler import compiled, part

Floats = NDArray[np.float32]
Planes = tuple[Floats, ...]

ZERO, ONE, THIRD = np.float32(0.0), np.float32(1.0), np.float32(1 / 3)
TINY = np.float32(1e-12)
FEWEST = np.float32(2.0)  # samples that a variance can be of
EXPONENT = np.int32(0x7F800000)  # its bits are all set where a number is not finite


@compiled
def relative_squares(
    noisy: Planes,
    denoised: Planes,
    variance: Planes,
    count: Floats,
    dark: float,
    first: int,
    last: int,
    noise: Floats,
    seen: Floats,
    usable: Floats,
) -> None:
    """Variances and squared differences of rows `first` to `last`, relative to the brightness.

    Args:
        noisy: the planes of each channel [h,w].
        denoised: likewise.
        variance: of the noisy pixels; what is not finite counts as 0.
        count: samples a pixel [h,w].
        dark: brightness below which nothing is relative to it.
        first: row.
        last: row after the last one.
        noise: the first result [h,w]; 0 where a pixel is not usable.
        seen: the second.
        usable: 1 where pixels are finite, and of two samples or more, else 0.
    """
    width = usable.shape[1]
    least = np.float32(dark * dark)
    weight, square = np.empty(width, np.float32), np.empty(width, np.float32)
    for y in range(first, last):
        there, samples = usable[y], count[y]
        weight[:] = square[:] = ZERO
        for i in range(width):
            there[i] = ONE if samples[i] >= FEWEST else ZERO
        for channel in range(len(noisy)):
            mean, clean = noisy[channel][y], denoised[channel][y]
            before, after = mean.view(np.int32), clean.view(np.int32)
            for i in range(width):
                known = ((before[i] & EXPONENT) != EXPONENT) & ((after[i] & EXPONENT) != EXPONENT)
                there[i] = there[i] if known else ZERO
                weight[i] += THIRD * max(clean[i], ZERO)
                square[i] += (mean[i] - clean[i]) * (mean[i] - clean[i])
        found = seen[y]
        for i in range(width):
            weight[i] = ONE / (weight[i] * weight[i] + least)
            found[i] = square[i] * weight[i] if there[i] > ZERO else ZERO
        square[:] = ZERO
        for channel in range(len(variance)):
            spread = variance[channel][y]
            bits = spread.view(np.int32)
            for i in range(width):
                known = (bits[i] & EXPONENT) != EXPONENT
                square[i] += max(spread[i] if known else ZERO, ZERO)
        found = noise[y]
        for i in range(width):
            found[i] = square[i] * weight[i] if there[i] > ZERO else ZERO


@compiled
def shares(
    noise: Floats,
    seen: Floats,
    floor: Floats,
    pool: int,
    count: Floats,
    times: float,
    doubt: float,
    usable: Floats,
    weights: Floats,
    first: int,
    last: int,
    out: Floats,
) -> None:
    """Rows `first` to `last` of the shares that noise does not explain, 0 to 1.

    Args:
        noise: of `relative_squares`, the whole image [h,w].
        seen: likewise.
        floor: the least noise, of squares of pixels [h/pool,w/pool].
        pool: the side of those squares.
        count: samples a pixel [h,w].
        times: this + doubt / sqrt(count) times the noise must be seen.
        doubt: see there.
        usable: of `relative_squares`.
        weights: of the pixels around, in each direction [k], k odd.
        first: row.
        last: row after the last one.
        out: the result [h,w].
    """
    width, half = noise.shape[1], len(weights) // 2
    line = np.empty(width + 2 * half, np.float32)
    fewest, most = np.float32(times), np.float32(doubt)
    least, mean, square = (
        np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    )  # fmt: skip
    for y in range(first, last):
        _around(noise, y, weights, line, mean)
        _around(seen, y, weights, line, square)
        for i in range(width):
            least[i] = floor[y // pool, i // pool]
        samples, there, result = count[y], usable[y], out[y]
        for i in range(width):
            doubts = fewest + most / np.sqrt(max(samples[i], ONE))
            share = ONE - doubts * max(mean[i], least[i]) / (square[i] + TINY)
            result[i] = max(share, ZERO) * there[i]


@part
def _around(image: Floats, y: int, weights: Floats, line: Floats, mean: Floats) -> None:
    """Weighted means of the pixels around those of a row; edge pixels go on beyond the image."""
    height, width = image.shape
    half = len(weights) // 2
    inner = line[half : half + width]
    for i in range(width):
        inner[i] = mean[i] = ZERO
    for k in range(2 * half + 1):
        row, weight = image[min(max(y + k - half, 0), height - 1)], weights[k]
        for i in range(width):
            inner[i] += weight * row[i]
    for k in range(half):
        line[k] = inner[0]
        line[half + width + k] = inner[width - 1]
    for k in range(2 * half + 1):
        shifted, weight = line[k : k + width], weights[k]
        for i in range(width):
            mean[i] += weight * shifted[i]
