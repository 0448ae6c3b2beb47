"""How the images that an encoder needs are packed into channels that Nuke's Inference takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kpcn_core.errors import UnknownName
from kpcn_core.export.inputs import Input, inputs, prepared

RGB = ("rgba.red", "rgba.green", "rgba.blue")
ALPHA = "rgba.alpha"
# Channels of others are refused, it is said ("invalid map<K, T> key"): these are in every script.
# What they carry here has nothing to do with their names.
CARRIERS = (
    "forward.u", "forward.v", "backward.u", "backward.v", "disparityL.x", "disparityL.y",
    "disparityR.x", "disparityR.y", "depth.Z", "mask.a", "rotopaint_mask.a", "mask_planartrack.a",
    "mask_splinewarp.a", "deep.front", "deep.back",
)  # fmt: skip
MOST = len(RGB) + 1 + len(CARRIERS)
MASK = Input("mask", 1, "")


@dataclass(frozen=True)
class Packing:
    """Images in a fixed order, and the channels that carry them.

    Attributes:
        inputs: what the module is given, in order; `MASK` among them if there is room for it.
        channels: their names, as many as all inputs have planes.
    """

    inputs: tuple[Input, ...]
    channels: tuple[str, ...]

    @property
    def has_mask(self) -> bool:
        """Whether a mask of the asymmetry rides along."""
        return MASK in self.inputs

    def pack(self, aovs: Mapping[str, Tensor], mask: Tensor | None = None) -> Tensor:
        """What Nuke hands to the module [1,C,H,W], of AOVs and a mask [1,1,H,W]; None is all 0."""
        images = prepared(aovs, [one for one in self.inputs if one != MASK])
        images[MASK.name] = torch.zeros_like(aovs["color"][:, :1]) if mask is None else mask
        return torch.cat([images[one.name] for one in self.inputs], dim=1)

    def of(self, name: str) -> tuple[str, ...]:
        """The channels that carry one input."""
        first = 0
        for one in self.inputs:
            if one.name == name:
                return self.channels[first : first + one.channels]
            first += one.channels
        raise KeyError(name)


def packing(planes: Sequence[str]) -> Packing:
    """Pack what an encoder of these planes needs.

    The color is where it always is, and the mask in alpha. Without room for a mask there is none.

    Raises:
        UnknownName: the encoder needs more than Inference takes, or cannot be exported.
    """
    color, *others = inputs(planes)
    count = color.channels + sum(one.channels for one in others)
    if count > MOST:
        raise UnknownName(
            f"This encoder needs {count} channels, and Nuke's Inference takes {MOST}. Choose "
            f"another with --encoder."
        )
    if count == MOST:
        return Packing((color, *others), (*RGB, ALPHA, *CARRIERS))
    return Packing((color, MASK, *others), (*RGB, ALPHA, *CARRIERS)[: count + 1])
