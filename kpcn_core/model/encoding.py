"""`Network.encode` on a CPU: the 3x3 layers of encoder and U-Net by `ops.winograd`.

Needs the extra "cpu" (`ops.compiler`). Same layers, same order; what is done to a layer's input and
result one pixel at a time is done while they are read and written.
"""

from collections.abc import Mapping
from itertools import accumulate
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from kpcn_core.features import LIGHT, PLANES, VARIANCE_EPSILON, Component
from kpcn_core.model.encoder import Encoder
from kpcn_core.model.network import Network
from kpcn_core.model.residual import ResidualBlock
from kpcn_core.model.unet import UNet
from kpcn_core.ops import compiler
from kpcn_core.ops.memory import channels_last
from kpcn_core.ops.workers import each, in_strips

Floats = NDArray[np.float32]

HEIGHT = 16  # rows that a thread does at a time
SIDE = 4  # of the squares that `winograd.convolve_rows` makes
FEW = 4  # of cells with all of their planes, which stay in the second cache
WIDTHS = 16  # what numbers of channels must be multiples of
NOTHING = np.empty((0, 0, 0), np.float32)

# Layer to its weights as they were, and as they are read.
_kept: WeakKeyDictionary[nn.Conv2d, tuple[tuple[int, int], Floats]] = WeakKeyDictionary()


def usable(network: Network, image: Tensor) -> bool:
    """Whether this can encode what is asked: float32 on a CPU, and nothing to learn."""
    return (
        not network.apart
        and all(width % WIDTHS == 0 for width in network.config.channels)
        and image.device.type == "cpu"
        and image.dtype == network.precision == torch.float32
        and len(image) == 1
        and not torch.is_grad_enabled()
        and compiler.installed()
    )


