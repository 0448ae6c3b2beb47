"""The public Python API: load a network once, denoise frames."""

import logging
from collections.abc import Callable, Mapping, Sequence
from itertools import count

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from kpcn_core import features, weights
from kpcn_core.device import choose_device
from kpcn_core.errors import InvalidPixels, MissingAov, UnknownName
from kpcn_core.features import Component
from kpcn_core.frame import Frame, Pixels
from kpcn_core.model.network import Network
from kpcn_core.ops.kernels import apply_kernels
from kpcn_core.tiling import Tile, tile_size, tiles

log = logging.getLogger(__name__)

DEFAULT_MODEL = "single-frame"
DEFAULT_MEMORY = 2 << 30
OUTPUTS = ("color", "diffuse", "specular", "albedo")

Progress = Callable[[int, int], None]  # tiles done, tiles in all


class Denoiser:
    """A network on a device.

    Example:
        >>> denoiser = Denoiser.load()
        >>> exr.write(output, denoiser.denoise(exr.read(path)))
    """

    def __init__(self, network: Network, device: torch.device) -> None:
        self.device = device
        # The stubs lack this documented keyword.
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network.to(device).eval()

    @classmethod
    def load(cls, model: str = DEFAULT_MODEL, device: str = "auto") -> "Denoiser":
        """Load a network by the name it ships under, or from the path of a weights file.

        Raises:
            UnknownName: no such network or device.
            InvalidWeights: the file is damaged.
        """
        return cls(weights.load(weights.find(model)), choose_device(device))

    @torch.inference_mode()
    def denoise(
        self,
        frame: Frame,
        aovs: Sequence[str] = ("color",),
        *,
        encoder: str = "auto",
        tile: int | None = None,
        max_memory: int = DEFAULT_MEMORY,
        progress: Progress | None = None,
    ) -> Frame:
        """The same frame with some AOVs denoised; all others are the very same arrays.

        Pixels with NaN or Inf are left out of every kernel, counted, and reported as a warning.
        They get the value of their neighbours' kernel; where a kernel covers no usable pixel at
        all, the input stays.

        Args:
            frame: needs "color"; gains from every further AOV that the encoder reads.
            aovs: which of `OUTPUTS` to denoise.
            encoder: which source-aware encoder (paper §3.2); "auto" takes the source's own, else
                the one that reads most of what the frame has.
            tile: side of a tile in pixels without its overlap; None derives it from max_memory.
            max_memory: bytes that the computation of one tile may take.
            progress: called after each tile with (done, total).

        Raises:
            MissingAov: an AOV is needed that the frame lacks.
            InvalidPixels: a component has not one finite pixel.
            UnknownName: no such encoder, or an AOV that cannot be denoised.
        """
        _check_outputs(frame, aovs)
        name = self.choose_encoder(frame) if encoder == "auto" else encoder
        inputs = {
            aov: torch.from_numpy(np.ascontiguousarray(pixels))[None].to(self.device)
            for aov, pixels in frame.aovs.items()
        }
        gain = features.exposure(inputs["color"])
        components = features.components(inputs, gain)
        for component in components.values():
            _report_invalid(frame, component)
        pieces = self._tiles(frame, tile, max_memory)
        report = _counted(progress, len(components) * len(pieces))
        filtered: dict[str, Tensor] = {}
        for component in components.values():
            planes = self.network.stack(features.planes(component, inputs), name)
            images = {component.name: component.radiance}
            if component.name == "specular" and "specular" in aovs:
                # The layer lacks what is seen directly, which the component has; same kernels.
                images["specular layer"] = inputs["specular"] * gain
            filtered |= self._filter(images, component.valid, planes, name, pieces, report)
        return frame.with_aovs(**_outputs(frame, aovs, filtered, gain))

    def choose_encoder(self, frame: Frame) -> str:
        """The encoder named like the frame's source, else the one that reads most of it."""
        available = features.available_planes(frame.aovs)
        usable = [
            name
            for name, planes in self.network.config.encoders.items()
            if available.issuperset(planes)
        ]
        if not usable:
            needs = {
                name: sorted(set(planes) - available)
                for name, planes in self.network.config.encoders.items()
            }
            raise MissingAov(
                f"{frame.label}: no encoder of this network can read the frame. Missing inputs: "
                + "; ".join(f"{name}: {', '.join(planes)}" for name, planes in needs.items())
                + f". The frame has {', '.join(frame.aovs)}. Map layers with --aov NAME=LAYER."
            )
        if frame.source in usable:
            return frame.source
        best = max(usable, key=lambda name: len(self.network.config.encoders[name]))
        log.info("%s: source '%s' uses encoder '%s'", frame.label, frame.source, best)
        return best

    def _tiles(self, frame: Frame, tile: int | None, max_memory: int) -> list[Tile]:
        height, width = frame.size
        overlap, fold = self.network.footprint, self.network.config.fold
        if tile is None:
            need = self.network.bytes_per_pixel
            tile = tile_size(height, width, max_memory, need, overlap)
        return list(tiles(height, width, tile, overlap, fold))

    def _filter(
        self,
        images: Mapping[str, Tensor],
        valid: Tensor,
        planes: Tensor,
        encoder: str,
        pieces: Sequence[Tile],
        report: Callable[[], None],
    ) -> dict[str, Tensor]:
        """Filter named images [1,3,H,W] by the kernels of one component, tile by tile."""
        stacked = torch.cat(list(images.values()), dim=1)
        valid = valid * torch.isfinite(stacked).all(dim=1, keepdim=True)
        result = torch.empty_like(stacked)
        for tile in pieces:
            read = (..., tile.read_rows, tile.read_columns)
            filtered = apply_kernels(
                stacked[read], self._logits(planes[read], encoder), valid[read]
            )
            result[..., tile.rows, tile.columns] = filtered[(..., *tile.inner)]
            report()
        return dict(zip(images, torch.split(result, 3, dim=1), strict=True))

    def _logits(self, planes: Tensor, encoder: str) -> Tensor:
        """Kernels for planes of any size [1,P,H,W]: padded to the fold, and cut back."""
        height, width = planes.shape[-2:]
        fold = self.network.config.fold
        padded = functional.pad(planes, [0, -width % fold, 0, -height % fold])
        logits: Tensor = self.network(padded.contiguous(memory_format=torch.channels_last), encoder)
        return logits[..., :height, :width]


