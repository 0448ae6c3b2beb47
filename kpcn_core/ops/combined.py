"""Another frame's features gathered along motion and compared with the centre's; compiled.

Twin of what `TemporalFeatures.forward` does with one frame, a few cells at a time, for CPUs.
"""

import numpy as np
from numpy.typing import NDArray

from kpcn_core.ops.compiler import compiled, part
from kpcn_core.ops.lanes import LANES, aligned, everywhere, larger, load, store
from kpcn_core.ops.registers import COLUMNS, multiply

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]

CELLS = 60  # at a time: what they become stays in the first cache
ZERO, ONE = np.float32(0.0), np.float32(1.0)


@compiled
def combine_rows(
    asked: Floats,
    there: Floats,
    row: Integers,
    column: Integers,
    below: Floats,
    right: Floats,
    inside: Floats,
    other: Floats,
    both: Floats,
    bias: Floats,
    first: int,
    last: int,
    gathered: Floats,
    link: Floats,
) -> None:
    """Add rows of what a frame gives to all frames' sum, and write those of its link.

    Args:
        asked: what the centre's layer made of its features [h,w,C].
        there: features of the frame [H,W,C].
        row: the upper pixel of the four between which motion leads [h,w].
        column: the left one, likewise.
        below: how near the lower pixel is, 0 to 1, likewise.
        right: how near the right one is, likewise.
        inside: 1 where motion leads to a pixel of the frame, 0 where that gives nothing, likewise.
        other: the layer over what was fetched, see `registers.in_panels`.
        both: the layers to the sum and to the link, likewise.
        bias: of those [2*C].
        first: row to start at.
        last: row to stop before.
        gathered: sum over frames, and how many gave something to it [h,w,C+1].
        link: [h,w,C].
    """
    width, channels = asked.shape[1:]
    wide, wider = COLUMNS * len(other), COLUMNS * len(both)
    fetched = aligned(CELLS * channels).reshape(CELLS, channels)
    pair = aligned(CELLS * wide).reshape(CELLS, wide)
    made = aligned(CELLS * wider).reshape(CELLS, wider)
    for y in range(first, last):
        for x in range(0, width, CELLS):
            count = min(CELLS, width - x)
            _fetch(there, row[y], column[y], below[y], right[y], x, count, fetched)
            for panel in range(len(other)):
                multiply(fetched[:count], other[panel], pair, panel * COLUMNS)
            _compare(asked[y], x, count, pair)
            for panel in range(len(both)):
                multiply(pair[:count, :channels], both[panel], made, panel * COLUMNS)
            _add(made, bias, inside[y], x, count, gathered[y], link[y])


@part
def _fetch(
    image: Floats,
    rows: Integers,
    columns: Integers,
    below: Floats,
    right: Floats,
    first: int,
    count: int,
    out: Floats,
) -> None:
    """Some pixels of a row, each bilinear between four [CELLS,C]; the border is repeated."""
    height, width = image.shape[:2]
    for i in range(count):
        y, x, down, across = rows[first + i], columns[first + i], below[first + i], right[first + i]
        top, bottom = min(max(y, 0), height - 1), min(max(y + 1, 0), height - 1)
        start, stop = min(max(x, 0), width - 1), min(max(x + 1, 0), width - 1)
        upper, lower = everywhere(ONE - down), everywhere(down)
        left, beside = everywhere(ONE - across), everywhere(across)
        for k in range(0, out.shape[1], LANES):
            above = left * load(image, (top, start, k)) + beside * load(image, (top, stop, k))
            under = left * load(image, (bottom, start, k)) + beside * load(image, (bottom, stop, k))
            store(out, (i, k), upper * above + lower * under)


@part
def _compare(asked: Floats, first: int, count: int, pair: Floats) -> None:
    """ReLU of what both layers made of some cells of a row."""
    zero = everywhere(ZERO)
    for i in range(count):
        for k in range(0, asked.shape[1], LANES):
            both = load(pair, (i, k)) + load(asked, (first + i, k))
            store(pair, (i, k), larger(both, zero))


@part
def _add(
    made: Floats,
    bias: Floats,
    inside: Floats,
    first: int,
    count: int,
    gathered: Floats,
    link: Floats,
) -> None:
    """What the layers made of some cells of a row."""
    channels = link.shape[1]
    for i in range(count):
        counts = everywhere(inside[first + i])
        for k in range(0, channels, LANES):
            found = (load(made, (i, k)) + load(bias, (k,))) * counts
            store(gathered, (first + i, k), load(gathered, (first + i, k)) + found)
            told = load(made, (i, channels + k)) + load(bias, (channels + k,))
            store(link, (first + i, k), told * counts)
        gathered[first + i, channels] += inside[first + i]
