"""`reconstruction.reconstruct` on a CPU: block by block, so that no image of logits ever exists.

The logits of a block stay in the processor's cache between the layer that makes them and the
kernels that use them. Needs the extra "cpu" (`ops.compiler`).
"""

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, product
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from kpcn_core.model.config import KERNELS
from kpcn_core.model.network import Network
from kpcn_core.model.reconstruction import Shares
from kpcn_core.model.temporal import Context
from kpcn_core.ops import compiler
from kpcn_core.ops.workers import each

Floats = NDArray[np.float32]

# Of a block, pixels. Logits of 2 rows would fit into the second cache, but Python's part of a block
# would count then: those of 8 (1.5 MB) are a tenth faster.
HEIGHT, WIDTH = 8, 512


class Pyramid(NamedTuple):
    """What kernels are applied to.

    Attributes:
        planes: of each component, its mask included.
        levels: of every scale, finest first: all components, with a margin of zeros around them
            [P,h+2*margin,w+2*margin].
        margin: pixels.
    """

    planes: dict[str, int]
    levels: list[Floats]
    margin: int

    @property
    def starts(self) -> NDArray[np.int32]:
        """Where each component starts among the planes, and at last their number."""
        return np.array([0, *accumulate(self.planes.values())], np.int32)

    def of(self, names: Sequence[str]) -> "Pyramid":
        """The same of some components that follow one another."""
        order = list(self.planes)
        first, last = order.index(names[0]), order.index(names[-1]) + 1
        assert order[first:last] == list(names)
        levels = [level[self.starts[first] : self.starts[last]] for level in self.levels]
        return Pyramid({name: self.planes[name] for name in names}, levels, self.margin)


