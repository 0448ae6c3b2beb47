"""The device code of `ops.fused_combiner`, in Triton's language."""

import triton
import triton.language as tl


@triton.jit(do_not_specialize=["frames", "motions", "height", "width"])
def combine_kernel(
    here, table, motion, weights, biases, shared, links, frames, motions, height, width,
    CHANNELS: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr,
    KEEP: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One block of pixels of one image, with what all other frames give to it.

    Sums stay in registers from frame to frame, and a sum has its layer once: layers are linear.
    Blocks are nearly square, for that four neighbours are read of the same block mostly.

    Args:
        here: features of the centre [B,height,width,CHANNELS].
        table: of each other frame where its features are, their height and width, and the row and
            column of the centre's first pixel in them; int64 [frames,5]. Features lie as `here`.
        motion: to each of those frames, in pixels of the features [frames,motions,2,height,width].
        weights: of the layers over the centre, over others, to the sum, to a link; each with its
            inputs along the rows and 0 beyond the channels [4,WIDTH,WIDTH].
        biases: the same of the centre, the sum and a link, float32 [3,WIDTH].
        shared: where the centre goes with the mean of all added, like `here`.
        links: where each frame's link goes [frames,B,height,width,CHANNELS].
        frames: without the centre.
        motions: images of a motion; image b of the features has motion b % motions.
        height: of the centre.
        width: of the same.
        CHANNELS: of the features.
        WIDTH: the same, a power of 2 or less.
        ROWS: pixels of a block.
        COLUMNS: likewise.
        KEEP: whether the layers stay in shared memory from frame to frame, or are read again.
        PRECISION: of the products of float32, as `tl.dot` calls it.
    """
    image = tl.program_id(2).to(tl.int64)
    cell = tl.arange(0, ROWS * COLUMNS)
    row = tl.program_id(1) * ROWS + cell // COLUMNS
    column = tl.program_id(0) * COLUMNS + cell % COLUMNS
    there = (row < height) & (column < width)
    channel = tl.arange(0, WIDTH)
    real = channel < CHANNELS
    plane = height.to(tl.int64) * width
    pixel = row.to(tl.int64) * width + column
    place = (image * plane + pixel)[:, None] * CHANNELS + channel[None, :]
    known = there[:, None] & real[None, :]
    # Weights as the second factor of a product: their inputs go down.
    matrix = weights + channel[None, :] * WIDTH + channel[:, None]
    square = WIDTH * WIDTH

    own = tl.load(here + place, mask=known, other=0.0)
    if KEEP:
        of_centre = tl.load(matrix)
        of_other = tl.load(matrix + square)
        to_link = tl.load(matrix + 3 * square)
    total = tl.zeros([ROWS * COLUMNS, WIDTH], tl.float32)
    count = tl.zeros([ROWS * COLUMNS], tl.float32)
    for frame in range(frames):
        entry = table + frame * 5
        address = tl.load(entry).to(tl.pointer_type(here.dtype.element_ty))
        tall = tl.load(entry + 1).to(tl.int32)
        wide = tl.load(entry + 2).to(tl.int32)
        steps = motion + (frame * motions + image % motions) * 2 * plane + pixel
        across = tl.load(steps, mask=there, other=0.0)
        down = tl.load(steps + plane, mask=there, other=0.0)
        finite = (tl.abs(across) < float("inf")) & (tl.abs(down) < float("inf"))
        first_row = row + tl.load(entry + 3).to(tl.int32)
        first_column = column + tl.load(entry + 4).to(tl.int32)
        y, below, y_inside = _along(tl.where(finite, down, 0.0), first_row, tall)
        x, right, x_inside = _along(tl.where(finite, across, 0.0), first_column, wide)
        inside = finite & x_inside & y_inside & there
        top = tl.minimum(tl.maximum(y, 0), tall - 1) * wide
        bottom = tl.minimum(tl.maximum(y + 1, 0), tall - 1) * wide
        start = tl.minimum(tl.maximum(x, 0), wide - 1)
        stop = tl.minimum(tl.maximum(x + 1, 0), wide - 1)
        features = tl.multiple_of(address, 16) + image * tall * wide * CHANNELS
        read = inside[:, None] & real[None, :]
        upper = _tap(features, top + start, (1 - below) * (1 - right), channel, read, CHANNELS)
        upper += _tap(features, top + stop, (1 - below) * right, channel, read, CHANNELS)
        lower = _tap(features, bottom + start, below * (1 - right), channel, read, CHANNELS)
        lower += _tap(features, bottom + stop, below * right, channel, read, CHANNELS)
        # As a reduction, behind which the compiler lets threads mix what they fetched. Before a
        # plain sum it moves all four to the threads that the product wants.
        moved = tl.sum(tl.join(upper, lower), axis=2).to(here.dtype.element_ty)

        if not KEEP:
            of_centre = tl.load(matrix)
            of_other = tl.load(matrix + square)
        pair = tl.dot(moved, of_other, input_precision=PRECISION)
        # Made anew for every frame: there are products to spare, and no registers.
        pair = tl.dot(own, of_centre, pair, input_precision=PRECISION)
        pair = tl.maximum(pair + tl.load(biases + channel)[None, :], 0.0)
        total += tl.where(inside[:, None], pair, 0.0)
        count += tl.where(inside, 1.0, 0.0)
        pair = pair.to(here.dtype.element_ty)
        if not KEEP:
            to_link = tl.load(matrix + 3 * square)
        link = tl.dot(pair, to_link, input_precision=PRECISION)
        link += tl.load(biases + 2 * WIDTH + channel)[None, :]
        link = tl.where(inside[:, None], link, 0.0).to(here.dtype.element_ty)
        onto = links + frame * tl.num_programs(2) * plane * CHANNELS
        tl.store(onto + place, link, mask=known)

    mean = (total / tl.maximum(count, 1.0)[:, None]).to(here.dtype.element_ty)
    gathered = tl.dot(mean, tl.load(matrix + 2 * square), input_precision=PRECISION)
    gathered += tl.load(biases + WIDTH + channel)[None, :]
    gathered = tl.where((count > 0)[:, None], gathered, 0.0)
    gathered += tl.load(here + place, mask=known, other=0.0)
    tl.store(shared + place, gathered.to(here.dtype.element_ty), mask=known)


@triton.jit
def _along(steps, first, length):
    """Whole pixel, fraction to the next, and whether it is inside, along one axis."""
    steps = tl.minimum(tl.maximum(steps, -1e6), 1e6)
    whole = tl.floor(steps)
    pixel = first + whole.to(tl.int32)
    fraction = steps - whole
    # The outermost pixels reach half a pixel beyond their centres.
    low = (pixel > -1) | ((pixel == -1) & (fraction >= 0.5))
    high = (pixel < length - 1) | ((pixel == length - 1) & (fraction <= 0.5))
    return pixel, fraction, low & high


@triton.jit
def _tap(features, index, weight, channel, read, CHANNELS: tl.constexpr):
    """A pixel of each position, weighted; float32."""
    found = tl.load(
        features + index.to(tl.int64)[:, None] * CHANNELS + channel[None, :], mask=read, other=0.0
    )
    return found.to(tl.float32) * weight[:, None]
