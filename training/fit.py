"""Run a stage of training: from its data and configuration to checkpoints."""

import logging
import warnings
from collections.abc import Callable, Sequence
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import torch
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from torch.utils.data import DataLoader

from training import validation
from training.batches import Batches, Patches
from training.callbacks import Average, Checkpoints, Ending, Patience, Pictures, Report
from training.config import FIRST, TrainingConfig, check_parts, from_dict
from training.error_batches import ErrorBatches
from training.error_stage import ErrorStage
from training.errors import InvalidConfig
from training.mixture import Mixture, reader
from training.networks import trained_planes
from training.pairs import Pair, Pairs
from training.schedule import Budget
from training.stages import Stage
from training.start import start_from, start_predictor
from training.validation import Sample

CHECKPOINT = "last.ckpt"
Precision = Literal["32-true", "bf16-mixed"]
# What a checkpoint must agree on with the configuration that goes on from it.
FIXED = ("stage", "network", "predictor")
PAIRS = "pairs"


def fit(
    config: TrainingConfig,
    data: Path | Sequence[Path],
    run: Path,
    budget: Budget,
    *,
    device: torch.device | None = None,
    devices: int = 1,
    precision: Precision = "32-true",
    workers: int = 0,
    stop: Callable[[], bool] = lambda: False,
    tell: Callable[[str], None] = lambda line: None,
) -> Stage | ErrorStage:
    """Train until the budget is spent or a stop is asked for; go on from the run's checkpoint.

    Args:
        config: the stage and everything about it.
        data: folder of a data set, or folders of several, which may still grow.
        run: folder of logs and checkpoints.
        budget: steps, seconds or both.
        device: where to compute; None is the CPU.
        devices: how many of its kind share each batch; of CPUs, processes.
        precision: of the convolutions; kernels and losses are always computed in single.
        workers: processes that make batches; 0 makes them between steps.
        stop: asked after each step whether to end.
        tell: gets a line about once a minute.

    Returns:
        The trained stage; its network holds the averaged weights.

    Raises:
        TrainingDiverged: the loss is no longer finite.
        InvalidDataset: there is nothing to train on.
        InvalidConfig: the run was started with another network or stage, or it is to start from
            the weights of another network.
    """
    check_parts(config, devices, "configuration")
    folders = [data] if isinstance(data, Path) else data
    mixture = Mixture.opened(folders, config.batches.data)
    checkpoint = run / CHECKPOINT
    if checkpoint.exists():
        _check_same(config, checkpoint)
    torch.manual_seed(config.run.seed)
    kind = ErrorStage if config.stage == "error" else Stage
    stage = kind(config, budget, run)
    if not checkpoint.exists():
        _start(stage, config)
    patience = Patience(config.run.patience)
    callbacks = [
        Ending(budget, lambda: stop() or patience.is_over()),
        Report(tell),
        # In this order: a checkpoint of a step holds the average of that step.
        Average(config),
        patience,
        Pictures(),
        Checkpoints(checkpoint, config, mixture),
    ]
    trainer = _trainer(config, run, budget, device, devices, precision, callbacks)
    trainer.fit(
        stage,
        datamodule=_data(mixture, config, run, workers),
        ckpt_path=checkpoint if checkpoint.exists() else None,
        weights_only=False,
    )
    return stage


def _data(mixture: Mixture, config: TrainingConfig, run: Path, workers: int) -> LightningDataModule:
    if config.stage != "error":
        return Data(mixture, config, workers)
    return ErrorData(mixture, config, Pairs(config.pairs, run / PAIRS, config.run.seed))


class Data(LightningDataModule):
    """Batches from the step that training is at, and held-out images."""

    def __init__(self, mixture: Mixture, config: TrainingConfig, workers: int) -> None:
        super().__init__()
        self.mixture = mixture
        self.config = config
        self.workers = workers

    def train_dataloader(self) -> DataLoader[Patches]:
        """Called after a checkpoint is loaded, so that the step is known."""
        assert self.trainer is not None
        config = self.config
        batches = Batches(
            self.mixture,
            config.batches,
            config.network.encoders,
            config.run.seed,
            start=self.trainer.global_step,
            accumulate=config.optimizer.accumulate,
            world=self.trainer.world_size,
            rank=self.trainer.global_rank,
        )
        pinned = self.trainer.strategy.root_device.type == "cuda"
        return DataLoader(batches, batch_size=None, num_workers=self.workers, pin_memory=pinned)

    def val_dataloader(self) -> DataLoader[Sample] | list[Sample]:
        """Held-out images; none if none is rendered yet."""
        samples = held_out(self.mixture, self.config)
        return DataLoader(samples, batch_size=None) if samples else []  # type: ignore[arg-type]


