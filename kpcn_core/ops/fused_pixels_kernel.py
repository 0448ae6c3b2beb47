"""What kernels that go once over an image share, in Triton's language.

An image is a tuple, see `fusion.strided`; a plane is contiguous.
"""

import triton
import triton.language as tl

INFINITY = tl.constexpr(float("inf"))


@triton.jit
def tile(ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Rows [ROWS,1] and columns [1,COLUMNS] of the pixels of this program."""
    row = tl.program_id(1) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    return row, column


@triton.jit
def row_of_squares(SIDE: tl.constexpr, SQUARES: tl.constexpr):
    """The squares of this program [SQUARES], the rows [SIDE,1,1] and columns [1,SQUARES,SIDE]."""
    square = tl.program_id(0) * SQUARES + tl.arange(0, SQUARES)
    inside = tl.arange(0, SIDE)
    row = tl.program_id(1) * SIDE + inside[:, None, None]
    column = square[None, :, None] * SIDE + inside[None, None, :]
    return square, row, column


@triton.jit
def total(pixels):
    """Sums over squares: [SIDE,SQUARES,SIDE] -> [SQUARES]."""
    return tl.sum(tl.sum(pixels, axis=0), axis=1)


@triton.jit
def read(image, channel, row, column, there):
    """Pixels of one channel of an image; 0 where they are not there."""
    at = image[0] + channel * image[1] + row * image[2] + column
    return tl.load(at, mask=there, other=0.0)


@triton.jit
def is_finite(values):
    """Whether they are neither NaN nor infinite."""
    return tl.abs(values) < INFINITY


@triton.jit
def finite(values):
    """Values with 0 where they are NaN or infinite."""
    return tl.where(is_finite(values), values, 0.0)


@triton.jit
def at_least(values, least):
    """Values that are not less; NaN stays, as in torch's `clamp`."""
    return tl.maximum(values, least, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def at_most(values, most):
    """Values that are not more; NaN stays."""
    return tl.minimum(values, most, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def mean_around(plane, row, column, height, width, weights):
    """Weighted means of the pixels around some, in both directions; the border goes on beyond."""
    half: tl.constexpr = len(weights) // 2
    found = 0.0
    for i in tl.static_range(len(weights)):
        y = tl.minimum(tl.maximum(row + (i - half), 0), height - 1) * width
        line = 0.0
        for k in tl.static_range(len(weights)):
            x = tl.minimum(tl.maximum(column + (k - half), 0), width - 1)
            line += weights[k] * tl.load(plane + y + x)
        found += weights[i] * line
    return found
