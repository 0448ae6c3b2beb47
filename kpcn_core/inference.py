"""One window, or a region of it, through the network: tensors of any size in, filtered images out.

Sizes are padded to what the network reads by pixels that are not valid, and cut back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from kpcn_core.features import Component
from kpcn_core.model.network import Network, Origin
from kpcn_core.model.reconstruction import (
    Image,
    motion_pyramid,
    reconstruct,
    slope_pyramid,
)
from kpcn_core.model.temporal import Context


def encode(
    network: Network, parts: Mapping[str, Component], aovs: Mapping[str, Tensor], encoder: str
) -> list[Tensor]:
    """Features of one frame at every scale, finest first; of its size rounded up.

    Args:
        network: whose encoder reads the frame.
        parts: the components of the frame, see `features.components`.
        aovs: its AOVs [B,C,H,W].
        encoder: name of the encoder.
    """
    alignment = network.config.alignment
    grown = {name: _padded_component(part, alignment) for name, part in parts.items()}
    guides = {name: padded(aov, alignment) for name, aov in aovs.items()}
    planes = network.planes(grown, guides, encoder)
    ordered = [level.contiguous(memory_format=torch.channels_last) for level in planes]
    return network.encode(ordered, encoder)


def gather(
    network: Network,
    frames: Sequence[list[Tensor]],
    motion: Sequence[Tensor],
    centre: int,
    origins: Sequence[Origin] | None = None,
) -> list[Context]:
    """Features of all frames of a window together, at every scale (paper §3.3)."""
    pyramids = [_motion(network, vectors) for vectors in motion]
    return network.window(frames, pyramids, centre, origins)


def render(
    network: Network,
    contexts: Sequence[Context],
    window: Sequence[Mapping[str, Image]],
    motion: Sequence[Tensor],
    centre: int,
    slope: Tensor | None = None,
    origins: Sequence[Origin] | None = None,
) -> dict[str, Tensor]:
    """Filter the centre frame: all that a new lambda costs (paper §4.3).

    Args:
        network: predicts the kernels.
        contexts: see `gather`.
        window: the components of every frame.
        motion: from the centre to each frame, pixels [B,2,H,W].
        centre: index of the centre frame.
        slope: log(lambda) of every pixel [B,1,H,W]; None is lambda = 1.
        origins: see `Network.window`.

    Returns:
        Component to the filtered image [B,C,H,W]; NaN where no kernel covers a valid pixel.
    """
    alignment, scales = network.config.alignment, network.config.scales
    height, width = motion[centre].shape[-2:]
    if slope is not None:
        contexts = network.specialize(contexts, slope_pyramid(padded(slope, alignment), scales))
    images = [
        {
            name: Image(padded(image.radiance, alignment), padded(image.valid, alignment))
            for name, image in frame.items()
        }
        for frame in window
    ]
    pyramids = [_motion(network, vectors) for vectors in motion]
    filtered = reconstruct(network, contexts, images, pyramids, centre, origins)
    return {name: image[..., :height, :width] for name, image in filtered.items()}


def padded(image: Tensor, alignment: int) -> Tensor:
    """An image [B,C,H,W] with zeros to the right and below, up to multiples of the alignment."""
    height, width = image.shape[-2:]
    right, below = -width % alignment, -height % alignment
    return functional.pad(image, [0, right, 0, below]) if right or below else image


def _motion(network: Network, vectors: Tensor) -> list[Tensor]:
    return motion_pyramid(padded(vectors, network.config.alignment), network.config.scales)


def _padded_component(part: Component, alignment: int) -> Component:
    return replace(
        part,
        radiance=padded(part.radiance, alignment),
        variance=None if part.variance is None else padded(part.variance, alignment),
        valid=padded(part.valid, alignment),
    )
