"""What `structure` does with every pixel, in one pass each, for CPUs; compiled (`ops.compiler`).

Images are float32, a plane [h,w] for each channel. The loops over pixels are the innermost, and
free of conditions: so they become vector instructions.
"""

import numpy as np
from numpy.typing import NDArray

from kpcn_core.ops.compiler import compiled, part

Floats = NDArray[np.float32]
Planes = tuple[Floats, ...]

ZERO, HALF, ONE, THIRD = (np.float32(value) for value in (0, 0.5, 1, 1 / 3))
EXPONENT = np.int32(0x7F800000)  # its bits are all set where a number is not finite


@compiled
def sum_products(
    noisy: Planes,
    denoised: Planes,
    guides: Planes,
    single: int,
    share: float,
    dark: float,
    most: float,
    side: int,
    row: int,
    out: Floats,
) -> None:
    """Means over the squares of one row of them; see `structure._fitted`.

    Args:
        noisy: the planes of each of three channels; pixels that are not finite count nothing.
        denoised: likewise.
        guides: planes that guides are made of; what is not finite counts as 0.
        single: how many of them are guides by themselves; the mean of the others is one more.
        share: of that mean.
        dark: added to the brightness of the denoised pixels.
        most: how far a relative difference counts.
        side: of the squares.
        row: of squares.
        out: the result [P,h/side,w/side].
    """
    height, width = noisy[0].shape
    count = single + min(len(guides) - single, 1) + 2
    black, limit = np.float32(dark), np.float32(most)
    columns = -(-width // side)
    lines = np.zeros((len(out), columns * side), np.float32)
    one = np.empty((count, width), np.float32)
    there, light = one[0], np.empty(width, np.float32)
    for y in range(side * row, min(side * row + side, height)):
        _differences(noisy, denoised, y, black, limit, there, light, one[count - 1])
        _guide_rows(guides, single, share, y, one[1 : count - 1])
        for guide in range(1, count - 1):
            line = one[guide]
            for i in range(width):
                line[i] *= there[i]
        index = 0
        for first in range(count):
            for second in range(first, count):
                left, right, sums = one[first], one[second], lines[index]
                for i in range(width):
                    sums[i] += left[i] * right[i]
                index += 1
        for guide in range(count - 1):
            left, sums = one[guide], lines[index + guide]
            for i in range(width):
                sums[i] += light[i] * left[i]
    for index in range(len(out)):
        _pooled(lines[index], side, out[index, row])


@part
def _differences(
    noisy: Planes,
    denoised: Planes,
    y: int,
    dark: np.float32,
    most: np.float32,
    there: Floats,
    light: Floats,
    taken: Floats,
) -> None:
    """The brightness of a row, and what denoising took from it, relative to that.

    Both are 0 where a pixel is not there, which is 1 or 0.
    """
    width = len(there)
    there[:], light[:], taken[:] = ONE, ZERO, ZERO
    for channel in range(len(noisy)):
        mean, clean = noisy[channel][y], denoised[channel][y]
        before, after = mean.view(np.int32), clean.view(np.int32)
        for i in range(width):
            known = ((before[i] & EXPONENT) != EXPONENT) & ((after[i] & EXPONENT) != EXPONENT)
            there[i] = there[i] if known else ZERO
            light[i] += THIRD * clean[i]
            taken[i] += THIRD * (mean[i] - clean[i])
    for i in range(width):
        light[i] = max(light[i], ZERO) if there[i] > ZERO else ZERO
        ratio = taken[i] / (light[i] + dark)
        taken[i] = min(max(ratio, -most), most) if there[i] > ZERO else ZERO


@part
def _guide_rows(guides: Planes, single: int, share: float, y: int, out: Floats) -> None:
    """A row of each guide [K,w]."""
    width = out.shape[1]
    out[:] = ZERO
    each = ONE if len(guides) == single else np.float32(share / (len(guides) - single))
    for index in range(len(guides)):
        plane, line = guides[index][y], out[min(index, single)]
        bits = plane.view(np.int32)
        scale = ONE if index < single else each
        for i in range(width):
            line[i] += scale * plane[i] if (bits[i] & EXPONENT) != EXPONENT else ZERO


@part
def _pooled(line: Floats, side: int, out: Floats) -> None:
    """A row of squares from the sums of their columns."""
    share = ONE / np.float32(side * side)
    for column in range(len(out)):
        total = ZERO
        for k in range(side):
            total += line[side * column + k]
        out[column] = share * total


@compiled
def apply_functions(
    functions: Floats,
    guides: Planes,
    single: int,
    share: float,
    side: int,
    first: int,
    last: int,
    out: Floats,
) -> None:
    """Rows `first` to `last` of what functions make of guides, each interpolated between squares.

    Args:
        functions: of each square a factor for each guide, and a constant [K+1,h/side,w/side].
        guides: see `sum_products`, as the next two.
        single: how many are guides by themselves.
        share: of the mean of the others.
        side: of the squares.
        first: row.
        last: row after the last one.
        out: the result [h,w].
    """
    width = out.shape[1]
    count, rows, columns = functions.shape
    step = ONE / np.float32(side)
    before, after = np.empty(width, np.int64), np.empty(width, np.int64)
    right = np.empty(width, np.float32)
    for i in range(width):
        place = max((np.float32(i) + HALF) * step - HALF, ZERO)
        before[i] = min(int(place), columns - 1)
        after[i] = min(before[i] + 1, columns - 1)
        right[i] = place - np.float32(int(place))
    line = np.empty(columns, np.float32)
    lines = np.empty((count, width), np.float32)
    for y in range(first, last):
        place = max((np.float32(y) + HALF) * step - HALF, ZERO)
        upper = min(int(place), rows - 1)
        lower = min(upper + 1, rows - 1)
        down = place - np.float32(int(place))
        made = out[y]
        made[:] = ZERO
        _guide_rows(guides, single, share, y, lines[: count - 1])
        lines[count - 1] = ONE
        for k in range(count):
            above, below, guide = functions[k, upper], functions[k, lower], lines[k]
            for column in range(columns):
                line[column] = above[column] + down * (below[column] - above[column])
            for i in range(width):
                start = line[before[i]]
                made[i] += (start + right[i] * (line[after[i]] - start)) * guide[i]


@compiled
def bounded_factors(
    filtered: Planes, least: float, most: float, first: int, last: int, out: Floats
) -> None:
    """Rows `first` to `last` of changes become factors: 1 more, within bounds.

    Args:
        filtered: where one of these planes [h,w] is not finite, the factor is 1.
        least: the smallest factor.
        most: the largest.
        first: row.
        last: row after the last one.
        out: changes, and the result [h,w].
    """
    low, high = np.float32(least), np.float32(most)
    width = out.shape[1]
    for y in range(first, last):
        made = out[y]
        for i in range(width):
            made[i] = min(max(ONE + made[i], low), high)
        for channel in range(len(filtered)):
            bits = filtered[channel][y].view(np.int32)
            for i in range(width):
                made[i] = made[i] if (bits[i] & EXPONENT) != EXPONENT else ONE


@compiled
def smooth(sums: Floats, weights: Floats, plane: int, out: Floats) -> None:
    """One plane of weighted means of squares and those next to them; see `structure._around`.

    Args:
        sums: [P,h,w].
        weights: of the one before, itself, and the one after, in each direction [3].
        plane: which.
        out: the result [P,h,w].
    """
    height, width = sums.shape[1:]
    image, made = sums[plane], out[plane]
    line = np.empty(width + 2, np.float32)
    for y in range(height):
        above, here, below = image[max(y - 1, 0)], image[y], image[min(y + 1, height - 1)]
        for i in range(width):
            line[i + 1] = weights[0] * above[i] + weights[1] * here[i] + weights[2] * below[i]
        line[0], line[width + 1] = line[1], line[width]
        row = made[y]
        for i in range(width):
            row[i] = weights[0] * line[i] + weights[1] * line[i + 1] + weights[2] * line[i + 2]