class BlockPredictor:
    """Specialization and `KernelPredictor` of one scale, for blocks of one image.

    All their layers see single pixels; here they are products of matrices, the biases of the last
    ones a column for a channel of ones. What a block needs is there again for the next one: fresh
    memory costs more than the products.

    Args:
        network: whose modules are used.
        scale: 0 is the finest.
        names: of the components whose logits are wanted.
        features: of the scale [1,C,H/fold,W/fold].
        slope: log(lambda) [1,1,H,W]; None is lambda = 1.
    """

    def __init__(
        self,
        network: Network,
        scale: int,
        names: Sequence[str],
        features: Tensor,
        slope: Tensor | None,
    ) -> None:
        predictor, chosen = network.predictor(scale, names)
        self.layer = _matrix(predictor.logits.weight[chosen], predictor.logits.bias[chosen])
        self.unfold = predictor.unfold[0] if isinstance(predictor.unfold, nn.Sequential) else None
        self.blocks = network.specialization_blocks(scale)
        self.features, self.slope, self.fold = features[0].permute(1, 2, 0), slope, predictor.fold
        self.folded_slope = self.powers = None
        if slope is not None and self.blocks:
            # Its mean, as features stand for several pixels.
            self.folded_slope = functional.avg_pool2d(slope, self.fold, ceil_mode=True)
        elif slope is not None and network.config.asymmetry == KERNELS:
            self.powers = _matrix(*network.powers_of(scale, network.outputs(scale, names)))
        self.rooms = Rooms()

    def __call__(self, rows: slice, columns: slice) -> Tensor:
        """Logits [outputs,h,w] of the image's rows and columns, until the thread's next call."""
        near = [slice(side.start // self.fold, side.stop // self.fold) for side in (rows, columns)]
        part = self.features[near[0], near[1]]
        pixels = part.reshape(-1, part.shape[2]).t()
        if self.folded_slope is not None:
            slope = self.folded_slope[0, 0, near[0], near[1]]
            pixels = self._specialized(pixels, slope.reshape(1, -1))
        size = rows.stop - rows.start, columns.stop - columns.start
        full = self._unfolded(pixels, size)
        return self._logits(full.flatten(1), rows, columns).view(-1, *size)

    def _specialized(self, pixels: Tensor, slope: Tensor) -> Tensor:
        """`Specialization` of features [C,n], by log(lambda) [1,n]."""
        for block in self.blocks:
            inner = _pointwise(block.first, pixels.relu())
            inner.addmm_(block.slope.weight.flatten(1), slope).relu_()
            pixels = pixels + _pointwise(block.second, inner).mul_(slope)
        return pixels

    def _unfolded(self, pixels: Tensor, size: tuple[int, int]) -> Tensor:
        """What the last layer reads, and a channel of ones, of features [C,n] -> [C'+1,h,w]."""
        from kpcn_core.ops.compiled import unfold_block

        full = self.rooms.get("full", self.layer.shape[1], *size)
        if self.unfold is None:
            torch.clamp(pixels.view(-1, *size), min=0.0, out=full[:-1])
            full[-1] = 1.0
            return full
        assert isinstance(self.unfold, nn.Conv2d)
        assert self.unfold.bias is not None
        folded = self.rooms.get("folded", self.unfold.out_channels, size[0] // 2, size[1] // 2)
        torch.mm(self.unfold.weight.flatten(1), pixels, out=folded.flatten(1))
        unfold_block(folded.numpy(), self.unfold.bias.numpy(), full.numpy())
        return full

    def _logits(self, full: Tensor, rows: slice, columns: slice) -> Tensor:
        """The last layer's, from unfolded features [C'+1,n]."""
        logits = self.rooms.get("logits", len(self.layer), full.shape[1])
        if self.powers is None or self.slope is None:
            return torch.mm(self.layer, full, out=logits)
        slope = self.slope[0, 0, rows, columns]
        least, most = slope.aminmax()
        if least == most:  # as nearly everywhere: both layers are one
            return torch.mm(self.layer + most * self.powers, full, out=logits)
        powers = self.rooms.get("powers", len(self.layer), full.shape[1])
        torch.mm(self.powers, full, out=powers)
        return torch.mm(self.layer, full, out=logits).addcmul_(powers, slope.reshape(1, -1))


class Rooms(threading.local):
    """Memory that a thread uses again and again."""

    def __init__(self) -> None:
        self.rooms: dict[str, Tensor] = {}

    def get(self, name: str, *size: int) -> Tensor:
        """Float32 of this size, holding anything; the same memory for the same name."""
        length = math.prod(size)
        if name not in self.rooms or len(self.rooms[name]) < length:
            self.rooms[name] = torch.empty(length)
        return self.rooms[name][:length].view(size)


def _matrix(weight: Tensor, bias: Tensor) -> Tensor:
    """A layer, for features that are followed by a channel of ones."""
    return torch.cat([weight, bias[:, None]], dim=1)


def _pointwise(layer: nn.Conv2d, pixels: Tensor) -> Tensor:
    """A layer that sees single pixels [C,n]."""
    assert layer.bias is not None
    return torch.addmm(layer.bias[:, None], layer.weight.flatten(1), pixels)


def usable(network: Network, image: Tensor) -> bool:
    """Whether blocks can do what is asked: a float32 image on a CPU, and nothing to learn."""
    return (
        not network.apart
        and network.config.fold <= 2
        and image.device.type == "cpu"
        and image.dtype == torch.float32
        and len(image) == 1
        and not torch.is_grad_enabled()
        and compiler.installed()
    )


def pyramid(network: Network, images: Mapping[str, Sequence[Tensor]]) -> Pyramid:
    """Components with their masks, at every scale [1,C+1,h,w] finest first, as blocks need them."""
    margin = max(network.config.kernels.values()) // 2
    # What lambda changes is first, so that `Pyramid.of` it is a part of the same memory.
    names = sorted(images, key=lambda name: name in network.unsteered)
    levels = [
        functional.pad(torch.cat([one[0] for one in scale]), [margin] * 4).numpy()
        for scale in zip(*(images[name] for name in names), strict=True)
    ]
    return Pyramid({name: images[name][0].shape[1] for name in names}, levels, margin)


def reconstruct(
    network: Network,
    contexts: Sequence[Context],
    images: Pyramid,
    around: Shares | None = None,
    slopes: Sequence[Tensor] | None = None,
) -> dict[str, Tensor]:
    """Filter the centre frame of a window.

    Args:
        network: predicts the kernels.
        contexts: of every scale, finest first; not yet specialized.
        images: see `pyramid`.
        around: see `reconstruction.neighbours`.
        slopes: log(lambda) of every scale [1,1,h,w]; None is lambda = 1.

    Returns:
        Component, with its mask, to the filtered image [1,C+1,H,W].
    """
    joined = np.empty((images.starts[-1], 0, 0), np.float32)
    for scale in reversed(range(len(contexts))):
        slope = None if slopes is None else slopes[scale]
        names = list(images.planes)
        predict = BlockPredictor(network, scale, names, contexts[scale].shared, slope)
        joined = _scale(network, predict, images, around, scale, joined)
    found = torch.split(torch.from_numpy(joined)[None], list(images.planes.values()), dim=1)
    return dict(zip(images.planes, found, strict=True))


def _scale(
    network: Network,
    predict: BlockPredictor,
    images: Pyramid,
    around: Shares | None,
    scale: int,
    coarser: Floats,
) -> Floats:
    """One scale of all components, filtered and joined with the coarser one."""
    # numba takes its time to be imported.
    from kpcn_core.ops.compiled import reconstruct_block

    names, starts, level = list(images.planes), images.starts, images.levels[scale]
    sizes = np.array([network.config.kernels[name] for name in names], np.int32)
    others = _stacked(around, scale, names, int(starts[-1]))
    height, width = (length - 2 * images.margin for length in level.shape[1:])
    out = np.empty((starts[-1], height, width), np.float32)

    def block(rows: slice, columns: slice) -> None:
        logits = predict(rows, columns).numpy()
        reconstruct_block(
            *(level, images.margin, starts, sizes, logits, *others, coarser),
            *(rows.start, columns.start, out),
        )

    each(block, list(_blocks(height, width)))
    return out


def _blocks(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    starts = product(range(0, height, HEIGHT), range(0, width, WIDTH))
    for row, column in starts:
        yield slice(row, min(row + HEIGHT, height)), slice(column, min(column + WIDTH, width))


def _stacked(
    around: Shares | None, scale: int, names: Sequence[str], planes: int
) -> tuple[Floats, Floats]:
    """The sums of all other frames [P,h,w] and their peaks [N,h,w]."""
    if around is None:
        return np.empty((planes, 0, 0), np.float32), np.empty((len(names), 0, 0), np.float32)
    shares = [around[scale][name] for name in names]
    sums = torch.cat([share.sums[0] for share in shares])
    peaks = torch.cat([share.peak[0] for share in shares])
    return sums.numpy(), peaks.numpy()
