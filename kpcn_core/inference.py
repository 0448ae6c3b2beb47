"""One window, or a region of it, through the network: tensors of any size in, filtered images out.

Sizes are padded to what the network reads by pixels that are not valid, and cut back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from kpcn_core.features import Component
from kpcn_core.model import blocks, combining, convolved, encoding, streamed
from kpcn_core.model.network import Network, Origin
from kpcn_core.model.reconstruction import (
    Image,
    Shares,
    motion_pyramid,
    neighbours,
    reconstruct,
    slope_pyramid,
)
from kpcn_core.model.specialization import is_one_number
from kpcn_core.model.temporal import Context
from kpcn_core.ops import fusion
from kpcn_core.ops.kernels import without_mask


class Kept(NamedTuple):
    """What no lambda changes of a result, where lambda enters the kernels.

    Attributes:
        finished: components that are filtered already.
        unfolded: see `blocks.reconstruct`.
    """

    finished: dict[str, Tensor]
    unfolded: dict[int, blocks.Floats]


class Layers(NamedTuple):
    """What kernels are applied to, as the fastest way to apply them reads it.

    Attributes:
        size: height and width, pixels.
        images: component to its image; grown to what the network reads, where that is read.
        pyramid: the same for `blocks`; None where those cannot be used.
        kept: None keeps nothing.
    """

    size: tuple[int, int]
    images: Mapping[str, Image]
    pyramid: blocks.Pyramid | None
    kept: Kept | None


def planes(
    network: Network, parts: Mapping[str, Component], aovs: Mapping[str, Tensor], encoder: str
) -> list[Tensor]:
    """What `read` reads of a frame; arguments as of `encode`."""
    if encoding.usable(network, next(iter(parts.values())).radiance):
        return [encoding.planes(network, parts, aovs, encoder)]
    if fusion.usable(next(iter(parts.values())).radiance):
        # Triton is not everywhere.
        from kpcn_core.model import planes as fused

        return fused.planes(network, parts, aovs, encoder)
    alignment = network.config.alignment
    grown = {name: _padded_component(part, alignment) for name, part in parts.items()}
    guides = {name: padded(aov, alignment) for name, aov in aovs.items()}
    found = network.planes(grown, guides, encoder)
    return [level.to(network.precision, memory_format=torch.channels_last) for level in found]


def encode(
    network: Network, parts: Mapping[str, Component], aovs: Mapping[str, Tensor], encoder: str
) -> list[Tensor]:
    """`Network.encode` of one frame; of its size rounded up.

    Args:
        network: whose encoder reads the frame.
        parts: the components of the frame, see `features.components`.
        aovs: its AOVs [B,C,H,W].
        encoder: name of the encoder.
    """
    return trunk(network, read(network, planes(network, parts, aovs, encoder), encoder))


def read(network: Network, seen: Sequence[Tensor], encoder: str) -> list[Tensor]:
    """What an encoder (paper §3.2) makes of `planes`."""
    if encoding.usable(network, seen[0]):
        return encoding.read(network, seen[0], encoder)
    if fusion.usable(seen[0]):
        return convolved.read(network, seen, encoder)
    return network.read(seen, encoder)


def trunk(network: Network, encoded: Sequence[Tensor]) -> list[Tensor]:
    """`Network.extract` of what `read` gave."""
    if encoding.usable(network, encoded[0]):
        return [*encoding.trunk(network, encoded[0]), *encoded[1:]]
    if fusion.usable(encoded[0]):
        return convolved.trunk(network, encoded)
    return network.extract(encoded)


def gather(
    network: Network,
    frames: Sequence[list[Tensor]],
    motion: Sequence[Tensor],
    centre: int,
    origins: Sequence[Origin] | None = None,
) -> list[Context]:
    """Features of all frames of a window together, at every scale (paper §3.3)."""
    pyramids = [_motion(network, vectors) for vectors in motion]
    first = frames[0][0]
    if fusion.usable(first):
        return network.window(frames, pyramids, centre, origins, streamed.combine)
    if encoding.usable(network, first):
        return network.window(frames, pyramids, centre, origins, combining.combine)
    return network.window(frames, pyramids, centre, origins)


def around(
    network: Network,
    contexts: Sequence[Context],
    window: Iterable[Mapping[str, Image]],
    motion: Sequence[Tensor],
    centre: int,
    origins: Sequence[Origin] | None = None,
) -> Shares | None:
    """What the other frames of a window add to its centre; the same for every lambda.

    Args:
        network: predicts the kernels.
        contexts: see `gather`.
        window: the components of every frame, taken one after another.
        motion: from the centre to each frame, pixels [B,2,H,W].
        centre: index of the centre frame.
        origins: see `Network.window`.
    """
    pyramids = [_motion(network, vectors) for vectors in motion]
    if blocks.usable(network, contexts[0].shared):
        return blocks.neighbours(network, contexts, window, pyramids, centre, origins)
    images = (_padded_images(frame, network.config.alignment) for frame in window)
    return neighbours(network, contexts, images, pyramids, centre, origins)


def layers(network: Network, images: Mapping[str, Image], keep: bool = False) -> Layers:
    """Make the components of a frame ready for `render`; the same for every lambda.

    Args:
        network: predicts the kernels.
        images: component to its image.
        keep: also keep what `render` makes that no lambda changes, for the next one.
    """
    first = next(iter(images.values())).radiance
    height, width = first.shape[-2:]
    kept = Kept({}, {}) if keep and network.unsteered else None
    if blocks.usable(network, first):
        return Layers((height, width), images, blocks.pyramid(network, images), kept)
    grown = _padded_images(images, network.config.alignment)
    return Layers((height, width), grown, None, kept)


def render(
    network: Network,
    contexts: Sequence[Context],
    images: Layers,
    others: Shares | None = None,
    slope: Tensor | None = None,
) -> dict[str, Tensor]:
    """Filter the centre frame of a window: all that a new lambda costs (paper §4.3).

    Args:
        network: predicts the kernels.
        contexts: see `gather`.
        images: see `layers`.
        others: see `around`.
        slope: log(lambda) of every pixel [B,1,H,W]; None is lambda = 1.

    Returns:
        Component to the filtered image [B,C,H,W]; NaN where no kernel covers a valid pixel.
    """
    alignment, scales = network.config.alignment, network.config.scales
    slopes = None if slope is None else slope_pyramid(_grown(slope, alignment), scales)
    finished = images.kept.finished if images.kept else {}
    wanted = [name for name in images.images if name not in finished]
    if slopes is not None:
        contexts = network.specialize(contexts, slopes)
    if images.pyramid is None:
        asked = {name: images.images[name] for name in wanted}
        filtered = reconstruct(network, contexts, asked, others)
    else:
        pyramid = images.pyramid.of([name for name in images.pyramid.planes if name in wanted])
        # Not at the first time: most windows are rendered once.
        unfolded = images.kept.unfolded if images.kept and finished else None
        joined = blocks.reconstruct(network, contexts, pyramid, others, unfolded)
        filtered = {name: _unmasked(image, images.size) for name, image in joined.items()}
    found = finished | filtered
    if images.kept:
        finished.update((name, found[name]) for name in network.unsteered & set(found))
    height, width = images.size
    return {name: image[..., :height, :width] for name, image in found.items()}


def _unmasked(image: Tensor, size: tuple[int, int]) -> Tensor:
    """`without_mask` of an image cut to a size; where it is valid everywhere, as it lies there."""
    cut = image[..., : size[0], : size[1]]
    return cut[:, :-1] if cut[:, -1].amin() > 0 else without_mask(cut)


def _padded_images(images: Mapping[str, Image], alignment: int) -> dict[str, Image]:
    return {
        name: Image(padded(image.radiance, alignment), padded(image.valid, alignment))
        for name, image in images.items()
    }


def padded(image: Tensor, alignment: int, value: float = 0.0) -> Tensor:
    """An image [B,C,H,W] grown to the right and below, up to multiples of the alignment."""
    height, width = image.shape[-2:]
    right, below = -width % alignment, -height % alignment
    return functional.pad(image, [0, right, 0, below], value=value) if right or below else image


def _grown(slope: Tensor, alignment: int) -> Tensor:
    # Not by zeros: coarse pixels at the border see the mean, and a lambda would fade there.
    height, width = slope.shape[-2:]
    if is_one_number(slope):
        grown = (-(-length // alignment) * alignment for length in (height, width))
        return slope[..., :1, :1].expand(-1, -1, *grown)
    return functional.pad(slope, [0, -width % alignment, 0, -height % alignment], mode="replicate")


def _motion(network: Network, vectors: Tensor) -> list[Tensor]:
    # No number leads nowhere: pixels that are not there must read nothing of other frames.
    grown = padded(vectors, network.config.alignment, torch.nan)
    return motion_pyramid(grown, network.config.scales)


def _padded_component(part: Component, alignment: int) -> Component:
    return replace(
        part,
        radiance=padded(part.radiance, alignment),
        variance=None if part.variance is None else padded(part.variance, alignment),
        valid=padded(part.valid, alignment),
    )
