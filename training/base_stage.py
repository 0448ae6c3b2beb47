"""What all stages of training share as Lightning modules: optimizer, schedule, divergence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Generic, TypeVar

import torch
from lightning.pytorch import LightningModule
from safetensors.torch import save_file
from torch import Tensor

from training.config import TrainingConfig
from training.errors import TrainingDiverged
from training.schedule import Budget, learning_rate

BAD_BATCH = "bad-batch.safetensors"

Examples = TypeVar("Examples")


class BaseStage(LightningModule, Generic[Examples]):
    """Makes the loss of batches small."""

    def __init__(self, config: TrainingConfig, budget: Budget, folder: Path) -> None:
        super().__init__()
        self.config = config
        self.budget = budget
        self.folder = folder
        self._batch: Examples | None = None

    def loss(self, batch: Examples) -> Tensor:
        """What the stage makes small."""
        raise NotImplementedError

    def keep(self, path: Path, batch: Examples) -> None:
        """Write a batch for a person to look at."""
        raise NotImplementedError

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam; its learning rate is set step by step."""
        config = self.config.optimizer
        learned = [value for value in self.parameters() if value.requires_grad]
        return torch.optim.Adam(learned, lr=config.rate, betas=(0.9, config.beta2))

    def on_train_batch_start(self, batch: Examples, batch_idx: int) -> None:
        """Set the learning rate of this step."""
        rate = learning_rate(self.config.optimizer, self.budget, self.global_step)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def training_step(self, batch: Examples, batch_idx: int) -> Tensor:
        """The loss of a batch.

        Raises:
            TrainingDiverged: it is not finite; the batch is saved.
        """
        loss = self.loss(batch)
        self._batch = batch
        if not torch.isfinite(loss):
            raise self._diverged(f"the loss is {loss.item()}")
        # Of parts of a batch, their mean.
        self.log("train/loss", loss, sync_dist=self.trainer.world_size > 1)
        self.log("train/rate", self.trainer.optimizers[0].param_groups[0]["lr"])
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Keep gradients that are not finite out of the weights, and so out of checkpoints.

        Raises:
            TrainingDiverged: there is one; the batch is saved.
        """
        gradients = [value.grad for value in self.parameters() if value.grad is not None]
        finite = [torch.isfinite(gradient).all() for gradient in gradients]
        # Asked once: a GPU has to be waited for.
        if finite and not torch.stack(finite).all():
            raise self._diverged("a gradient is not finite")

    def _diverged(self, what: str) -> TrainingDiverged:
        assert self._batch is not None
        path = self.folder / BAD_BATCH
        self.keep(path, self._batch)
        return TrainingDiverged(
            f"Step {self.global_step}: {what}. The batch is in {path}; the last checkpoint is from "
            f"before. Look at the batch, or lower [optimizer] rate."
        )


def save_tensors(path: Path, tensors: Mapping[str, Tensor], **metadata: str) -> None:
    """Write tensors for a person to look at."""
    found = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(found, path, metadata=metadata)
