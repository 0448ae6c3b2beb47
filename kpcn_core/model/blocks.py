"""`reconstruction.reconstruct` on a CPU: piece by piece, so that no image of logits ever exists.

The logits of a piece stay in the processor's cache between the layer that makes them and the
kernels that use them. Needs the extra "cpu" (`ops.compiler`).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kpcn_core.model.config import ModelConfig
from kpcn_core.model.encoding import WIDTHS, pixels_of, transformed_weights
from kpcn_core.model.kernels import KernelPredictor
from kpcn_core.model.network import Network, Origin
from kpcn_core.model.reconstruction import Image, Shares
from kpcn_core.model.specialization import is_one_number
from kpcn_core.model.temporal import Context
from kpcn_core.ops import compiler
from kpcn_core.ops.memory import room
from kpcn_core.ops.reposition import Share, targets
from kpcn_core.ops.workers import in_rows, in_strips

Floats = NDArray[np.float32]
Integers = NDArray[np.int32]

HEIGHT = 16  # rows that a thread does at a time
PAIR = 2  # rows that compiled functions do at a time
NOTHING = np.empty((0, 0), np.float32)
NO_BIAS = np.empty(0, np.float32)
NO_IMAGE = np.empty((0, 0, 0), np.float32)
NO_ROOM = np.empty((0, 0, 0, 0, 0), np.float32)


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


class Refinement(NamedTuple):
    """The layer over pixels before the logits, and what it reads; see `unfold.unfold_rows`."""

    cells: Floats
    own: Floats
    unfold: Floats
    unfold_bias: Floats
    weights: Floats
    bias: Floats

    @classmethod
    def of(cls, module: KernelPredictor, context: Context) -> "Refinement":
        """That of the finest scale."""
        from kpcn_core.ops.unfold import panels

        weight, bias = _unfolding(module)
        refine = module.refine
        assert refine is not None
        assert refine.bias is not None
        assert context.pixels is not None
        return cls(
            pixels_of(context.shared),
            pixels_of(context.pixels),
            *panels(weight, bias),
            transformed_weights(refine),
            refine.bias.numpy(),
        )

    def rows(self, first: int, last: int) -> Floats:
        """What the last layer reads of some rows [last-first,W,C'], before its ReLU."""
        from kpcn_core.ops.unfold import unfold_rows
        from kpcn_core.ops.winograd import convolve_rows

        width, made = 2 * self.cells.shape[1], len(self.bias)
        # With a row above and below: what lies around pixels. From torch, whose memory starts at a
        # line of the cache.
        seen = torch.empty(last - first + 2, width, self.weights.shape[2]).numpy()
        unfold_rows(self.cells, self.own, self.unfold, self.unfold_bias, first - 1, seen)
        found = torch.empty(len(seen), width, made).numpy()
        operands = (seen, NO_IMAGE, self.weights, self.bias, seen, True, False)
        convolve_rows(*operands, 1, len(seen) - 1, found)
        inner: Floats = found[1:-1]
        return inner


class Predictor(NamedTuple):
    """What makes the logits of one scale, as arrays; see `compiled.reconstruct_rows`."""

    features: Floats
    unfold: Floats
    unfold_bias: Floats
    layer: Floats
    powers: Floats
    slope: Floats

    @classmethod
    def of(
        cls, network: Network, scale: int, names: Sequence[str], context: Context
    ) -> "Predictor":
        """That of some components; their kernels' and their joins'."""
        module, chosen = network.predictor(scale, names)
        unfold = NOTHING, NO_BIAS
        if isinstance(module.unfold, nn.Sequential) and module.refine is None:
            unfold = _unfolding(module)
        logits = _matrix(module.logits.weight[chosen], module.logits.bias[chosen])
        powers = slope = NOTHING
        if context.slope is not None:
            powers = _matrix(*network.powers_of(scale, network.outputs(scale, names)))
            if is_one_number(context.slope):
                # Logits and powers are one layer.
                number = np.float32(context.slope[0, 0, 0, 0])
                logits, powers = logits + number * powers, NOTHING
            else:
                slope = context.slope[0, 0].contiguous().numpy()
        features = NO_IMAGE if module.refine is not None else pixels_of(context.shared)
        return cls(features, *unfold, logits, powers, slope)


def _unfolding(module: KernelPredictor) -> tuple[Floats, Floats]:
    """Weight [4*C',C] and bias [4*C'] of the layer that unfolds features."""
    assert isinstance(module.unfold, nn.Sequential)
    layer = module.unfold[0]
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    return layer.weight.flatten(1).contiguous().numpy(), layer.bias.numpy()


def _matrix(weight: Tensor, bias: Tensor) -> Floats:
    """A layer with its bias as last column."""
    return torch.cat([weight, bias[:, None]], dim=1).numpy()


def usable(network: Network, image: Tensor) -> bool:
    """Whether blocks can do what is asked: a float32 image on a CPU, and nothing to learn."""
    return (
        not network.apart
        and network.config.fold <= 2
        and _refinable(network.config)
        and image.device.type == "cpu"
        and image.dtype == network.precision == torch.float32
        and len(image) == 1
        and not torch.is_grad_enabled()
        and compiler.installed()
    )


def _refinable(config: ModelConfig) -> bool:
    """Whether `Refinement` can do what layer over pixels there is."""
    width = KernelPredictor.width(config.channels[0], config.fold)
    return not config.pixels or (config.fold == 2 and width % WIDTHS == 0)


def pyramid(network: Network, images: Mapping[str, Image]) -> Pyramid:
    """Components at every scale, of the size that the network reads; `Image.pyramid` of each."""
    config = network.config
    margin = max(*config.kernels.values(), config.neighbours) // 2
    # What lambda changes is first, so that `Pyramid.of` it is a part of the same memory.
    names = sorted(images, key=lambda name: name in network.unsteered)
    planes = {name: images[name].radiance.shape[1] + 1 for name in names}
    height, width = images[names[0]].radiance.shape[-2:]
    grown_height, grown_width = (
        -(-length // config.alignment) * config.alignment for length in (height, width)
    )
    finest = _framed(sum(planes.values()), grown_height, grown_width, margin)
    finest[:, margin + height :] = finest[..., margin + width :] = 0.0
    inside = finest[:, margin : margin + height, margin : margin + width]
    places = torch.split(inside, list(planes.values()))

    def fill(first: int, last: int) -> None:
        for name, place in zip(names, places, strict=True):
            place[:-1, first:last] = images[name].radiance[0, :, first:last]
            place[-1, first:last] = images[name].valid[0, 0, first:last]

    in_rows(fill, height)
    found = Pyramid(planes, [finest.numpy()], margin)
    for _ in range(config.scales - 1):
        found.levels.append(_halved(found.levels[-1], margin, found.starts))
    return found


def _halved(fine: Floats, margin: int, starts: Integers) -> Floats:
    """The next coarser scale."""
    from kpcn_core.ops.compiled import halve_rows

    height, width = ((length - 2 * margin) // 2 for length in fine.shape[1:])
    coarse = _framed(len(fine), height, width, margin).numpy()
    in_rows(lambda first, last: halve_rows(fine, margin, starts, first, last, coarse), height)
    return coarse


def _framed(planes: int, height: int, width: int, margin: int) -> Tensor:
    """An empty image with a margin of zeros on every side.

    Two registers may be read beyond its end, where there are zeros, too.
    """
    from kpcn_core.ops.lanes import LANES

    shape = planes, height + 2 * margin, width + 2 * margin
    size = math.prod(shape)
    memory = room(size + 2 * LANES)
    memory[size:] = 0.0
    image = memory[:size].view(shape)
    for side in (image, image.mT):
        side[:, :margin] = side[:, side.shape[1] - margin :] = 0.0
    return image


def reconstruct(
    network: Network,
    contexts: Sequence[Context],
    images: Pyramid,
    around: Shares | None = None,
    unfolded: dict[int, Floats] | None = None,
) -> dict[str, Tensor]:
    """Filter the centre frame of a window.

    Args:
        network: predicts the kernels.
        contexts: of every scale, finest first.
        images: see `pyramid`.
        around: see `reconstruction.neighbours`.
        unfolded: scale to what its last layers read of these contexts, filled by the first call
            for the next ones; None keeps nothing.

    Returns:
        Component, with its mask, to the filtered image [1,C+1,H,W].
    """
    joined = np.empty((images.starts[-1], 0, 0), np.float32)
    for scale in reversed(range(len(contexts))):
        context = contexts[scale]
        predictor = Predictor.of(network, scale, list(images.planes), context)
        known = unfolded is not None and scale in unfolded
        if unfolded is not None and not known:
            unfolded[scale] = _room(images.levels[scale], images.margin, predictor)
        kept = (NO_ROOM if unfolded is None else unfolded[scale], known)
        module = network.centre[scale]
        assert isinstance(module, KernelPredictor)
        refine = None if module.refine is None or known else Refinement.of(module, context)
        joined = _scale(network, predictor, refine, kept, images, around, scale, joined)
    found = torch.split(torch.from_numpy(joined)[None], list(images.planes.values()), dim=1)
    return dict(zip(images.planes, found, strict=True))


def neighbours(
    network: Network,
    contexts: Sequence[Context],
    window: Iterable[Mapping[str, Image]],
    motion: Sequence[Sequence[Tensor]],
    centre: int,
    origins: Sequence[Origin] | None = None,
) -> Shares | None:
    """`reconstruction.neighbours`; arguments as there, but for images of any size."""
    found: list[tuple[Floats, Floats]] = []
    planes: dict[str, int] = {}
    for frame, parts in enumerate(window):
        if frame == centre:
            continue
        images = pyramid(network, parts)
        begun, planes = bool(found), images.planes
        for scale, context in enumerate(contexts):
            vectors = motion[frame][scale]
            if not begun:
                height, width = vectors.shape[-2:]
                found.append(
                    (
                        np.empty((images.starts[-1], height, width), np.float32),
                        np.empty((len(planes), height, width), np.float32),
                    )
                )
            row, column = origins[frame] if origins else (0, 0)
            _gather(
                network, context, frame, images, scale, vectors, (row >> scale, column >> scale),
                begun, *found[scale],
            )  # fmt: skip
    return [_shares(planes, *sums) for sums in found] or None


def _gather(
    network: Network,
    context: Context,
    frame: int,
    images: Pyramid,
    scale: int,
    motion: Tensor,
    origin: Origin,
    begun: bool,
    sums: Floats,
    peaks: Floats,
) -> None:
    """Add what another frame gives to one scale; see `gathered.gather_rows`."""
    from kpcn_core.ops.gathered import gather_rows

    level, margin, height = images.levels[scale], images.margin, sums.shape[1]
    size = level.shape[1] - 2 * margin, level.shape[2] - 2 * margin
    index, inside = targets(motion, *size, origin)
    target = torch.where(inside[:, 0] > 0, index, -1)[0].int().numpy()
    module, chosen = network.neighbour_predictor(scale, list(images.planes))
    unfold = _unfolding(module) if isinstance(module.unfold, nn.Sequential) else (NOTHING, NO_BIAS)
    layer = _matrix(module.logits.weight[chosen], module.logits.bias[chosen])
    operands = (
        *(pixels_of(context.of(frame)), *unfold, layer, level, margin, images.starts),
        *(network.config.neighbours, target, begun),
    )

    def rows(first: int, last: int) -> None:
        gather_rows(*operands, first, last, sums, peaks)

    in_strips(rows, height, HEIGHT, PAIR)


def _shares(planes: Mapping[str, int], sums: Floats, peaks: Floats) -> dict[str, Share]:
    """What all components got at one scale."""
    parts = torch.split(torch.from_numpy(sums)[None], list(planes.values()), dim=1)
    tops = torch.split(torch.from_numpy(peaks)[None], 1, dim=1)
    return {name: Share(*one) for name, *one in zip(planes, parts, tops, strict=True)}


def _room(level: Floats, margin: int, predictor: Predictor) -> Floats:
    """Memory for what the last layers read at one scale; see `compiled.reconstruct_rows`."""
    from kpcn_core.ops.pieces import PIECE
    from kpcn_core.ops.registers import COLUMNS

    height, width = (length - 2 * margin for length in level.shape[1:])
    pieces = -(-height // 2), -(-width // PIECE)
    room = np.zeros((*pieces, 2 * PIECE // COLUMNS, predictor.layer.shape[1], COLUMNS), np.float32)
    room[..., -1, :] = 1.0
    return room


def _scale(
    network: Network,
    predictor: Predictor,
    refine: Refinement | None,
    kept: tuple[Floats, bool],
    images: Pyramid,
    around: Shares | None,
    scale: int,
    coarser: Floats,
) -> Floats:
    """One scale of all components, filtered and joined with the coarser one."""
    # numba takes its time to be imported.
    from kpcn_core.ops.compiled import reconstruct_rows

    names, starts, level = list(images.planes), images.starts, images.levels[scale]
    sizes = np.array([network.config.kernels[name] for name in names], np.int32)
    others = _stacked(around, scale, names, int(starts[-1]))
    height, width = (length - 2 * images.margin for length in level.shape[1:])
    out = room(int(starts[-1]), height, width).numpy()

    unfolded, known = kept
    fold = 2 if len(predictor.unfold) else 1

    def rows(first: int, last: int) -> None:
        read = predictor.features[first // fold :] if refine is None else refine.rows(first, last)
        reconstruct_rows(
            *(read, *predictor[1:], unfolded[first // 2 :], known, level, images.margin),
            *(starts, sizes, *others, coarser, first, last, out),
        )

    in_strips(rows, height, HEIGHT, PAIR)
    return out


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
