"""Error maps of frames: an error predictor on a device, in tiles (paper §5)."""

import torch
from torch import Tensor

from kpcn_core import features
from kpcn_core.errors import InvalidPixels
from kpcn_core.frame import Frame, Pixels
from kpcn_core.inference import padded
from kpcn_core.model.error import UNKNOWN, ErrorPredictor
from kpcn_core.region import Region
from kpcn_core.settings import DEFAULTS, Settings
from kpcn_core.tile_budget import TileBudget
from kpcn_core.tiling import Tile
from kpcn_core.transfer import tensor

DEFAULT_METRIC = "smape"  # the best compromise (paper §5)


class ErrorMaps:
    """An error predictor on a device."""

    def __init__(self, predictor: ErrorPredictor, device: torch.device) -> None:
        self.device = device
        self.predictor = predictor.to(device).eval()
        self._tiles = TileBudget(device, predictor.config.fold)

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is predicted."""
        return self.predictor.config.metrics

    @torch.inference_mode()
    def predict(
        self, noisy: Frame, denoised: Frame, metric: str, settings: Settings = DEFAULTS
    ) -> Pixels:
        """The error that is left in a denoised frame, in units of the metric [1,H,W].

        Where the noisy frame has NaN or Inf, the denoised one is looked at alone.

        Args:
            noisy: as rendered; needs "color", gains from its variance.
            denoised: the same frame, denoised.
            metric: one of `metrics`.
            settings: of which those about tiles count.

        Raises:
            InvalidPixels: the frames differ in size.
            OutOfMemory: not even small tiles fit.
        """
        if noisy.size != denoised.size:
            raise InvalidPixels(
                f"{denoised.label}: is {list(denoised.size)} pixels; the noisy frame is "
                f"{list(noisy.size)}."
            )
        seen, fold = planes(noisy, denoised, self.device), self.predictor.config.fold
        index = self.metrics.index(metric)

        def predicted(pieces: list[Tile]) -> Tensor:
            result = torch.empty(1, *noisy.size, device=self.device)
            for tile in pieces:
                region = Region(tile.read_rows, tile.read_columns)
                found = self.predictor(*(padded(region.of(plane), fold) for plane in seen))[0]
                inner = Region(*tile.inner).of(found[index : index + 1])
                result[:, tile.rows, tile.columns] = inner
            return result

        need = self.predictor.bytes_per_pixel
        found = self._tiles.run(noisy, settings, self.predictor.footprint, need, predicted)
        pixels: Pixels = found.cpu().numpy()
        return pixels


def planes(noisy: Frame, denoised: Frame, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """What a predictor reads: exposed colors [1,3,H,W], and how noisy the first are [1,1,H,W]."""
    before, after = (tensor(frame["color"], device) for frame in (noisy, denoised))
    gain = features.exposure(before)
    after = torch.nan_to_num(after * gain, nan=0.0, posinf=0.0, neginf=0.0)
    before = torch.where(torch.isfinite(before), before * gain, after)
    if "color_mse" not in noisy:
        return before, after, torch.full_like(before[:, :1], UNKNOWN)
    variance = tensor(noisy["color_mse"], device) * gain.square()
    spread = torch.where(torch.isfinite(variance), variance, 0.0)
    return before, after, features.relative_deviation(before, spread)