def planes(
    network: Network, parts: Mapping[str, Component], aovs: Mapping[str, Tensor], encoder: str
) -> Tensor:
    """`Network.planes` of a frame of any size, folded [1,P*fold**2,h,w].

    Args:
        network: whose encoder reads them.
        parts: components of the frame, see `features.components`.
        aovs: its AOVs [1,C,H,W].
        encoder: its name.
    """
    from kpcn_core.ops.planes import fold_deviation, fold_image, turn_lines

    config = network.config
    names = network.planes_of(encoder)
    size = next(iter(parts.values())).valid.shape[-2:]
    aligned = (-(-length // config.alignment) * config.alignment for length in size)
    height, width = (length // config.fold for length in aligned)
    depth = sum(PLANES[name] for name in names) * config.fold**2
    out = channels_last(depth, height, width)
    cells = pixels_of(out)
    starts = [0, *accumulate(PLANES[name] for name in names)]
    seen = [
        (name, start, *_seen(name, parts, aovs)) for name, start in zip(names, starts, strict=False)
    ]

    def rows(first: int) -> None:
        last = min(first + FEW, height)
        there, count = slice(config.fold * first, config.fold * last), last - first
        lines = torch.empty(count, depth, width).numpy()
        for name, start, whole, spread in seen:
            mean = _planes(whole, there)
            if spread is None:
                fold_image(mean, name != "normal", config.fold, start, 0, count, lines)
            else:
                variance = _planes(spread, there)
                fold_deviation(
                    *(mean, variance, VARIANCE_EPSILON, config.fold, start),
                    *(0, count, lines),
                )
        turn_lines(lines, cells[first:last])

    each(rows, [(first,) for first in range(0, height, FEW)])
    return out


def _planes(image: Floats, rows: slice) -> tuple[Floats, ...]:
    """Some rows, a plane for each channel; those of a tile are copied, of a whole frame not."""
    return tuple(np.ascontiguousarray(plane) for plane in image[:, rows])


def _seen(
    name: str, parts: Mapping[str, Component], aovs: Mapping[str, Tensor]
) -> tuple[Floats, Floats | None]:
    """What a plane is made of: an image; of a deviation, mean and variance (`joint_planes`)."""
    base = name.removesuffix("_variance")
    part = parts.get(base) if base in LIGHT else None
    if name == "emission" and part is None:
        return np.zeros((3, 1, 1), np.float32), None
    mean = aovs[base] if part is None else part.radiance
    if base == name:
        return mean[0].numpy(), None
    variance = aovs[f"{base}_mse"] if part is None else part.variance
    assert variance is not None
    return mean[0].numpy(), variance[0].numpy()


def read(network: Network, folded: Tensor, encoder: str) -> list[Tensor]:
    """`Network.read` of what `planes` gave."""
    module = network.encoders[encoder]
    assert isinstance(module, Encoder)
    own = [] if module.pixels is None else [_of_pixels(module, folded)]
    first = convolved(_conv(module.first), folded, relu_after=True)
    return [convolved(_conv(module.second), first), *own]


def _of_pixels(module: Encoder, folded: Tensor) -> Tensor:
    weight, bias = module.folded_pixels()
    return _at_each(folded, weight, bias)


def _at_each(image: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A 1x1 layer, as a product of matrices: torch's own turns such images around, and back."""
    found = functional.linear(image.permute(0, 2, 3, 1), weight.flatten(1), bias)
    return found.permute(0, 3, 1, 2)


def trunk(network: Network, features: Tensor) -> list[Tensor]:
    """`UNet.forward`."""
    module = network.trunk
    assert isinstance(module, UNet)
    skips = [features]
    for shrink, down in zip(module.shrink, module.down, strict=True):
        smaller = halved(_conv(shrink), skips[-1])
        skips.append(convolved(_conv(down), smaller, relu_before=True))
    found = [residual(module.bottom, skips.pop())]
    for widen, up in zip(reversed(module.widen), reversed(module.up), strict=True):
        larger = widened(_conv(widen), found[-1])
        found.append(convolved(_conv(up), skips.pop(), larger, relu_before=True))
    found.append(residual(module.refine, found.pop()))
    return found[::-1]


def widened(layer: nn.Conv2d, image: Tensor) -> Tensor:
    """A 1x1 layer after a ReLU; some rows at a time, so that what it reads is in the cache."""
    height, width = image.shape[-2:]
    out = channels_last(layer.out_channels, height, width)

    def rows(first: int, last: int) -> None:
        seen = functional.relu(image[..., first:last, :])
        out[..., first:last, :] = _at_each(seen, layer.weight, layer.bias)

    in_strips(rows, height, HEIGHT)
    return out


def halved(layer: nn.Conv2d, image: Tensor) -> Tensor:
    """A 3x3 layer over every second pixel, after a ReLU.

    Some rows at a time, each by one thread: torch's own sums depend on the number of threads.
    """
    height, width = (-(-length // 2) for length in image.shape[-2:])
    out = channels_last(layer.out_channels, height, width)

    def rows(first: int, last: int) -> None:
        above, below = int(first == 0), max(2 * last - image.shape[-2], 0)
        seen = functional.relu(image[..., max(2 * first - 1, 0) : 2 * last, :])
        if above or below:
            seen = functional.pad(seen, [0, 0, above, below])
        found = functional.conv2d(seen, layer.weight, layer.bias, stride=2, padding=(0, 1))
        out[..., first:last, :] = found

    in_strips(rows, height, HEIGHT)
    return out


def residual(stack: nn.Module, features: Tensor) -> Tensor:
    """`ResidualStack.forward`."""
    for block in stack.children():
        assert isinstance(block, ResidualBlock)
        inner = convolved(_conv(block.first), features, relu_before=True, relu_after=True)
        # No name keeps what was before: at most three images of features.
        features = convolved(_conv(block.second), inner, added=features)
        del inner
    return features


def convolved(
    layer: nn.Conv2d,
    image: Tensor,
    coarse: Tensor | None = None,
    added: Tensor | None = None,
    *,
    relu_before: bool = False,
    relu_after: bool = False,
) -> Tensor:
    """A 3x3 layer with a ReLU before, after, both or neither.

    Args:
        layer: of a multiple of WIDTHS outputs.
        image: [1,C,H,W].
        coarse: added to the image before all else, each pixel repeated over 2x2 [1,C,H/2,W/2].
        added: to the result, last.
        relu_before: whether negative inputs count as 0.
        relu_after: whether negative results become 0.
    """
    from kpcn_core.ops.winograd import convolve_rows

    height, width = image.shape[-2:]
    # A batch of one, channels last.
    out = channels_last(layer.out_channels, height, width)
    assert layer.bias is not None
    operands = (
        pixels_of(_wide(image)),
        NOTHING if coarse is None else pixels_of(_wide(coarse)),
        transformed_weights(layer),
        layer.bias.numpy(),
        NOTHING if added is None else pixels_of(added),
        relu_before,
        relu_after,
    )
    made = pixels_of(out)

    def rows(first: int, last: int) -> None:
        convolve_rows(*operands, first, last, made)

    in_strips(rows, height, HEIGHT, SIDE)
    return out


def _wide(image: Tensor) -> Tensor:
    """The same with channels of zeros behind, where there are fewer than a register takes."""
    from kpcn_core.ops.lanes import LANES

    missing = LANES - image.shape[1]
    if missing <= 0:
        return image
    wider = functional.pad(image, [0, 0, 0, 0, 0, missing])
    return wider.contiguous(memory_format=torch.channels_last)


def pixels_of(image: Tensor) -> Floats:
    """The same memory, if it is channels-last [H,W,C]."""
    found: Floats = image[0].permute(1, 2, 0).contiguous().numpy()
    return found


def transformed_weights(layer: nn.Conv2d) -> Floats:
    """Weights of a 3x3 layer as `winograd.convolve_rows` reads them; kept."""
    from kpcn_core.ops.winograd import transformed

    weight = layer.weight
    # What inference mode made cannot be changed in place, but for within it.
    state = weight.data_ptr(), 0 if weight.is_inference() else weight._version
    known = _kept.get(layer)
    if known is None or known[0] != state:
        known = state, transformed(_wide(weight.detach()).double().numpy())
        _kept[layer] = known
    return known[1]


def _conv(layer: nn.Module) -> nn.Conv2d:
    assert isinstance(layer, nn.Conv2d)
    return layer
