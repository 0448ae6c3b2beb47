"""Stage `error` (§5): a predictor learns how wrong a finished denoiser is."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from kpcn_core import weights
from kpcn_core.model.error import ErrorPredictor
from kpcn_core.model.error_config import GUIDING_METRICS, TYPICAL
from training.base_stage import BaseStage, save_tensors
from training.config import TrainingConfig
from training.losses import weighted_mean
from training.pairs import Pair
from training.schedule import Budget

# Sides of the squares whose mean errors are compared. Single pixels alone would teach the median
# of their errors, which is less than the mean that a sampling map and a stop criterion go by.
SQUARES = (1, 4, 16)
# Errors of these metrics span magnitudes, and a few of them would be all that counts.
HEAVY_TAILED = ("mrse",)


class ErrorStage(BaseStage[Pair]):
    """Trains a predictor of errors."""

    def __init__(self, config: TrainingConfig, budget: Budget, folder: Path) -> None:
        super().__init__(config, budget, folder)
        self.network = ErrorPredictor(config.predictor)

    def loss(self, batch: Pair) -> Tensor:
        """L1 error of the predicted maps, in units that are typical of each metric."""
        predicted = self.network(batch.noisy, batch.denoised, batch.deviation)
        metrics = self.config.predictor.metrics
        return map_error(predicted, self.expected(batch), batch.weight, metrics)

    def expected(self, batch: Pair) -> Tensor:
        """The maps that the predictor should give."""
        metrics = self.config.predictor.metrics
        return batch.errors[:, [GUIDING_METRICS.index(metric) for metric in metrics]]

    def validation_step(self, pair: Pair, batch_idx: int) -> None:
        """True and predicted mean error, and how well the maps agree, averaged by Lightning."""
        found = self.network(pair.noisy, pair.denoised, pair.deviation)
        for index, metric in enumerate(self.config.predictor.metrics):
            predicted, true = found[:, index], self.expected(pair)[:, index]
            stacked = torch.stack([blocks(predicted).flatten(), blocks(true).flatten()])
            figures = {
                "true": true.mean(),
                "predicted": predicted.mean(),
                "correlation": torch.corrcoef(stacked)[0, 1].nan_to_num(),
            }
            for label, value in figures.items():
                self.log(f"validation/{metric}/{label}", value, on_epoch=True, batch_size=1)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add whose errors these are."""
        name = self.config.pairs.denoiser
        sha256 = weights.describe(weights.find(name))["sha256"]
        checkpoint["denoiser"] = {"denoiser": name, "denoiser_sha256": sha256}

    def keep(self, path: Path, batch: Pair) -> None:
        """Write a batch for a person to look at."""
        save_tensors(path, batch._asdict())


def map_error(predicted: Tensor, true: Tensor, weight: Tensor, metrics: tuple[str, ...]) -> Tensor:
    """Mean L1 error of maps [B,M,H,W], of single pixels and of the means of squares; a number.

    Args:
        predicted: maps.
        true: maps.
        weight: how much each pixel counts [B,1,H,W].
        metrics: of the M planes.
    """
    total = predicted.new_zeros(())
    for side in SQUARES:
        counted = functional.avg_pool2d(weight, side)
        for index, metric in enumerate(metrics):
            one, other = (
                functional.avg_pool2d(image[:, index : index + 1] * weight, side)
                / counted.clamp(min=1e-6)
                / TYPICAL[metric]
                for image in (predicted, true)
            )
            if metric in HEAVY_TAILED:
                one, other = one.log1p(), other.log1p()
            total = total + weighted_mean((one - other).abs(), counted)
    return total / (len(SQUARES) * len(metrics))


def blocks(error: Tensor, side: int = 8) -> Tensor:
    """Means of squares: how finely samples can be steered without following noise."""
    return functional.avg_pool2d(error[:, None], side)
