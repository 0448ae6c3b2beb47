"""Parts of a data set: what an experiment learns from, and what it is tested on."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from training.dataset import Dataset, Manifest
from training.errors import InvalidDataset
from training.views import View


def apart(dataset: Dataset, tests: int) -> tuple[list[View], list[View]]:
    """Views to learn from, and so many others to test on: first those that are held out anyway.

    Raises:
        InvalidDataset: nothing is left to learn from.
    """
    learned, held_out = dataset.training, dataset.validation[:tests]
    missing = tests - len(held_out)
    if missing >= len(learned):
        raise InvalidDataset(
            f"{dataset.folder}: has {len(learned) + len(held_out)} views, too few to test on "
            f"{tests} of them. Render more with `kpcn-train render`, or test on fewer."
        )
    split = len(learned) - missing
    return learned[:split], held_out + learned[split:]


def part(dataset: Dataset, views: Sequence[View], folder: Path) -> Path:
    """A data set of some views of another, which may grow meanwhile; no file is copied."""
    entries = dataset.manifest.views
    chosen = {
        view.seed: replace(entries[view.seed], file=str(view.path.resolve())) for view in views
    }
    found = Manifest(dataset.manifest.recipe, chosen, licence=dataset.manifest.licence)
    folder.mkdir(parents=True, exist_ok=True)
    found.write(folder)
    return folder
