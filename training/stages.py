"""Stages of training as Lightning modules. For now one: the single-frame network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from safetensors.torch import save_file
from torch import Tensor

from kpcn_core.model.network import Network
from kpcn_core.ops.kernels import apply_kernels
from training.batches import Batch
from training.config import TrainingConfig
from training.errors import TrainingDiverged
from training.losses import gradient_error, smape
from training.schedule import Budget, learning_rate
from training.validation import Sample, measure

BAD_BATCH = "bad-batch.safetensors"


class SingleFrame(LightningModule):
    """Trains a network to filter one component of one frame (paper §3.1, §3.4)."""

    def __init__(self, config: TrainingConfig, budget: Budget, folder: Path) -> None:
        super().__init__()
        self.config = config
        self.budget = budget
        self.folder = folder
        self._batch: Batch | None = None
        network = Network(config.network)
        # The stubs lack this documented keyword.
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam; its learning rate is set step by step."""
        config = self.config.optimizer
        return torch.optim.Adam(self.parameters(), lr=config.rate, betas=(0.9, config.beta2))

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Set the learning rate of this step."""
        rate = learning_rate(self.config.optimizer, self.budget, self.global_step)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss of a batch.

        Raises:
            TrainingDiverged: it is not finite; the batch is saved.
        """
        loss = self.loss(batch)
        self._batch = batch
        if not torch.isfinite(loss):
            raise self._diverged(f"the loss is {loss.item()}")
        self.log("train/loss", loss)
        self.log("train/rate", self.trainer.optimizers[0].param_groups[0]["lr"])
        return loss

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Keep gradients that are not finite out of the weights, and so out of checkpoints.

        Raises:
            TrainingDiverged: there is one; the batch is saved.
        """
        gradients = [value.grad for value in self.parameters() if value.grad is not None]
        if not all(bool(torch.isfinite(gradient).all()) for gradient in gradients):
            raise self._diverged("a gradient is not finite")

    def loss(self, batch: Batch) -> Tensor:
        """SMAPE of the filtered components, and the error of their gradients if asked for."""
        config = self.config.loss
        planes = batch.planes.contiguous(memory_format=torch.channels_last)
        logits = self.network(planes, batch.encoder)
        denoised = apply_kernels(batch.radiance, logits, batch.valid)
        loss = smape(denoised, batch.reference, batch.weight, config.epsilon, config.detach)
        if config.gradient:
            edges = gradient_error(denoised, batch.reference, batch.weight)
            loss = loss + config.gradient * edges
        return loss

    def validation_step(self, sample: Sample, batch_idx: int) -> None:
        """Errors of one held-out image, averaged by Lightning over all with its sample count."""
        encoder = next(iter(self.config.network.encoders))
        for name, (before, after) in measure(self.network, sample, encoder, self.device).items():
            for label, value in (("noisy", before), ("denoised", after)):
                key = f"validation/{sample.spp}spp/{name}/{label}"
                self.log(key, value, on_epoch=True, batch_size=1)

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Samples hold no tensors and stay where they are."""
        if isinstance(batch, Sample):
            return batch
        return super().transfer_batch_to_device(batch, device, dataloader_idx)

    def _diverged(self, what: str) -> TrainingDiverged:
        assert self._batch is not None
        path = self.folder / BAD_BATCH
        save_batch(path, self._batch)
        return TrainingDiverged(
            f"Step {self.global_step}: {what}. The batch is in {path}; the last checkpoint is from "
            f"before. Look at the batch, or lower [optimizer] rate."
        )


def save_batch(path: Path, batch: Batch) -> None:
    """Write a batch for a person to look at."""
    tensors: Mapping[str, Tensor] = {
        name: value.detach().cpu().contiguous()
        for name, value in batch._asdict().items()
        if isinstance(value, Tensor)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(dict(tensors), path, metadata={"encoder": batch.encoder})
