"""The public Python API: load a network once, denoise frames and windows, render for a new lambda.

`denoise` does a frame by itself. For windows and for trying out values of lambda, `encode` keeps
the features of each frame, `window` puts frames together, and `render` filters the centre one.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count

import numpy as np
import torch
from torch import Tensor

from kpcn_core import features, inference, weights
from kpcn_core.allocation import give_back
from kpcn_core.composite import check_color, check_outputs, output
from kpcn_core.device import AUTO, choose_device, choose_precision
from kpcn_core.encoded import Encoded, EncodedFrame, gathered
from kpcn_core.error_map import DEFAULT_METRIC, ErrorMaps
from kpcn_core.errors import InvalidAsymmetry, MissingAov, UnknownName
from kpcn_core.features import COMPONENTS
from kpcn_core.frame import Frame, Pixels
from kpcn_core.half_turn import averaged, turned
from kpcn_core.model import peak
from kpcn_core.model.error import ErrorPredictor
from kpcn_core.model.network import Network
from kpcn_core.model.specialization import MAX_ASYMMETRY, log_asymmetry
from kpcn_core.prepared import Prepared, motion_of, prepare
from kpcn_core.region import Region
from kpcn_core.settings import (
    DEFAULT_MEMORY,
    DEFAULT_MODEL,
    DEFAULTS,
    HIGH,
    NORMAL,
    QUALITIES,
    Asymmetry,
    Progress,
    Settings,
)
from kpcn_core.tile_budget import TileBudget
from kpcn_core.tiling import Tile
from kpcn_core.transfer import tensor

log = logging.getLogger(__name__)


class Denoiser:
    """A network on a device.

    Args:
        network: filters; is moved to the device.
        device: where to compute.
        predictor: of its errors.
        precision: of features, see `device.choose_precision`, for its errors too.

    Example:
        >>> denoiser = Denoiser.load()
        >>> exr.write(output, denoiser.denoise(exr.read(path)))
    """

    def __init__(
        self,
        network: Network,
        device: torch.device,
        predictor: ErrorPredictor | None = None,
        precision: str = AUTO,
    ) -> None:
        self.device = device
        self.errors = None if predictor is None else ErrorMaps(predictor, device)
        self._given = network
        network = network.in_precision(choose_precision(precision, device))
        # The stubs lack this documented keyword.
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network.to(device).eval()
        self._tiles = TileBudget(device, network.config.alignment)

    @classmethod
    def load(
        cls, model: str = DEFAULT_MODEL, device: str = AUTO, precision: str = AUTO
    ) -> "Denoiser":
        """Load a network by the name it ships under, or from the path of a weights file.

        The predictor of its errors comes with it, if NAME-error.safetensors lies beside it.

        Raises:
            UnknownName: no such network, device or precision.
            InvalidWeights: a file is damaged.
        """
        path, chosen = weights.find(model), choose_device(device)
        beside = weights.predictor_of(path)
        predictor = None if beside is None else weights.load_predictor(beside)
        return cls(weights.load(path), chosen, predictor, precision)

    @property
    def digest(self) -> str:
        """Hash of the network, the same in every precision."""
        return weights.digest(self._given.state_dict())

    @torch.inference_mode()
    def denoise(
        self,
        frame: Frame,
        aovs: Sequence[str] = ("color",),
        *,
        asymmetry: Asymmetry = 1.0,
        like: Mapping[str, str] | None = None,
        encoder: str = "auto",
        tile: int | None = None,
        max_memory: int = DEFAULT_MEMORY,
        quality: str = NORMAL,
        progress: Progress | None = None,
    ) -> Frame:
        """The same frame with some AOVs denoised; all others are the very same arrays.

        Pixels with NaN or Inf are left out of every kernel, counted, and reported as a warning.
        They get the value of their neighbours' kernel; where a kernel covers no usable pixel at
        all, the input stays.

        Args:
            frame: needs "color"; gains from every further AOV that the encoder reads.
            aovs: which of `OUTPUTS` to denoise.
            asymmetry: lambda, 1 to 10; higher keeps more of the input (paper §4).
            like: see `Settings`.
            encoder: see `Settings`.
            tile: see `Settings`.
            max_memory: see `Settings`.
            quality: see `Settings`.
            progress: called after each tile with (done, total).

        Raises:
            MissingAov: an AOV is needed that the frame lacks.
            InvalidPixels: a component has not one finite pixel.
            InvalidAsymmetry: lambda is not 1 to 10, or a layer of another size.
            UnknownName: no such encoder or quality, or an AOV that cannot be denoised.
            OutOfMemory: not even small tiles fit; see `TileBudget`.
        """
        settings = Settings(aovs, like or {}, encoder, tile, max_memory, quality)
        prepared, name = self._prepare(frame, settings)
        slope = self._slope(asymmetry, prepared)
        first, second = _passes(progress, quality == HIGH)
        filtered = self._alone(prepared, name, settings, slope, first)
        if quality == HIGH:
            upside_down = None if slope is None else turned(slope)
            again = self._alone(prepared.turned(), name, settings, upside_down, second)
            filtered = averaged(filtered, again)
        return output(prepared, settings, filtered)

    def _alone(
        self,
        prepared: Prepared,
        encoder: str,
        settings: Settings,
        slope: Tensor | None,
        progress: Progress | None,
    ) -> dict[str, Tensor]:
        """The filtered images of a frame by itself, whose features are not kept."""
        overlap = self.network.encoding_footprint + self.network.kernel_footprint

        def filtered(region: Region) -> dict[str, Tensor]:
            found = self._encode_region(prepared, encoder, region)
            still = torch.zeros_like(region.of(prepared.aovs["color"][:, :2]))
            contexts = inference.gather(self.network, [found], [still], 0)
            steep = None if slope is None else region.of(slope)
            images = {part: region.of_image(image) for part, image in prepared.images.items()}
            layers = inference.layers(self.network, images)
            return inference.render(self.network, contexts, layers, None, steep)

        paste = _pasted(filtered, prepared, progress)
        need = self._need(prepared.planes)
        return self._tiles.run(prepared.frame, settings, overlap, need, paste)

    @torch.inference_mode()
    def encode(self, frame: Frame, settings: Settings = DEFAULTS) -> EncodedFrame:
        """A frame's features, for any number of windows; errors as for `denoise`."""
        prepared, name = self._prepare(frame, settings)
        features = self._features(prepared, name, settings)
        if settings.quality != HIGH:
            return EncodedFrame(prepared, features)
        upside_down = prepared.turned()
        again = EncodedFrame(upside_down, self._features(upside_down, name, settings))
        return EncodedFrame(prepared, features, again)

    def _features(self, prepared: Prepared, encoder: str, settings: Settings) -> list[Tensor]:
        frame, cells = prepared.frame, self.network.config.cells

        def encoded(pieces: list[Tile]) -> list[Tensor]:
            parts: list[Tensor] = []
            for tile in pieces:
                region = Region(tile.read_rows, tile.read_columns)
                found = self._encode_region(prepared, encoder, region)
                if len(pieces) == 1:
                    return found
                parts = parts or self._room(frame, found)
                inner = Region(*tile.inner).of_features(found, cells)
                target = Region(tile.rows, tile.columns).of_features(parts, cells)
                for there, level in zip(target, inner, strict=True):
                    there.copy_(level)
                del found, inner, level
                give_back()
            return parts

        overlap = self.network.encoding_footprint
        need = self._need(prepared.planes)
        return self._tiles.run(frame, settings, overlap, need, encoded)

    @torch.inference_mode()
    def window(self, frames: Sequence[EncodedFrame], centre: int) -> Encoded:
        """Put encoded frames together; the vectors in the frames say where pixels move.

        Raises:
            MissingAov: motion is needed that a frame lacks.
            InvalidPixels: the frames differ in size.
        """
        motion = motion_of([one.prepared for one in frames], centre)
        others = [one.turned for one in frames if one.turned is not None]
        again = self.window(others, centre) if len(others) == len(frames) else None
        return Encoded(frames, centre, motion, turned=again)

    @torch.inference_mode()
    def render(
        self,
        encoded: Encoded,
        settings: Settings = DEFAULTS,
        asymmetry: Asymmetry = 1.0,
        progress: Progress | None = None,
    ) -> Frame:
        """The centre frame of a window, denoised; arguments, result and errors as of `denoise`.

        A second call with another lambda does not compute again what does not depend on it.
        """
        prepared = encoded.frames[encoded.centre].prepared
        slope = self._slope(asymmetry, prepared)
        twice = encoded.turned is not None
        first, second = _passes(progress, twice)
        filtered = self._centre(encoded, settings, slope, first, twice)
        if encoded.turned is not None:
            upside_down = None if slope is None else turned(slope)
            again = self._centre(encoded.turned, settings, upside_down, second, twice)
            filtered = averaged(filtered, again)
        return output(prepared, settings, filtered, len(encoded.frames))

    def _centre(
        self,
        encoded: Encoded,
        settings: Settings,
        slope: Tensor | None,
        progress: Progress | None,
        twice: bool,
    ) -> dict[str, Tensor]:
        """The filtered images of a window's centre; of one of two passes, if it is done twice."""
        prepared = encoded.frames[encoded.centre].prepared
        overlap = self.network.kernel_footprint

        def filtered(region: Region) -> dict[str, Tensor]:
            contexts, others, layers = gathered(self.network, encoded, region)
            steep = None if slope is None else region.of(slope)
            return inference.render(self.network, contexts, layers, others, steep)

        paste = _pasted(filtered, prepared, progress)
        need = self._need(prepared.planes, len(encoded.frames), kept=True, twice=twice)
        return self._tiles.run(prepared.frame, settings, overlap, need, paste)

    def leaves(self, frame: Frame, settings: Settings, window: int, size: int) -> bool:
        """Whether memory is left for other things while a window is filtered in one piece.

        See `TileBudget.leaves`.
        """
        # A layer that the frame lacks is refused where it is filtered.
        riders = sum(len(frame.layers[name]) for name in settings.like if name in frame.layers)
        planes = len(COMPONENTS) * 4 + riders  # three colors and a mask each
        twice = settings.quality == HIGH and window > 1
        need = self._need(planes, window, kept=twice, twice=twice)
        return self._tiles.leaves(frame, settings, need, size)

    @torch.inference_mode()
    def _need(self, planes: int, window: int = 1, kept: bool = False, twice: bool = False) -> int:
        """See `peak.bytes_per_pixel`."""
        return peak.bytes_per_pixel(self.network, self.device, planes, window, kept, twice)

    @property
    def error_metrics(self) -> tuple[str, ...]:
        """The metrics whose error `predict_error` knows; none without a predictor."""
        return () if self.errors is None else self.errors.metrics

    def predict_error(
        self,
        noisy: Frame,
        denoised: Frame,
        metric: str = DEFAULT_METRIC,
        settings: Settings = DEFAULTS,
    ) -> Pixels:
        """The error [1,H,W] that is left in a denoised frame, in units of a metric (paper §5).

        Args:
            noisy: the frame as it was rendered.
            denoised: what `denoise` or `render` made of it.
            metric: one of `error_metrics`.
            settings: of which those about tiles count.

        Raises:
            UnknownName: it is not predicted.
            InvalidPixels: the frames differ in size.
        """
        self.check_predicts(metric)
        assert self.errors is not None
        return self.errors.predict(noisy, denoised, metric, settings)

    def check_predicts(self, metric: str) -> None:
        """Raise UnknownName if the error in a metric is not predicted."""
        if self.errors is None:
            raise UnknownName(
                "These weights have no error predictor: no file NAME-error.safetensors lies beside "
                "them. Choose other weights, see `kpcn models`."
            )
        if metric not in self.error_metrics:
            raise UnknownName(
                f"These weights predict no '{metric}'; they predict "
                f"{', '.join(self.error_metrics)}."
            )

    def choose_encoder(self, frame: Frame) -> str:
        """The encoder named like the frame's source, else the one that reads most of it."""
        encoders = self.network.config.encoders
        lacking = {
            name: set(planes) - features.available_planes(frame.aovs, features.reads_split(planes))
            for name, planes in encoders.items()
        }
        usable = [name for name in encoders if not lacking[name]]
        if not usable:
            raise MissingAov(
                f"{frame.label}: no encoder of this network can read the frame. Missing inputs: "
                + "; ".join(f"{name}: {', '.join(sorted(lacking[name]))}" for name in encoders)
                + f". The frame has {', '.join(frame.aovs)}. Map layers with --aov NAME=LAYER."
            )
        if frame.source in usable:
            return frame.source
        best = max(usable, key=lambda name: len(encoders[name]))
        log.info("%s: source '%s' uses encoder '%s'", frame.label, frame.source, best)
        return best

    def _prepare(self, frame: Frame, settings: Settings) -> tuple[Prepared, str]:
        check_color(frame)
        if settings.quality not in QUALITIES:
            raise UnknownName(f"No quality '{settings.quality}'; there are {', '.join(QUALITIES)}.")
        name = self.choose_encoder(frame) if settings.encoder == "auto" else settings.encoder
        split = features.reads_split(self.network.planes_of(name))
        check_outputs(frame, settings.aovs, split)
        return prepare(frame, split, settings.riders, self.device), name

    def _encode_region(self, prepared: Prepared, encoder: str, region: Region) -> list[Tensor]:
        parts = {name: part.cropped(*region) for name, part in prepared.parts.items()}
        aovs = {name: region.of(aov) for name, aov in prepared.aovs.items()}
        return inference.encode(self.network, parts, aovs, encoder)

    def _room(self, frame: Frame, like: Sequence[Tensor]) -> list[Tensor]:
        """Empty features of a whole frame."""
        config = self.network.config
        height, width = (-(-length // config.alignment) * config.alignment for length in frame.size)
        return [
            level.new_empty(*level.shape[:2], height // side, width // side)
            for level, side in zip(like, config.cells, strict=True)
        ]

    def _slope(self, asymmetry: Asymmetry, prepared: Prepared) -> Tensor | None:
        """The plane of log(lambda), or None where lambda is 1 everywhere."""
        image = prepared.aovs["color"]
        if isinstance(asymmetry, np.ndarray):
            if asymmetry.shape != prepared.frame.size:
                raise InvalidAsymmetry(
                    f"{prepared.frame.label}: the asymmetry layer is {list(asymmetry.shape)} "
                    f"pixels; the frame is {list(prepared.frame.size)}."
                )
            return log_asymmetry(tensor(asymmetry[None], self.device), image)
        if not 1.0 <= asymmetry <= MAX_ASYMMETRY:
            raise InvalidAsymmetry(
                f"Asymmetry must be 1 to {MAX_ASYMMETRY:g}; it is {asymmetry:g}. 1 is symmetric, "
                f"higher keeps more of the input."
            )
        return None if asymmetry == 1.0 else log_asymmetry(asymmetry, image)


def _pasted(
    filtered: Callable[[Region], dict[str, Tensor]],
    prepared: Prepared,
    progress: Progress | None,
) -> Callable[[list[Tile]], dict[str, Tensor]]:
    """Puts the filtered images of tiles together."""

    def paste(pieces: list[Tile]) -> dict[str, Tensor]:
        report = _counted(progress, len(pieces))
        if len(pieces) == 1:
            found = filtered(Region(pieces[0].rows, pieces[0].columns))
            report()
            return found
        give_back()  # what preparing the frame has freed
        result = {name: torch.empty_like(image.radiance) for name, image in prepared.images.items()}
        for tile in pieces:
            found = filtered(Region(tile.read_rows, tile.read_columns))
            inner, there = Region(*tile.inner), Region(tile.rows, tile.columns)
            for name, image in found.items():
                there.of(result[name]).copy_(inner.of(image))
            del found, image
            give_back()  # no two tiles are alike
            report()
        return result

    return paste


def _counted(progress: Progress | None, total: int) -> Callable[[], None]:
    """A function to call once per tile, that passes (done, total) on."""
    steps: Iterator[int] = count(1)
    return lambda: progress(next(steps), total) if progress else None


def _passes(progress: Progress | None, twice: bool) -> tuple[Progress | None, Progress | None]:
    """The progress of a first pass over all tiles, and of a second one."""
    if progress is None or not twice:
        return progress, None
    return (
        lambda done, total: progress(done, 2 * total),
        lambda done, total: progress(total + done, 2 * total),
    )
