"""A frame on the device: what the network reads of it, and what its kernels are applied to."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from kpcn_core import features, features_compiled
from kpcn_core.errors import InvalidPixels, MissingAov, UnknownName
from kpcn_core.features import Component
from kpcn_core.frame import Frame, Pixels
from kpcn_core.half_turn import turned
from kpcn_core.model.reconstruction import Image
from kpcn_core.motion import DIRECTIONS
from kpcn_core.ops import compiler, fusion
from kpcn_core.ops.trajectory import trajectories
from kpcn_core.region import Region
from kpcn_core.transfer import tensor

log = logging.getLogger(__name__)

# What a further layer can be filtered like -> the component whose kernels it gets.
LIKE = {
    "diffuse": "irradiance",
    "specular": "specular",
    "emission": "emission",
    "albedo": "albedo",
    "color": "specular",
}


@dataclass(frozen=True)
class Prepared:
    """A frame on the device.

    Attributes:
        frame: as it was read.
        gain: exposure factor [1,1,1,1].
        parts: its components, exposed; what the network reads.
        aovs: its AOVs [1,C,H,W]; of which the network reads the guides.
        images: its components, exposed, each followed by the further layers that are filtered like
            it; what the kernels are applied to.
        riders: component to the names of those layers, in their order.
    """

    frame: Frame
    gain: Tensor
    parts: Mapping[str, Component]
    aovs: Mapping[str, Tensor]
    images: Mapping[str, Image]
    riders: Mapping[str, list[str]]

    @property
    def planes(self) -> int:
        """Of all images and their masks together."""
        return sum(image.radiance.shape[1] + 1 for image in self.images.values())

    def turned(self) -> "Prepared":
        """The same upside down, but for `frame`, which is as it was read."""
        aovs = {name: turned(aov) for name, aov in self.aovs.items()}
        for name in {*DIRECTIONS} & aovs.keys():
            aovs[name].neg_()
        parts = {name: _turned(part) for name, part in self.parts.items()}
        images = {
            # Most are the same pixels as the component's.
            name: Image(parts[name].radiance, parts[name].valid)
            if image.radiance is self.parts[name].radiance
            else Image(turned(image.radiance), turned(image.valid))
            for name, image in self.images.items()
        }
        return Prepared(self.frame, self.gain, parts, aovs, images, self.riders)

    def images_in(self, region: Region, gain: Tensor) -> dict[str, Image]:
        """A region of the images, at the exposure of another frame, so that both can be summed."""
        factor = gain / self.gain
        found = {name: region.of_image(image) for name, image in self.images.items()}
        return {
            name: image if name == "albedo" else Image(image.radiance * factor, image.valid)
            for name, image in found.items()
        }

    def components(self, filtered: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The components of filtered images, still exposed."""
        return {name: image[:, :3] for name, image in filtered.items()}

    def layers(self, filtered: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The further layers of filtered images, in the units of the frame."""
        found: dict[str, Tensor] = {}
        for name, riders in self.riders.items():
            sizes = [3, *(len(_layer(self.frame, rider)) for rider in riders)]
            pieces = torch.split(filtered[name], sizes, dim=1)[1:]
            for rider, piece in zip(riders, pieces, strict=True):
                found[rider] = piece / _unit(name, filtered, self.gain, piece.shape[1])
        return found


def prepare(frame: Frame, split: bool, like: Mapping[str, str], device: torch.device) -> Prepared:
    """Bring a frame to the device.

    Args:
        frame: needs "color".
        split: whether diffuse light is filtered by itself, where the frame has it.
        like: name of a layer of `frame.layers`, or "alpha", to one of `LIKE`.
        device: where to compute.

    Raises:
        InvalidPixels: a component has not one finite pixel.
        MissingAov: a layer is to be filtered like something that the frame lacks.
    """
    aovs = {name: tensor(pixels, device) for name, pixels in frame.aovs.items()}
    gain, parts = _components(aovs, split)
    riders = _riders(frame, parts, like)
    images = {
        name: _image(part, [_exposed(frame, name, one, aovs, gain) for one in riders[name]])
        for name, part in parts.items()
    }
    _report_invalid(frame, riders, images)
    return Prepared(frame, gain, parts, aovs, images, riders)


def _components(aovs: Mapping[str, Tensor], split: bool) -> tuple[Tensor, dict[str, Component]]:
    """Exposure factor and components."""
    color = aovs["color"]
    expose: Callable[[Tensor], Tensor] = features.exposure
    make: Callable[..., Component] = features.component
    if fusion.usable(color):
        # Triton is not everywhere.
        from kpcn_core import features_fused

        expose, make = features_fused.exposure, features_fused.component
    elif compiler.usable(color):
        expose, make = features_compiled.exposure, features_compiled.component
    gain = expose(color)
    return gain, features.components(aovs, gain, split, make)


def _turned(part: Component) -> Component:
    variance = None if part.variance is None else turned(part.variance)
    return replace(
        part, radiance=turned(part.radiance), variance=variance, valid=turned(part.valid)
    )


def motion_of(window: list[Prepared], centre: int) -> list[Tensor]:
    """Motion from the centre frame of a window to each [1,2,H,W], from the frames' own vectors.

    Raises:
        MissingAov: a frame has no motion in a direction that is needed.
        InvalidPixels: the frames differ in size.
    """
    size = window[centre].frame.size
    vectors: dict[str, list[Tensor]] = {"forward": [], "backward": []}
    for index, one in enumerate(window):
        if one.frame.size != size:
            raise InvalidPixels(
                f"{one.frame.label}: is {list(one.frame.size)} pixels; the other frames of its "
                f"window are {list(size)}. Denoise it by itself with --window 1."
            )
        for aov, needed in (
            ("forward", centre <= index < len(window) - 1),
            ("backward", 0 < index <= centre),
        ):
            if needed and aov not in one.aovs:
                raise MissingAov(
                    f"{one.frame.label}: a window needs motion vectors, and the frame has no AOV "
                    f"'{aov}'; it has {', '.join(one.frame.aovs)}. Map a layer to it with "
                    f"--aov {aov}=LAYER, let it be estimated (--flow), or use --window 1."
                )
            known = one.aovs.get(aov)
            vectors[aov].append(torch.zeros_like(one.gain) if known is None else known)
    if len(window) == 1:
        return [torch.zeros_like(window[0].aovs["color"][:, :2])]
    still = torch.zeros_like(window[centre].aovs["color"][:, :2])
    forward, backward = (
        [still if one.numel() == 1 else one for one in vectors[aov]] for aov in vectors
    )
    return trajectories(forward, backward, centre)


def _riders(
    frame: Frame, parts: Mapping[str, Component], like: Mapping[str, str]
) -> dict[str, list[str]]:
    """Component to the layers that are filtered like it."""
    riders: dict[str, list[str]] = {name: [] for name in parts}
    for layer, model in like.items():
        if model not in LIKE:
            raise UnknownName(
                f"Layer '{layer}' cannot be filtered like '{model}'; there are {', '.join(LIKE)}."
            )
        whole = "irradiance" not in parts
        # The kernels of the albedo know silhouettes; without them, those of the color do.
        name = "specular" if whole and model in ("color", "albedo") else LIKE[model]
        if name not in riders or (model == "color" and not whole):
            raise MissingAov(
                f"{frame.label}: layer '{layer}' is to be filtered like '{model}', which is not "
                f"filtered by itself in this frame; its components are {', '.join(parts)}."
            )
        riders[name].append(layer)
    return riders


def _exposed(
    frame: Frame, component: str, layer: str, aovs: Mapping[str, Tensor], gain: Tensor
) -> Tensor:
    """A further layer [1,C,H,W] in the units of the component that it is filtered like."""
    values = tensor(_layer(frame, layer), gain.device)
    return values * _unit(component, aovs, gain, values.shape[1])


def _unit(component: str, images: Mapping[str, Tensor], gain: Tensor, planes: int) -> Tensor:
    """What a layer of so many planes is multiplied by, to be in the units of a component."""
    if component == "albedo":
        return torch.ones_like(gain)
    if component != "irradiance":
        return gain
    colors = features.demodulator(images["albedo"][:, :3])
    # Planes that are no colors, such as a coverage, belong to no channel.
    grey = colors.mean(dim=1, keepdim=True).expand(-1, planes, -1, -1)
    return gain / (grey if planes < 3 else torch.cat([colors, grey[:, 3:]], dim=1))


def _layer(frame: Frame, name: str) -> Pixels:
    """A further layer of a frame, or its alpha."""
    if name == "alpha":
        return frame["alpha"]
    if name not in frame.layers:
        raise MissingAov(
            f"{frame.label}: no layer '{name}' to denoise; of those that are asked for it has "
            f"{', '.join(frame.layers) or 'none'}."
        )
    return frame.layers[name]


def _image(part: Component, riders: list[Tensor]) -> Image:
    if not riders:
        return Image(part.radiance, part.valid)
    radiance = torch.cat([part.radiance, *riders], dim=1)
    finite = torch.isfinite(radiance).all(dim=1, keepdim=True)
    valid = part.valid * finite
    return Image(torch.where(valid > 0, radiance, 0.0), valid)


def _report_invalid(
    frame: Frame, riders: Mapping[str, list[str]], images: Mapping[str, Image]
) -> None:
    # Together: with each number that is asked for, the program waits for the device.
    counts = torch.stack([image.valid.count_nonzero() for image in images.values()]).tolist()
    for (name, image), known in zip(images.items(), counts, strict=True):
        total = image.valid.numel()
        invalid = total - known
        what = " or of ".join([f"the component '{name}'", *riders[name]])
        if invalid == total:
            raise InvalidPixels(
                f"{frame.label}: all {total} pixels of {what} are NaN or Inf; there is nothing to "
                f"filter. Render the frame again."
            )
        if invalid:
            log.warning(
                "%s: %d of %d pixels of %s are NaN or Inf; left out of every kernel",
                frame.label, invalid, total, what,
            )  # fmt: skip