def held_out(mixture: Mixture, config: TrainingConfig) -> list[Sample]:
    """Images of each data set to validate with: those that a trained encoder can read."""
    run, batches = config.run, config.batches
    encoders = trained_planes(config)
    several = len(mixture.datasets) > 1
    found: list[Sample] = []
    for dataset in mixture.datasets:
        views = [view for view in dataset.validation if view.reach >= batches.reach]
        readable = [view for view in views if reader(encoders, view.aov_names)]
        chosen = validation.samples(
            readable[: run.validation_views], run.validation_spp, batches.reach, batches.future,
            dataset.name if several else "",
        )  # fmt: skip
        found += [sample for sample in chosen if reader(encoders, sample.given)]
    return found


class ErrorData(LightningDataModule):
    """Batches of pairs from the step that training is at, and whole pairs of held-out views."""

    def __init__(self, mixture: Mixture, config: TrainingConfig, pairs: Pairs) -> None:
        super().__init__()
        self.mixture = mixture
        self.config = config
        self.pairs = pairs

    def train_dataloader(self) -> DataLoader[Pair]:
        """Called after a checkpoint is loaded, so that the step is known."""
        assert self.trainer is not None
        config, step = self.config, self.trainer.global_step
        batches = ErrorBatches(self.mixture, self.pairs, config.batches, config.run.seed, step)
        return DataLoader(batches, batch_size=None)

    def val_dataloader(self) -> DataLoader[Pair] | list[Pair]:
        """All pairs of held-out views; none if none is rendered yet."""
        found = [
            Pair._make(image[None] for image in self.pairs.pair(view, index))
            for dataset in self.mixture.datasets
            for view in dataset.validation[: self.config.run.validation_views]
            for index in range(self.pairs.config.draws)
        ]
        return DataLoader(found, batch_size=None) if found else []  # type: ignore[arg-type]


def _trainer(
    config: TrainingConfig,
    run: Path,
    budget: Budget,
    device: torch.device | None,
    devices: int,
    precision: Precision,
    callbacks: list[Callback],
) -> Trainer:
    """A trainer that prints nothing but warnings."""
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    # Batches depend on the step alone, which is how they resume; and they cost little to make.
    # Nor need there be held-out views.
    for message in (
        ".*does not have many workers.*",
        ".*dataloader is not resumable.*",
        ".*use the implementation from `LightningModule` instance.*",
        ".*isinstance.treespec, LeafSpec.*",
        ".*Total length of `list` across ranks is zero.*",
        # Every process measures all held-out images.
        ".*It is recommended to use `self.log.*sync_dist=True.*",
    ):
        warnings.filterwarnings("ignore", message=message)
    cuda = device is not None and device.type == "cuda"
    return Trainer(
        accelerator="cuda" if cuda else "cpu",
        devices=[device.index or 0] if cuda and device is not None and devices == 1 else devices,
        # A batch is for one encoder: the others have no part in its gradients.
        strategy="ddp_find_unused_parameters_true" if devices > 1 else "auto",
        use_distributed_sampler=False,
        precision=precision,
        accumulate_grad_batches=config.optimizer.accumulate,
        max_epochs=-1,
        max_steps=-1 if budget.steps is None else budget.steps,
        gradient_clip_val=config.optimizer.clip,
        val_check_interval=timedelta(minutes=config.run.validate_minutes),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        log_every_n_steps=config.run.log_steps,
        callbacks=callbacks,
        logger=_loggers(run),
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _loggers(run: Path) -> list[Logger]:
    """CSV always, TensorBoard if it is installed; a folder a session, none is overwritten."""
    csv = CSVLogger(run, name="logs", flush_logs_every_n_steps=1)
    if find_spec("tensorboard") is None:
        return [csv]
    return [csv, TensorBoardLogger(run, name="logs", version=csv.version)]


def _start(stage: Stage | ErrorStage, config: TrainingConfig) -> None:
    if isinstance(stage, ErrorStage):
        start_predictor(stage.network, config)
    elif config.run.start:
        start_from(stage.network, config)
    elif config.stage not in FIRST:
        raise InvalidConfig(
            f"Stage '{config.stage}' goes on from a network that is trained already, and none is "
            f"given. Name its weights with --start."
        )


def _check_same(config: TrainingConfig, checkpoint: Path) -> None:
    values = torch.load(checkpoint, map_location="cpu", weights_only=False)["kpcn"]["config"]
    # What an older checkpoint does not know of was as it is by default.
    saved = from_dict(values, str(checkpoint))
    for key in FIXED:
        was, now = getattr(saved, key), getattr(config, key)
        if was != now:
            raise InvalidConfig(
                f"{checkpoint}: was trained with {key} = {was}; the configuration says {now}. "
                f"Train in a new folder, or restore the configuration."
            )
