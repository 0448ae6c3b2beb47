"""The device code of `ops.fused_join`, in Triton's language."""

import triton
import triton.language as tl


@triton.jit
def join_kernel(
    sums, coarse, rows, matrix, bias, result, low_height, low_width,
    CHANNELS: tl.constexpr, LOGITS: tl.constexpr, FEATURES: tl.constexpr, PADDED: tl.constexpr,
    TILE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """One tile of blocks of 2x2 pixels of one image.

    Args:
        sums: weighted radiance and weights [B,CHANNELS+1,H,W].
        coarse: the image of the next scale with its mask [B,CHANNELS+1,low_height,low_width].
        rows: features of each pixel [B,H*W,FEATURES].
        matrix: of the layer to five logits of sources and one of detail [LOGITS,FEATURES].
        bias: of the same [LOGITS].
        result: the joined image with its mask [B,CHANNELS+1,H,W].
        low_height: H / 2.
        low_width: W / 2.
        CHANNELS: beside the mask.
        LOGITS: numbers of a pixel's join, at most 16.
        FEATURES: of a pixel.
        PADDED: the same, or more, a power of 2.
        TILE: blocks of a program.
        PRECISION: of the products of float32, as `tl.dot` calls it.
    """
    image = tl.program_id(1).to(tl.int64)
    low_plane = low_height * low_width
    plane = 4 * low_plane
    width = 2 * low_width
    block = tl.program_id(0) * TILE + tl.arange(0, TILE)
    there = block < low_plane
    row = block // low_width
    column = block % low_width
    corner = 2 * row * width + 2 * column
    sums += image * (CHANNELS + 1) * plane
    coarse += image * (CHANNELS + 1) * low_plane
    rows += image * plane * FEATURES
    result += image * (CHANNELS + 1) * plane

    feature = tl.arange(0, PADDED)
    logit = tl.arange(0, 16)
    columns = tl.load(
        matrix + logit[None, :] * FEATURES + feature[:, None],
        mask=(logit < LOGITS)[None, :] & (feature < FEATURES)[:, None],
        other=0.0,
    )
    line = tl.load(bias + logit, mask=logit < LOGITS, other=0.0)

    # How many of the block's pixels are known.
    known = tl.zeros([TILE], tl.float32)
    for quarter in tl.static_range(4):
        at = corner + (quarter // 2) * width + quarter % 2
        weight = tl.load(sums + CHANNELS * plane + at, mask=there, other=0.0)
        known += tl.where(weight > 0, 1.0, 0.0)
    low_mask = tl.where(known > 0, 1.0, 0.0)

    for quarter in tl.static_range(4):
        at = corner + (quarter // 2) * width + quarter % 2
        own_weight = tl.load(sums + CHANNELS * plane + at, mask=there, other=0.0)
        own_mask = tl.where(own_weight > 0, 1.0, 0.0)
        seen = tl.load(
            rows + at[:, None] * FEATURES + feature[None, :],
            mask=there[:, None] & (feature < FEATURES)[None, :],
            other=0.0,
        )
        logits = tl.dot(seen, columns, input_precision=PRECISION) + line[None, :]
        first = _logit(logits, logit, 0)
        second = _logit(logits, logit, 1)
        third = _logit(logits, logit, 2)
        fourth = _logit(logits, logit, 3)
        fifth = _logit(logits, logit, 4)
        top = tl.maximum(tl.maximum(tl.maximum(first, second), tl.maximum(third, fourth)), fifth)
        first = tl.exp(first - top)
        second = tl.exp(second - top)
        third = tl.exp(third - top)
        fourth = tl.exp(fourth - top)
        fifth = tl.exp(fifth - top)
        total = first + second + third + fourth + fifth
        detail = 1 / (1 + tl.exp(-_logit(logits, logit, 5)))
        # Left and upper pixels lie nearer to the left and upper neighbours, the others to the
        # others; beyond the border is the border.
        above = tl.minimum(tl.maximum(row + 2 * (quarter // 2) - 1, 0), low_height - 1)
        beside = tl.minimum(tl.maximum(column + 2 * (quarter % 2) - 1, 0), low_width - 1)
        nearest = row * low_width + column
        side = row * low_width + beside
        upper = above * low_width + column
        diagonal = above * low_width + beside
        weights = _mixed(
            coarse + CHANNELS * low_plane, nearest, side, upper, diagonal,
            first, second, third, fourth, there,
        )  # fmt: skip
        weights = (weights + fifth * low_mask) / total
        joined = tl.where(weights > 0, 1.0, 0.0)
        share = 1 / (total * tl.where(weights > 0, weights, 1.0))
        for channel in tl.static_range(CHANNELS):
            low = tl.zeros([TILE], tl.float32)
            for other in tl.static_range(4):
                where = corner + (other // 2) * width + other % 2
                divisor = tl.load(sums + CHANNELS * plane + where, mask=there, other=0.0)
                value = tl.load(sums + channel * plane + where, mask=there, other=0.0)
                low += value / tl.where(divisor > 0, divisor, 1.0)
            low = low / tl.maximum(known, 1.0)
            own = tl.load(sums + channel * plane + at, mask=there, other=0.0)
            own = own / tl.where(own_weight > 0, own_weight, 1.0)
            mixed = _mixed(
                coarse + channel * low_plane, nearest, side, upper, diagonal,
                first, second, third, fourth, there,
            )  # fmt: skip
            mixed += fifth * low
            found = mixed * share + detail * (own - low) * own_mask
            tl.store(result + channel * plane + at, found, mask=there)
        tl.store(result + CHANNELS * plane + at, joined, mask=there)


@triton.jit
def _logit(logits, logit, number: tl.constexpr):
    """One column of the logits."""
    return tl.sum(tl.where((logit == number)[None, :], logits, 0.0), axis=1)


@triton.jit
def _mixed(
    plane, nearest, side, upper, diagonal, first, second, third, fourth, there,
):  # fmt: skip
    """Four pixels of a plane, weighted."""
    found = first * tl.load(plane + nearest, mask=there, other=0.0)
    found += second * tl.load(plane + side, mask=there, other=0.0)
    found += third * tl.load(plane + upper, mask=there, other=0.0)
    return found + fourth * tl.load(plane + diagonal, mask=there, other=0.0)
