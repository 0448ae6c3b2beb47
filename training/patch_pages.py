"""Pictures of the patches that training takes of each view, and how fast they come."""

import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from kpcn_core import features
from kpcn_core.atomic import replaced
from kpcn_core.picture import Picture, beside, heat, outline, shown
from training.batches import Batches
from training.config import TrainingConfig
from training.dataset import Dataset
from training.mixture import Mixture
from training.patches import Corners, importance
from training.views import REFERENCE, View


def draw_patches(dataset: Dataset, config: TrainingConfig, folder: Path) -> Iterator[Path]:
    """Write a picture of each view: its patches over the reference, and what they were chosen by.

    Args:
        dataset: the views.
        config: size of patches, and the seed that they are chosen with.
        folder: where the pictures go; older ones are replaced.
    """
    batches = _batches(dataset, config)
    for view in dataset.training:
        path = folder / f"{view.seed:06d}.png"
        with replaced(path, overwrite=True) as temporary:
            picture(view, batches.corners(view), config.batches.crop).save(temporary, "PNG")
        yield path


def picture(view: View, corners: Corners, size: int) -> Picture:
    """The reference with the outlines of patches, and the importance of its content beside it."""
    reference = view.aovs([REFERENCE])
    gain = float(features.exposure(torch.from_numpy(reference["color"])[None]))
    color = torch.nan_to_num(torch.from_numpy(reference["color"]) * gain)
    normal = torch.nan_to_num(torch.from_numpy(reference.get("normal", reference["color"])))
    weights = importance(color, normal).numpy()
    outlined = shown(reference["color"], gain)
    for top, left in corners.tolist():
        outline(outlined, top, left, size)
    scaled = np.asarray(weights / max(float(weights.max()), 1e-6), np.float32)
    return beside(outlined, heat(scaled[None]))


def patches_a_second(
    dataset: Dataset, config: TrainingConfig, workers: int, batches: int = 20
) -> float:
    """How many patches a second are read, chosen and varied, as training takes them.

    Args:
        dataset: the views.
        config: of the training.
        workers: processes that make them; 0 makes them here.
        batches: to measure over, after as many that warm up.
    """
    stream = iter(DataLoader(_batches(dataset, config), batch_size=None, num_workers=workers))
    for _ in islice(stream, batches):
        pass
    start = time.perf_counter()
    for _ in islice(stream, batches):
        pass
    return batches * config.batches.size / (time.perf_counter() - start)


def _batches(dataset: Dataset, config: TrainingConfig) -> Batches:
    # Nothing is rendered meanwhile.
    fixed = replace(config.batches, rescan_steps=1 << 30)
    return Batches(Mixture([dataset]), fixed, config.network.encoders, config.run.seed)
