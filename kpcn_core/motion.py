"""The convention of a motion layer, found by trying which one makes two frames agree."""

import json
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from kpcn_core.errors import InvalidPixels
from kpcn_core.exr_aovs import pixels_per_unit
from kpcn_core.frame import Pixels
from kpcn_core.ops.warp import warp
from kpcn_core.source import UNITS

SIGNS = (1.0, -1.0)
SHUTTERS = (1.0, 2.0)  # 1 / the shutter's length in frames: motion per frame, or half of it
OFFSETS = (0.0, 0.5)
DIRECTIONS = ("forward", "backward")
CLOSE = 1.05  # conventions whose errors differ by less cannot be told apart


@dataclass(frozen=True)
class Convention:
    """How a motion layer is stored; as in a source's toml (docs/formats.md).

    Attributes:
        direction: the AOV that it is: "forward" or "backward".
        units: see `source.Recipe`.
        scale: factors of x and y.
        offset: what is stored for no motion.
    """

    direction: str
    units: str
    scale: tuple[float, float]
    offset: float

    def toml(self, layer: str, channels: tuple[str, ...]) -> str:
        """The line to write into the `[aovs]` of a source."""
        parts = [f'layer = "{layer}"']
        if channels:
            parts.append(f"channels = {json.dumps(channels)}")
        if self.units != "pixels":
            parts.append(f'units = "{self.units}"')
        parts.append(f"scale = [{self.scale[0]:g}, {self.scale[1]:g}]")
        if self.offset:
            parts.append(f"offset = {self.offset:g}")
        return f"{self.direction} = {{ {', '.join(parts)} }}"

    def factors(self, height: int, width: int) -> tuple[float, float]:
        """Pixels (x, y) for a stored motion of 1, in an image of this size."""
        x, y = pixels_per_unit(self.units, height, width)
        return x * self.scale[0], y * self.scale[1]

    def in_pixels(self, stored: Tensor) -> Tensor:
        """Motion [B,2,H,W] in our units: pixels, +x right, +y down."""
        height, width = stored.shape[-2:]
        return (stored - self.offset) * torch.tensor(self.factors(height, width)).view(1, 2, 1, 1)


@dataclass(frozen=True)
class Calibration:
    """What was found.

    Attributes:
        best: the convention with the smallest error.
        error: its mean difference of the two frames, one moved to the other.
        still: the difference if nothing is moved.
        rivals: conventions that fit as well.
    """

    best: Convention
    error: float
    still: float
    rivals: tuple[Convention, ...]

    @property
    def is_clear(self) -> bool:
        """Whether the best explains most of the difference, and nothing else does as well."""
        return not self.rivals and self.error < 0.7 * self.still


def calibrate(
    current: Pixels, following: Pixels, motion: Pixels, next_motion: Pixels
) -> Calibration:
    """Find the convention of a motion layer from two consecutive frames.

    A forward vector leads from a pixel of the current frame to the following one; a backward vector
    of the following frame leads back. Both are tried, with every sign, unit and offset.

    Args:
        current: what is compared, albedo best, since it is free of noise and light [C,H,W].
        following: the same of the next frame [C,H,W].
        motion: the layer as it is stored [2,H,W].
        next_motion: the same of the next frame [2,H,W].

    Raises:
        InvalidPixels: the frames differ in size, or nothing moves.
    """
    if not current.shape[1:] == following.shape[1:] == motion.shape[1:] == next_motion.shape[1:]:
        raise InvalidPixels(
            f"the frames must have one size; they have {list(current.shape[1:])} and "
            f"{list(following.shape[1:])}."
        )
    here, there = _tensor(current), _tensor(following)
    vectors = {"forward": _tensor(motion), "backward": _tensor(next_motion)}
    still = (here - there).abs().mean(dim=1, keepdim=True)
    if not still.any():
        raise InvalidPixels("the two frames are equal: nothing moves that motion could explain.")
    errors = {}
    for convention in conventions(*current.shape[1:]):
        image, target = (there, here) if convention.direction == "forward" else (here, there)
        moved, inside = warp(image, convention.in_pixels(vectors[convention.direction]))
        difference = (moved - target).abs().mean(dim=1, keepdim=True)
        # What leaves the frame explains nothing.
        errors[convention] = torch.where(inside > 0, difference, still).mean().item()
    best = min(errors, key=lambda convention: errors[convention])
    limit = CLOSE * errors[best] + 1e-6
    return Calibration(
        best=best,
        error=errors[best],
        still=still.mean().item(),
        rivals=tuple(one for one, error in errors.items() if error <= limit and one != best),
    )


def conventions(height: int, width: int) -> list[Convention]:
    """Every convention that is tried; of those that are equal at this size, the plainest."""
    distinct: dict[object, Convention] = {}
    for shutter, units, direction, x, y, offset in product(
        SHUTTERS, UNITS, DIRECTIONS, SIGNS, SIGNS, OFFSETS
    ):
        convention = Convention(direction, units, (shutter * x, shutter * y), offset)
        distinct.setdefault((direction, convention.factors(height, width), offset), convention)
    return list(distinct.values())


def _tensor(pixels: Pixels) -> Tensor:
    return torch.nan_to_num(torch.from_numpy(pixels)[None], posinf=0.0, neginf=0.0)
