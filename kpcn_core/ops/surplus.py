"""What `restoration` measures of every pixel, in one pass, for CPUs; compiled (`ops.compiler`).

Arrays are float32 images [C,h,w] or planes [h,w]. The loops over pixels are the innermost, and free
of conditions: so they become vector instructions.
"""

import numpy as np
from numpy.typing import NDArray

from kpcn_core.ops.compiler import compiled, part

Floats = NDArray[np.float32]

ZERO, ONE, THIRD = np.float32(0.0), np.float32(1.0), np.float32(1 / 3)
TINY = np.float32(1e-12)
EXPONENT = np.int32(0x7F800000)  # its bits are all set where a number is not finite


@compiled
def relative_squares(
    noisy: Floats,
    denoised: Floats,
    variance: Floats,
    usable: Floats,
    dark: float,
    first: int,
    last: int,
    noise: Floats,
    seen: Floats,
) -> None:
    """Variances and squared differences of rows `first` to `last`, relative to the brightness.

    Args:
        noisy: [3,h,w].
        denoised: likewise.
        variance: of the noisy pixels; finite.
        usable: 1 where pixels are finite and their variances known, else 0 [h,w].
        dark: brightness below which nothing is relative to it.
        first: row.
        last: row after the last one.
        noise: the first result [h,w]; 0 where a pixel is not usable.
        seen: the second.
    """
    width = usable.shape[1]
    weight = np.empty(width, np.float32)
    least = np.float32(dark * dark)
    for y in range(first, last):
        there = usable[y]
        d0, d1, d2 = denoised[0, y], denoised[1, y], denoised[2, y]
        for i in range(width):
            bright = THIRD * (max(d0[i], ZERO) + max(d1[i], ZERO) + max(d2[i], ZERO))
            weight[i] = ONE / (bright * bright + least)
        n0, n1, n2, found = noisy[0, y], noisy[1, y], noisy[2, y], seen[y]
        for i in range(width):
            e0, e1, e2 = n0[i] - d0[i], n1[i] - d1[i], n2[i] - d2[i]
            square = (e0 * e0 + e1 * e1 + e2 * e2) * weight[i]
            found[i] = square if there[i] > ZERO else ZERO
        v0, v1, v2, found = variance[0, y], variance[1, y], variance[2, y], noise[y]
        for i in range(width):
            square = (max(v0[i], ZERO) + max(v1[i], ZERO) + max(v2[i], ZERO)) * weight[i]
            found[i] = square if there[i] > ZERO else ZERO


@compiled
def light_sums(
    noisy: Floats,
    denoised: Floats,
    variance: Floats,
    before: Floats,
    after: Floats,
    first: int,
    last: int,
    sums: NDArray[np.float64],
) -> None:
    """Light of rows `first` to `last`: kept, lost, and the variance of that, added up.

    Args:
        noisy: [3,h,w].
        denoised: likewise; what is not finite counts nothing.
        variance: of the noisy pixels.
        before: what the noisy pixels are multiplied by [3,h,w]; [3,0,0] for 1.
        after: what the denoised ones are multiplied by.
        first: row.
        last: row after the last one.
        sums: the result [h,3].
    """
    width = noisy.shape[2]
    numbers, ones = denoised.view(np.int32), np.ones(width, np.float32)
    for y in range(first, last):
        kept = lost = squared = np.float64(0.0)
        for channel in range(len(noisy)):
            was = before[channel, y] if before.shape[1] else ones
            now = after[channel, y] if after.shape[1] else ones
            mean, clean, bits = noisy[channel, y], denoised[channel, y], numbers[channel, y]
            spread = variance[channel, y]
            for i in range(width):
                there = (bits[i] & EXPONENT) != EXPONENT
                light = clean[i] * now[i]
                kept += np.float64(light if there else ZERO)
                lost += np.float64(mean[i] * was[i] - light if there else ZERO)
                squared += np.float64(max(spread[i], ZERO) * was[i] * was[i] if there else ZERO)
        sums[y, 0], sums[y, 1], sums[y, 2] = kept, lost, squared


@compiled
def shares(
    noise: Floats,
    seen: Floats,
    floor: Floats,
    pool: int,
    doubt: Floats,
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
        doubt: how much more than the noise must be seen [h,w].
        usable: [h,w].
        weights: of the pixels around, in each direction [k], k odd.
        first: row.
        last: row after the last one.
        out: the result [h,w].
    """
    width, half = noise.shape[1], len(weights) // 2
    line = np.empty(width + 2 * half, np.float32)
    least, mean, square = (
        np.empty(width, np.float32), np.empty(width, np.float32), np.empty(width, np.float32)
    )  # fmt: skip
    for y in range(first, last):
        _around(noise, y, weights, line, mean)
        _around(seen, y, weights, line, square)
        for i in range(width):
            least[i] = floor[y // pool, i // pool]
        doubts, there, result = doubt[y], usable[y], out[y]
        for i in range(width):
            share = ONE - doubts[i] * max(mean[i], least[i]) / (square[i] + TINY)
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
