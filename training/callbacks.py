"""What happens between the steps of training: ending, saving, averaging, telling."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor

from training.config import TrainingConfig
from training.dataset import Dataset
from training.schedule import Budget
from training.start import history

REPORT_SECONDS = 60.0


class Ending(Callback):
    """Ends training after a step once the time is over or somebody asks for it."""

    def __init__(self, budget: Budget, stop: Callable[[], bool]) -> None:
        self.budget = budget
        self.stop = stop

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Ask once a step."""
        if self.stop() or self.budget.spent(trainer.global_step) >= 1.0:
            trainer.should_stop = True


class Checkpoints(Callback):
    """Saves everything every few minutes and at the end, so that any loss of time is small."""

    def __init__(self, path: Path, config: TrainingConfig, dataset: Dataset) -> None:
        self.path = path
        self.config = config
        self.dataset = dataset
        self.saved = time.monotonic()

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Save if it is time."""
        age = time.monotonic() - self.saved
        if trainer.should_stop or age > 60 * self.config.run.checkpoint_minutes:
            # Lightning writes a temporary file and renames it.
            trainer.save_checkpoint(self.path)
            self.saved = time.monotonic()

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what a release wants to tell."""
        manifest = self.dataset.manifest
        checkpoint["kpcn"] = {
            "config": asdict(self.config),
            "recipe": asdict(manifest.recipe),
            "licence": manifest.licence,
            "data": manifest.digest(),
            "views": len(self.dataset.training),
            "device": str(pl_module.device),
            "start": history(self.config),
        }


class Average(WeightAveraging):
    """Moving average of the weights; validated and released in their place."""

    def __init__(self, config: TrainingConfig) -> None:
        limit = config.optimizer.average

        def average(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
            # A short memory at first: else the random first weights would stay for long.
            decay = min(limit, (1 + float(count)) / (10 + float(count)))
            return torch.lerp(current, averaged, decay)

        super().__init__(avg_fn=average)


class Report(Callback):
    """Tells a person, about once a minute, how far training is."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell = tell
        self.losses: list[float] = []
        self.start = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: object
    ) -> None:
        """Collect the loss; tell its mean if it is time or the end."""
        self.losses.append(float(outputs["loss"]))
        seconds = time.monotonic() - self.start
        if trainer.should_stop or seconds > REPORT_SECONDS:
            count = len(self.losses)
            self.tell(
                f"step {trainer.global_step}: loss {sum(self.losses) / count:.4f}, "
                f"{seconds / count:.2f} s a step"
            )
            self.losses, self.start = [], time.monotonic()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell every error, noisy and denoised."""
        prefix, noisy, denoised = "validation/", "/noisy", "/denoised"
        found = {key: float(value) for key, value in trainer.callback_metrics.items()}
        for key in sorted(found):
            if key.startswith(prefix) and key.endswith(noisy):
                name = key.removeprefix(prefix).removesuffix(noisy)
                after = found[f"{prefix}{name}{denoised}"]
                self.tell(f"  held out, {name}: SMAPE {found[key]:.4f} -> {after:.4f}")
            if key.startswith(prefix) and key.endswith("/predicted"):
                name = key.removesuffix("/predicted")
                true, agreement = found[f"{name}/true"], found[f"{name}/correlation"]
                self.tell(
                    f"  held out, {name.removeprefix(prefix)}: error {true:.4f}, "
                    f"predicted {found[key]:.4f}, correlation {agreement:.2f}"
                )
