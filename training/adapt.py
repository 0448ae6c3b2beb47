"""From frames of a renderer to weights that read it: collect, train its encoder, release."""

from collections.abc import Callable
from pathlib import Path

import torch

from training.adaptation import adaptation
from training.collecting import Footage, collect
from training.config import TrainingConfig
from training.dataset import Dataset
from training.errors import InvalidDataset
from training.fit import CHECKPOINT, fit
from training.release import release
from training.schedule import Budget

DATA = "data"


def adapt(
    given: Footage | Path,
    run: Path,
    output: Path,
    start: str,
    base: TrainingConfig,
    budget: Budget,
    *,
    encoder: str | None = None,
    device: torch.device | None = None,
    stop: Callable[[], bool] = lambda: False,
    tell: Callable[[str], None] = lambda line: None,
) -> str | None:
    """Add the encoder of a source to weights; go on where an earlier call was stopped.

    Args:
        given: EXR files, or the folder of a data set.
        run: folder of logs, checkpoints, and of the views that EXR files are made into.
        output: the adapted weights.
        start: weights to adapt, by name or path.
        base: how to train.
        budget: how long.
        encoder: its name; default that of the source.
        device: where to compute; None is the CPU.
        stop: asked after each frame and step whether to end.
        tell: gets a line now and then.

    Returns:
        The encoder's name, or None if asked to stop before there was anything to train on.
    """
    folder = given if isinstance(given, Path) else run / DATA
    if isinstance(given, Footage):
        for frame, entry in collect(given, folder, stop):
            tell(f"frame {frame}: {entry.file}, {entry.seconds:.1f} s")
        if stop():
            return None
    dataset = Dataset(folder)
    name = encoder or dataset.manifest.recipe.renderer.split()[0]
    if not dataset.alone:
        raise InvalidDataset(f"{dataset.folder}: no frame to learn from.")
    config = adaptation(base, start, name, dataset.alone)
    fit(config, folder, run, budget, device=device, stop=stop, tell=tell)
    release(run / CHECKPOINT, output, f"kpcn-train adapt, {len(dataset.training)} frames")
    return name
