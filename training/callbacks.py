"""What happens between the steps of training: ending, saving, averaging, telling."""

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from training.config import TrainingConfig
from training.mixture import Mixture
from training.schedule import Budget
from training.stages import Stage
from training.start import history
from training.validation import Sample, picture

REPORT_SECONDS = 60.0

Weights = tuple[Tensor, ...] | list[Tensor]


def step_is_done(trainer: Trainer) -> bool:
    """Whether all parts of a batch have been computed, and the weights changed."""
    return (trainer.fit_loop.batch_idx + 1) % trainer.accumulate_grad_batches == 0


def agreed(trainer: Trainer, decision: bool) -> bool:
    """What the first of all processes decides: clocks and signals differ."""
    return bool(trainer.strategy.broadcast(decision))


class Ending(Callback):
    """Ends training after a step once the time is over or somebody asks for it."""

    def __init__(self, budget: Budget, stop: Callable[[], bool]) -> None:
        self.budget = budget
        self.stop = stop

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Ask once a step."""
        over = self.stop() or self.budget.spent(trainer.global_step) >= 1.0
        if step_is_done(trainer) and agreed(trainer, over):
            trainer.should_stop = True


class Checkpoints(Callback):
    """Saves everything every few minutes and at the end, so that any loss of time is small."""

    def __init__(self, path: Path, config: TrainingConfig, mixture: Mixture) -> None:
        self.path = path
        self.config = config
        self.mixture = mixture
        self.saved = self.begun = time.monotonic()
        self.before = 0.0  # minutes of earlier sessions
        self.start = history(config)

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Save if it is time."""
        if not step_is_done(trainer):
            return
        age = time.monotonic() - self.saved
        late = trainer.should_stop or age > 60 * self.config.run.checkpoint_minutes
        if agreed(trainer, late):
            # Lightning writes a temporary file and renames it.
            trainer.save_checkpoint(self.path)
            self.saved = time.monotonic()

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on where the last session stopped; it alone started from other weights."""
        self.before = checkpoint["kpcn"].get("minutes", 0.0)
        self.start = checkpoint["kpcn"].get("start", {})

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add what a release wants to tell."""
        checkpoint["kpcn"] = {
            "config": asdict(self.config),
            "minutes": self.before + (time.monotonic() - self.begun) / 60,
            "data": [
                {
                    "name": dataset.name,
                    "recipe": asdict(dataset.manifest.recipe),
                    "licence": dataset.manifest.licence,
                    "sha256": dataset.manifest.digest(),
                    "views": len(dataset.training),
                }
                for dataset in self.mixture.datasets
            ],
            "device": str(pl_module.device),
            "start": self.start,
        }


class Average(WeightAveraging):
    """Moving average of the weights; validated and released in their place."""

    def __init__(self, config: TrainingConfig) -> None:
        limit = config.optimizer.average

        def average(averaged: Weights, current: Weights, count: Tensor | int) -> None:
            # A short memory at first: else the random first weights would stay for long.
            decay = min(limit, (1 + float(count)) / (10 + float(count)))
            get_ema_multi_avg_fn(decay)(averaged, current, count)  # type: ignore[no-untyped-call]

        super().__init__(multi_avg_fn=average)


class Report(Callback):
    """Tells a person, about once a minute, how far training is."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell = tell
        self.losses: list[float] = []
        self.start = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: object
    ) -> None:
        """Collect the loss; tell its mean if it is time or the end. One process speaks for all."""
        if not trainer.is_global_zero:
            return
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
        if not trainer.is_global_zero:
            return
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


class Patience(Callback):
    """Knows when the error of held-out images has not fallen for some validations."""

    def __init__(self, patience: int) -> None:
        self.patience = patience
        self.best = float("inf")
        self.waited = 0

    def is_over(self) -> bool:
        """Whether to end."""
        return 0 < self.patience <= self.waited

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare with the best so far."""
        errors = [
            float(value)
            for key, value in trainer.callback_metrics.items()
            if key.startswith("validation/") and key.endswith("/final/denoised")
        ]
        if not errors or not self.patience:
            return
        error = sum(errors) / len(errors)
        self.waited = 0 if error < self.best else self.waited + 1
        self.best = min(self.best, error)

    def state_dict(self) -> dict[str, Any]:
        """Kept in checkpoints, so that a resumed training waits no longer."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up again."""
        self.best, self.waited = state_dict["best"], state_dict["waited"]


class Pictures(Callback):
    """Shows the first held-out image in TensorBoard: noisy, denoised, reference."""

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add the picture of this validation."""
        boards = [one for one in trainer.loggers if isinstance(one, TensorBoardLogger)]
        if batch_idx or not boards or not isinstance(batch, Sample):
            return
        assert isinstance(pl_module, Stage)
        encoder = pl_module.encoder_of(batch)
        shown = picture(pl_module.network, batch, encoder, pl_module.device)
        for board in boards:
            board.experiment.add_image(f"validation/{batch.label}", shown, trainer.global_step)
