"""What a stage must do at least: multiplications, and bytes that come from and go to memory.

Counted on the network itself, run without numbers (torch's device "meta"). A layer reads its input
and its weights once and writes its output once; activations and sums are part of that. Logits are
never written: they need not be.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kpcn_core import inference
from kpcn_core.model.network import Network
from kpcn_core.model.temporal import Context

IMAGE = 4  # bytes of a number of an image, whatever the precision of features


@dataclass(frozen=True)
class Work:
    """What is to be done.

    Attributes:
        macs: multiplications, each with its addition.
        bytes: read and written.
    """

    macs: int = 0
    bytes: int = 0

    def __add__(self, other: "Work") -> "Work":
        return Work(self.macs + other.macs, self.bytes + other.bytes)

    def floor(self, flops: float, bandwidth: float) -> float:
        """Seconds that a device needs at least, for FLOP/s and bytes a second that it can do."""
        return max(2 * self.macs / flops, self.bytes / bandwidth)


def without_numbers(network: Network) -> Network:
    """A network of the same shapes that computes nothing."""
    return deepcopy(network).to("meta")


def shapes(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Tensors as `without_numbers` reads them."""
    return [torch.empty_like(one, device="meta") for one in tensors]


def moved(*tensors: Tensor) -> Work:
    """Reading or writing these."""
    return Work(0, sum(one.nbytes for one in tensors))


def convolutions(network: Network, call: Callable[[], object]) -> Work:
    """Those that a call runs.

    Args:
        network: see `without_numbers`; whose layers count.
        call: runs it, or parts of it.
    """
    found: list[Work] = []

    def count(layer: nn.Conv2d, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        macs = output.numel() * layer.weight[0].numel()
        found.append(Work(macs) + moved(*inputs, layer.weight, output))

    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(layer, nn.Conv2d)
    ]
    try:
        call()
    finally:
        for hook in hooks:
            hook.remove()
    return sum(found, Work())


def combiner(
    network: Network, frames: Sequence[Sequence[Tensor]], motion: Sequence[Tensor], centre: int
) -> Work:
    """Gathering the features of a window (paper §3.3); those of other frames are moved, too.

    Args:
        network: see `without_numbers`.
        frames: features of each frame, at every scale.
        motion: from the centre to each, pixels.
        centre: index of the centre.
    """
    window, vectors = [shapes(frame) for frame in frames], shapes(motion)
    layers = convolutions(network, lambda: inference.gather(network, window, vectors, centre))
    gathered = [one[: network.config.scales] for index, one in enumerate(window) if index != centre]
    others = [level for one in gathered for level in one]
    return layers + moved(*others, *others)


def kernels(
    network: Network,
    contexts: Sequence[Context],
    planes: Mapping[str, int],
    frames: Sequence[int | None] = (None,),
) -> Work:
    """Predicting kernels at every scale and applying them.

    Args:
        network: see `without_numbers`.
        contexts: of every scale, likewise.
        planes: component to the number of its planes, mask included.
        frames: of the window; None for the centre.
    """
    return sum(
        (
            _kernels(network, context, scale, planes, frame)
            for frame in frames
            for scale, context in enumerate(contexts)
        ),
        Work(),
    )


def _kernels(
    network: Network, context: Context, scale: int, planes: Mapping[str, int], frame: int | None
) -> Work:
    layers = {}
    names = list(planes)
    done = convolutions(
        network, lambda: layers.update(network.kernel_layers(context, scale, names, frame))
    )
    for name, layer in layers.items():
        pixels = layer.features[:, 0].numel()
        taps = len(layer.weight) * planes.get(name, 0)  # joins have no taps
        there_and_back = 2 * planes.get(name, 0) * IMAGE
        done += Work(pixels * (layer.weight.numel() + taps), pixels * there_and_back)
    return done + moved(context.shared)
