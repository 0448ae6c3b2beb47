"""Features of a window gathered along motion and compared, in one pass over the pixels (Triton).

What `TemporalFeatures.forward` does before its residual blocks, and that is its readable twin: some
hundred operations, most of which only carry features to memory and back. Here a block of pixels
fetches all frames one after another, and what is made of them stays in registers until it is a link
or the sum of all.

For inference, like `ops.fused`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import triton
from torch import Tensor
from torch.nn import functional

from kpcn_core.ops import fusion
from kpcn_core.ops.fused import PRECISION, TILE_CHANNELS
from kpcn_core.ops.fused_combiner_kernel import combine_kernel

ROWS, COLUMNS = 8, 8  # pixels of a program
# Bytes of a pixel's features: of more, a block's would not fit into a GPU's registers; of up to the
# first number its shared memory has room for the layers, and for the next frame's features.
AHEAD_BYTES, MOST_BYTES = 128, 256
WIDE = 64  # channels; of more, a block takes more threads
AMPERE, HOPPER = (8, 0), (9, 0)  # compute capabilities
ALIGNMENT = 16  # bytes, of what is fetched at once


class Layer(NamedTuple):
    """A 1x1 layer.

    Attributes:
        weight: [C,C,1,1], in the precision of the features.
        bias: [C]; the layer `other` has none.
    """

    weight: Tensor
    bias: Tensor | None


class Layers(NamedTuple):
    """Those of `TemporalFeatures`, by their names there."""

    centre: Layer
    other: Layer
    gather: Layer
    link: Layer


def fits(features: Tensor) -> bool:
    """Whether `combined` takes features [B,C,H,W]: of up to 128 channels, in float32 of 64.

    Of an older GPU than Ampere, and for float32 than Hopper, the registers and the shared memory do
    not hold what a block needs.
    """
    small = _width(features.shape[1]) * features.element_size() <= MOST_BYTES
    oldest = HOPPER if features.dtype == torch.float32 else AMPERE
    device = features.device
    return small and (device.type != "cuda" or torch.cuda.get_device_capability(device) >= oldest)


def combined(
    here: Tensor,
    others: Sequence[Tensor],
    motion: Sequence[Tensor],
    origins: Sequence[tuple[int, int]],
    layers: Layers,
) -> tuple[Tensor, Tensor]:
    """Gather the features of other frames, and compare each with the centre's.

    Sums and what is mixed are float32; products are of numbers in the precision of the features.

    Args:
        here: features of the centre [B,C,h,w], float32, float16 or bfloat16.
        others: of every other frame [B,C,H,W], each of a size of its own.
        motion: from the centre to each of those, in pixels of the features [B',2,h,w]; where B is
            more than B', they are those of the first images, of the next B', and so on.
        origins: row and column, in each of those, of the centre's first feature.
        layers: of C channels, see `fits`.

    Returns:
        The centre with the mean of all others added [B,C,h,w], and the link of each other frame
        [F,B,C,h,w]; channels-last, in the precision of the features.
    """
    here, *others = (_rows(each) for each in (here, *others))
    batch, height, width, channels = here.shape
    steps = torch.stack([vectors.float() for vectors in motion])
    if batch % steps.shape[1] or steps.shape[3:] != (height, width):
        raise ValueError(f"motion is {list(steps.shape[1:])}, beside {batch}x{height}x{width}")
    shared, links = torch.empty_like(here), here.new_empty((len(others), *here.shape))
    weights, biases = _operands(layers, _width(channels))
    _launch(here, others, origins, steps, weights, biases, shared, links)
    return shared.permute(0, 3, 1, 2), links.permute(0, 1, 4, 2, 3)


def _launch(
    here: Tensor,
    others: Sequence[Tensor],
    origins: Sequence[tuple[int, int]],
    motion: Tensor,
    weights: Tensor,
    biases: Tensor,
    shared: Tensor,
    links: Tensor,
) -> None:
    """One pass over all pixels; `shared` and `links` are filled."""
    batch, height, width, channels = here.shape
    padded = weights.shape[-1]
    ahead = padded * here.element_size() <= AHEAD_BYTES
    grid = (triton.cdiv(width, COLUMNS), triton.cdiv(height, ROWS), batch)
    fusion.launch(
        combine_kernel, grid, here,
        here, _table(others, origins), motion, weights, biases, shared, links,
        len(others), motion.shape[1], height, width,
        CHANNELS=channels, WIDTH=padded, ROWS=ROWS, COLUMNS=COLUMNS,
        KEEP=ahead, PRECISION=PRECISION,
        num_warps=8 if padded > WIDE else 4, num_stages=3 if ahead else 1,
    )  # fmt: skip


def _width(channels: int) -> int:
    """Channels in whole tiles of a tensor core."""
    return max(TILE_CHANNELS, 1 << (channels - 1).bit_length())


def _rows(features: Tensor) -> Tensor:
    """Features [B,C,H,W] pixel by pixel [B,H,W,C]; where channels lie together, as they lie."""
    rows = features.permute(0, 2, 3, 1).contiguous()
    return rows.clone() if rows.data_ptr() % ALIGNMENT else rows


def _operands(layers: Layers, width: int) -> tuple[Tensor, Tensor]:
    """The weights [4,width,width] and, in float32, the biases [3,width]; 0 beyond the channels."""
    weights = torch.stack([layer.weight.flatten(1) for layer in layers])
    biases = torch.stack([layer.bias for layer in layers if layer.bias is not None]).float()
    missing = width - weights.shape[-1]
    if not missing:
        return weights, biases
    return functional.pad(weights, [0, missing, 0, missing]), functional.pad(biases, [0, missing])


def _table(others: Sequence[Tensor], origins: Sequence[tuple[int, int]]) -> Tensor:
    """Where each frame's features are, their height and width, and its origin; int64 [F,5]."""
    rows = [
        [each.data_ptr(), *each.shape[1:3], *origin]
        for each, origin in zip(others, origins, strict=True)
    ]
    device = others[0].device
    # From pinned memory the copy does not wait for what the device does.
    table = torch.tensor(rows, dtype=torch.int64, pin_memory=device.type == "cuda")
    return table.to(device, non_blocking=True)
