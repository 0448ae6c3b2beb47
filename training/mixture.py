"""Several data sets to learn from at once, of the same renderer or of different ones."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from kpcn_core import features
from training.dataset import Dataset
from training.errors import InvalidConfig, InvalidDataset
from training.views import View


class Mixture:
    """Data sets that batches are drawn from, each batch from one of them.

    What an encoder may learn from follows from what the views give: all planes that it reads.

    Attributes:
        datasets: in the order in which they were named.
        shares: name of a data set (that of its folder) to how often its views are chosen, relative
            to those of the others; 1 if not given, so that every view counts the same.
    """

    def __init__(
        self, datasets: Sequence[Dataset], shares: Mapping[str, float] | None = None
    ) -> None:
        self.datasets = list(datasets)
        self.shares = dict(shares or {})
        names = [dataset.name for dataset in self.datasets]
        unknown = sorted(self.shares.keys() - set(names))
        if unknown:
            raise InvalidConfig(
                f"[batches.data] has {', '.join(unknown)}, which is no data set of this training; "
                f"there are: {', '.join(names)}."
            )
        if len(set(names)) < len(names):
            raise InvalidDataset(
                f"{', '.join(str(one.folder) for one in self.datasets)}: data sets go by the names "
                f"of their folders, and two have the same. Rename one."
            )

    @staticmethod
    def opened(folders: Iterable[Path], shares: Mapping[str, float] | None = None) -> "Mixture":
        """Open the data sets of some folders.

        Raises:
            UnreadableFile: a folder has none.
            InvalidDataset: one is damaged, or two have the same name.
            InvalidConfig: a share is of a data set that is not there.
        """
        return Mixture([Dataset(folder) for folder in folders], shares)

    def rescan(self) -> None:
        """Open the views that were finished since the last scan."""
        for dataset in self.datasets:
            dataset.rescan()

    @property
    def training(self) -> list[View]:
        """All views to learn from."""
        return [view for dataset in self.datasets for view in dataset.training]

    def choose(self, usable: Sequence[Dataset], generator: np.random.Generator) -> list[View]:
        """The training views of one of some data sets; no number is drawn for a single one."""
        if len(usable) == 1:
            return usable[0].training
        weights = np.array([self.weight(dataset) for dataset in usable])
        return usable[generator.choice(len(usable), p=weights / weights.sum())].training

    def weight(self, dataset: Dataset) -> float:
        """How often batches come from a data set, relative to the others: views times share."""
        return len(dataset.training) * self.shares.get(dataset.name, 1.0)

    def usable(
        self,
        encoder: str = "",
        planes: Iterable[str] = (),
        reach: int = 0,
        only: Sequence[str] | None = None,
    ) -> list[Dataset]:
        """The data sets that an encoder may learn from.

        Args:
            encoder: its name, for errors.
            planes: what it reads.
            reach: frames before and after the centre that are needed.
            only: names of the data sets that may be; all if not given.

        Raises:
            InvalidConfig: `only` names none of them.
            InvalidDataset: none is usable, and why.
        """
        named = [one for one in self.datasets if only is None or one.name in only]
        if not named:
            raise InvalidConfig(
                f"[batches.only] {encoder} = {list(only or ())}: there are "
                f"{', '.join(dataset.name for dataset in self.datasets)}."
            )
        filled = [dataset for dataset in named if self.weight(dataset)]
        if not filled:
            folders = ", ".join(str(dataset.folder) for dataset in named)
            raise InvalidDataset(
                f"{folders}: no view to train on. Render some with `kpcn-train render`."
            )
        wanted = set(planes)
        readable = [dataset for dataset in filled if not lacking(wanted, dataset.given(reach))]
        if not readable:
            raise InvalidDataset(
                "; ".join(_unread(encoder, wanted, reach, each) for each in filled)
            )
        found = [dataset for dataset in readable if dataset.reach >= reach]
        if not found:
            raise InvalidDataset("; ".join(_short(reach, dataset) for dataset in readable))
        return found


def lacking(planes: Iterable[str], aovs: frozenset[str]) -> list[str]:
    """The planes that frames with these AOVs and `*_mse` twins cannot give."""
    wanted = set(planes)
    return sorted(wanted - features.available_planes(aovs, features.reads_split(wanted)))


def reader(encoders: Mapping[str, Sequence[str]], aovs: frozenset[str]) -> str | None:
    """The first of some encoders, each with its planes, that can read AOVs; None if none can."""
    return next((name for name in encoders if not lacking(encoders[name], aovs)), None)


def _unread(encoder: str, planes: set[str], reach: int, dataset: Dataset) -> str:
    lacks = ", ".join(lacking(planes, dataset.given(reach)))
    return (
        f"{dataset.folder}: encoder '{encoder}' reads {lacks}, which the views of "
        f"{dataset.manifest.recipe.renderer} do not give. Train another encoder on them: set its "
        f"share in [batches.shares], and this one's to 0"
    )


def _short(reach: int, dataset: Dataset) -> str:
    return (
        f"{dataset.folder}: its views have {dataset.reach} frames before and after the centre; "
        f"[batches] reach = {reach} asks for more. Render with `--reach`, or for shots that stand "
        f"still with more equal counts in `--spp`"
    )