def _check_outputs(frame: Frame, aovs: Sequence[str]) -> None:
    if "color" not in frame:
        raise MissingAov(
            f"{frame.label}: no beauty to denoise; the frame has {', '.join(frame.aovs)}. "
            f"Map it with --aov color=LAYER."
        )
    split = "diffuse" in frame and "albedo" in frame
    for aov in aovs:
        if aov not in OUTPUTS:
            raise UnknownName(f"AOV '{aov}' cannot be denoised. Possible: {', '.join(OUTPUTS)}.")
        if aov != "color" and not (split and aov in frame):
            raise MissingAov(
                f"{frame.label}: denoising '{aov}' needs the AOVs {aov}, diffuse and albedo; "
                f"the frame has {', '.join(frame.aovs)}."
            )


def _report_invalid(frame: Frame, component: Component) -> None:
    invalid = int((component.valid == 0).sum())
    total = component.valid.numel()
    if invalid == total:
        raise InvalidPixels(
            f"{frame.label}: all {total} pixels of the component '{component.name}' are NaN or "
            f"Inf; there is nothing to filter. Render the frame again."
        )
    if invalid:
        log.warning(
            "%s: %d of %d pixels of the component '%s' are NaN or Inf; left out of every kernel",
            frame.label, invalid, total, component.name,
        )  # fmt: skip


def _outputs(
    frame: Frame, aovs: Sequence[str], filtered: Mapping[str, Tensor], gain: Tensor
) -> dict[str, Pixels]:
    """The AOVs asked for, recomposed; NaN (no usable pixel under a kernel) keeps the input."""
    made = {"color": features.compose(filtered, gain)}
    if "irradiance" in filtered:
        made["albedo"] = filtered["albedo"]
        made["diffuse"] = filtered["irradiance"] * features.demodulator(filtered["albedo"]) / gain
    if "specular layer" in filtered:
        made["specular"] = filtered["specular layer"] / gain
    return {aov: _kept_where_nan(made[aov], frame[aov]) for aov in aovs}


def _kept_where_nan(result: Tensor, original: Pixels) -> Pixels:
    pixels = result[0].float().cpu().numpy()
    return np.where(np.isnan(pixels), original, pixels)


def _counted(progress: Progress | None, total: int) -> Callable[[], None]:
    """A function to call once per tile, that passes (done, total) on."""
    steps = count(1)
    return lambda: progress(next(steps), total) if progress else None
