"""Stages of training as Lightning modules (§3, §4): each trains a part, the rest is frozen."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kpcn_core import features
from kpcn_core.model.network import Network
from kpcn_core.model.reconstruction import (
    Image,
    motion_pyramid,
    neighbours,
    reconstruct,
    slope_pyramid,
)
from training.asymmetry import asymmetric_smape, sample_log_asymmetry
from training.base_stage import BaseStage, save_tensors
from training.batches import Batch, Patches
from training.config import TrainingConfig
from training.losses import gradient_error, smape, structural_error
from training.mixture import reader
from training.networks import network_of, trained_parts, trained_planes
from training.schedule import Budget
from training.validation import Sample, measure

# How much the error of each component counts. Albedo is easy, emission nearly free of noise.
WEIGHTS = {"irradiance": 1.0, "specular": 1.0, "emission": 0.25, "albedo": 0.5}


class Stage(BaseStage[Batch]):
    """Trains the parts of a network that belong to a stage."""

    def __init__(self, config: TrainingConfig, budget: Budget, folder: Path) -> None:
        super().__init__(config, budget, folder)
        self.network = network_of(config)
        # The stubs lack this documented keyword.
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.requires_grad_(False)
        for part in trained_parts(self.network, config):
            part.requires_grad_(True)

    def loss(self, batch: Batch) -> Tensor:
        """What the stage makes small: SMAPE, or its asymmetric form with a random lambda (§4.3)."""
        if self.config.stage != "specialization":
            return self.error(batch, self.denoise(batch))
        cell = self.config.network.alignment
        slope = sample_log_asymmetry(batch.noisy.radiance, cell)
        return self.error(batch, self.denoise(batch, slope), slope)

    def denoise(self, batch: Batch, slope: Tensor | None = None) -> dict[str, Tensor]:
        """The denoised components of a batch; `slope` is log(lambda) [B,1,H,W]."""
        if isinstance(self.network, Network):
            return self._filter(self.network, batch, slope)
        denoised: dict[str, Tensor] = self.network(
            batch.window, batch.motion, batch.centre, batch.encoder
        )
        return denoised

    def _filter(self, network: Network, batch: Batch, slope: Tensor | None) -> dict[str, Tensor]:
        """The same by kernels."""
        config = self.config.network
        scales = 1 if self.config.stage == "single-frame" and network.apart else config.scales
        # What is before the parts that are trained needs no gradient; autograd sees that itself.
        frames = [
            network.encode(
                [
                    planes.contiguous(memory_format=torch.channels_last)
                    for planes in network.planes(shot.parts, shot.aovs, batch.encoder, scales)
                ],
                batch.encoder,
            )
            for shot in batch.window
        ]
        motion = [motion_pyramid(vectors, scales) for vectors in batch.motion]
        contexts = network.window(frames, motion, batch.centre)
        images = [
            {name: Image(part.radiance, part.valid) for name, part in shot.parts.items()}
            for shot in batch.window
        ]
        others = neighbours(network, contexts, images, motion, batch.centre)
        if slope is not None:
            contexts = network.specialize(contexts, slope_pyramid(slope, scales))
        filtered = reconstruct(network, contexts, images[batch.centre], others)
        # What no kernel could fill counts nothing, but a gradient through its NaN would spread.
        return {
            name: torch.where(image.valid > 0, filtered[name], filtered[name].nan_to_num())
            for name, image in images[batch.centre].items()
        }

    def error(
        self, batch: Batch, denoised: Mapping[str, Tensor], slope: Tensor | None = None
    ) -> Tensor:
        """Errors of the components and of the color that they make, weighted."""
        config, noise = self.config.loss, self.config.batches.reference_noise
        parts = batch.window[batch.centre].parts
        total = batch.color.radiance.new_zeros(())
        for name, target in batch.targets.items():
            weight = batch.weight(name, noise)
            error = self._error(
                denoised[name], target.radiance, parts[name].radiance, weight, slope
            )
            total = total + WEIGHTS[name] * error
        color = features.compose(denoised, torch.ones_like(total))
        weight = batch.color_weight(noise)
        reference = batch.color.radiance
        error = self._error(color, reference, batch.noisy.radiance, weight, slope)
        total = total + config.color * error
        if config.gradient:
            total = total + config.gradient * gradient_error(color, reference, weight)
        if config.structure:
            structural = structural_error(color, reference, weight, config.structure_scales)
            total = total + config.structure * structural
        return total

    def _error(
        self,
        denoised: Tensor,
        reference: Tensor,
        noisy: Tensor,
        weight: Tensor,
        slope: Tensor | None,
    ) -> Tensor:
        config = self.config.loss
        if slope is None:
            return smape(denoised, reference, weight, config.epsilon, config.detach)
        return asymmetric_smape(
            denoised, reference, noisy, slope, weight, config.epsilon, config.detach
        )

    def encoder_of(self, sample: Sample) -> str:
        """The encoder that validation reads an image with: the first trained one that can."""
        found = reader(trained_planes(self.config), sample.given)
        assert found is not None  # images that none can read are not validated with
        return found

    def validation_step(self, sample: Sample, batch_idx: int) -> None:
        """Errors of one held-out image, averaged by Lightning over all with its sample count."""
        for name, (before, after) in measure(
            self.network, sample, self.encoder_of(sample), self.device
        ).items():
            for label, value in (("noisy", before), ("denoised", after)):
                key = f"validation/{sample.label}/{name}/{label}"
                self.log(key, value, on_epoch=True, batch_size=1)

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """Batches are computed where they are used; samples hold no tensors and stay."""
        return batch.to(device).batch() if isinstance(batch, Patches) else batch

    def keep(self, path: Path, batch: Batch) -> None:
        """Write a batch for a person to look at."""
        save_batch(path, batch)


def save_batch(path: Path, batch: Batch) -> None:
    """Write a batch for a person to look at."""
    save_tensors(path, dict(_tensors(batch)), encoder=batch.encoder)


def _tensors(batch: Batch) -> Iterator[tuple[str, Tensor]]:
    for index, shot in enumerate(batch.window):
        for name, part in shot.parts.items():
            yield f"frame{index}/part/{name}", part.radiance
        for name, value in shot.aovs.items():
            yield f"frame{index}/{name}", value
    for name, part in batch.targets.items():
        yield f"target/{name}", part.radiance
    for index, vectors in enumerate(batch.motion):
        yield f"motion{index}", vectors
