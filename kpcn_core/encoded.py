"""Frames with their features, alone and in windows: what is kept between two results.

A window's features, put together, and what its other frames add to the centre depend on no lambda.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from kpcn_core import inference
from kpcn_core.allocation import give_back
from kpcn_core.model.network import Network
from kpcn_core.model.reconstruction import Image, Shares
from kpcn_core.model.temporal import Context
from kpcn_core.prepared import Prepared
from kpcn_core.region import Region, origin, reached, whole


@dataclass(frozen=True)
class EncodedFrame:
    """A frame with its features: what is kept of it while a window slides over it.

    Attributes:
        prepared: the frame.
        features: see `Network.encode`.
        turned: the same of the frame upside down, for high quality.
    """

    prepared: Prepared
    features: list[Tensor]
    turned: "EncodedFrame | None" = None


class Gathered(NamedTuple):
    """What no lambda changes.

    Attributes:
        contexts: features of the window.
        others: what its other frames add to the centre.
        layers: what the centre's kernels are applied to, and what of that is finished.
    """

    contexts: list[Context]
    others: Shares | None
    layers: inference.Layers


@dataclass
class Encoded:
    """A window of encoded frames; filtering its centre is all that a new lambda costs.

    Attributes:
        frames: in order.
        centre: index of the frame to filter.
        motion: from it to each frame, pixels [1,2,H,W].
        gathered: kept where one tile is the whole frame.
        turned: the same window upside down, for high quality.
    """

    frames: Sequence[EncodedFrame]
    centre: int
    motion: list[Tensor]
    gathered: Gathered | None = None
    turned: "Encoded | None" = None


def gathered(network: Network, encoded: Encoded, region: Region) -> Gathered:
    """What no lambda changes of a region of the centre; kept where that is the whole frame."""
    if region != whole(*encoded.frames[encoded.centre].prepared.frame.size):
        encoded.gathered = None  # where memory ended, there is none for what was kept
        return _gather(network, encoded, region)
    if encoded.gathered is None:
        encoded.gathered = _gather(network, encoded, region, keep=True)
    return encoded.gathered


def _gather(network: Network, encoded: Encoded, region: Region, keep: bool = False) -> Gathered:
    """A region of the window's features, and what its other frames add to the centre."""
    centre = encoded.centre
    here = encoded.frames[centre].prepared
    regions = _regions(network, encoded, region)
    features = [
        other.of_features(frame.features, network.config.cells)
        for other, frame in zip(regions, encoded.frames, strict=True)
    ]
    images = _one_by_one(encoded, regions, here.gain)
    motion = [region.of(vectors) for vectors in encoded.motion]
    origins = [origin(region, other) for other in regions]
    contexts = inference.gather(network, features, motion, centre, origins)
    others = inference.around(network, contexts, images, motion, centre, origins)
    own = {name: region.of_image(image) for name, image in here.images.items()}
    return Gathered(contexts, others, inference.layers(network, own, keep))


def _regions(network: Network, encoded: Encoded, tile: Region) -> list[Region]:
    """What of each frame a tile of the centre frame reads."""
    height, width = encoded.frames[encoded.centre].prepared.frame.size
    alignment, margin = network.config.alignment, network.kernel_footprint
    if tile == whole(height, width):
        return [tile] * len(encoded.frames)
    return [
        tile
        if index == encoded.centre
        else reached(tile.of(vectors), tile, margin, alignment, height, width)
        for index, vectors in enumerate(encoded.motion)
    ]


def _one_by_one(
    encoded: Encoded, regions: Sequence[Region], gain: Tensor
) -> Iterator[dict[str, Image]]:
    """What a tile reads of every frame, made when it is asked for."""
    for region, frame in zip(regions, encoded.frames, strict=True):
        if region != whole(*frame.prepared.frame.size):
            give_back()  # no two regions are alike
        yield frame.prepared.images_in(region, gain)
