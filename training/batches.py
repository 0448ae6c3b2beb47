"""Batches: patches of random views at random sample counts, as the network reads them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from kpcn_core import features
from kpcn_core.features import Component
from training import patches
from training.augmentation import Aovs, augment
from training.config import BatchConfig
from training.dataset import Dataset
from training.errors import InvalidConfig, InvalidDataset
from training.views import REFERENCE, View

# How often each component is filtered. Albedo is the easiest.
COMPONENTS = {"irradiance": 0.45, "specular": 0.45, "albedo": 0.1}
# The encoder that reads no variance, and how often its frames have no diffuse layer either.
GENERIC = "generic"
UNSPLIT = {"kpcn": 0.1, GENERIC: 0.5}

Images = dict[str, Tensor]


class Batch(NamedTuple):
    """Patches of one encoder, each of one component.

    Attributes:
        encoder: name of the source-aware encoder.
        planes: its input [B,P,H,W].
        radiance: the noisy component in exposed units [B,3,H,W].
        valid: 1 where it may be read [B,1,H,W].
        reference: the component without noise [B,3,H,W].
        weight: how much a pixel counts in the loss [B,1,H,W]; less where the reference is noisy.
    """

    encoder: str
    planes: Tensor
    radiance: Tensor
    valid: Tensor
    reference: Tensor
    weight: Tensor


class Batches(IterableDataset[Batch]):
    """An endless stream of batches that depends only on the views, the seed and the step.

    So training resumes at any step with the batch that would have come next, and any number of
    loader workers gives the same stream. Views that are rendered meanwhile join every so often.
    """

    def __init__(
        self,
        dataset: Dataset,
        config: BatchConfig,
        encoders: Mapping[str, tuple[str, ...]],
        seed: int,
        start: int = 0,
    ) -> None:
        self.dataset = dataset
        self.config = config
        self.encoders = encoders
        self.seed = seed
        self.start = start
        self._corners: dict[int, patches.Corners] = {}

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        first, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        self.dataset.rescan()
        scanned = self.start
        step = self.start + first
        while True:
            if step - scanned >= self.config.rescan_steps:
                self.dataset.rescan()
                scanned = step
            yield self.batch(step)
            step += stride

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        generator = np.random.default_rng([self.seed, step])
        views = self._usable(self.dataset.training)
        generic = GENERIC in self.encoders and generator.random() < self.config.generic
        named = [name for name in self.encoders if name != GENERIC]
        encoder = GENERIC if generic or not named else str(generator.choice(named))
        items = []
        for _ in range(self.config.size):
            view = views[int(generator.integers(len(views)))]
            items.append(self._item(view, encoder, generator))
        return Batch(encoder, *(torch.cat(column) for column in zip(*items, strict=True)))

    def _item(self, view: View, encoder: str, generator: np.random.Generator) -> tuple[Tensor, ...]:
        """One patch: planes, radiance, valid, reference, weight, each [1,C,h,w]."""
        buffers = choose_buffers(view.spp, generator)
        # Of the whole noisy image, as at inference, not of the patch or the reference.
        gain = features.exposure(torch.from_numpy(view.color(buffers))[None])
        error = self.config.exposure_error
        gain = gain * 2 ** float(generator.uniform(-error, error))
        rows, columns = self._place(view, generator)
        noisy, clean = augment(
            [_tensors(view, names, rows, columns) for names in (buffers, [REFERENCE])], generator
        )
        if generator.random() < UNSPLIT.get(encoder, 0.0):
            noisy, clean = _unsplit(noisy), _unsplit(clean)
        inputs = features.components(noisy, gain)
        name = _component_name(inputs, generator)
        component = inputs[name]
        target = features.components(clean, gain)[name]
        planes = features.planes(component, noisy)
        return (
            torch.cat([planes[plane] for plane in self.encoders[encoder]], dim=1),
            component.radiance,
            component.valid,
            target.radiance,
            trust(target, self.config.reference_noise),
        )

    def _place(self, view: View, generator: np.random.Generator) -> tuple[slice, slice]:
        size = self.config.crop
        if generator.random() < self.config.uniform:
            top, left = patches.uniform(*view.size, size, generator)
        else:
            corners = self._corners_of(view)
            top, left = corners[generator.integers(len(corners))].tolist()
        return slice(top, top + size), slice(left, left + size)

    def _corners_of(self, view: View) -> patches.Corners:
        if view.seed not in self._corners:
            generator = np.random.default_rng([self.seed, view.seed, 1])
            self._corners[view.seed] = patches.select_from(view, self.config.crop, generator)
        return self._corners[view.seed]

    def _usable(self, views: Sequence[View]) -> Sequence[View]:
        if not views:
            raise InvalidDataset(
                f"{self.dataset.folder}: no view to train on. Render some with `kpcn-train render`."
            )
        smallest = min(min(view.size) for view in views)
        if self.config.crop > smallest:
            raise InvalidConfig(
                f"[batches] crop = {self.config.crop} is larger than the smallest view, "
                f"{smallest} pixels. Make it smaller."
            )
        return views


def choose_buffers(spp: Mapping[str, int], generator: np.random.Generator) -> list[str]:
    """A random set of buffers whose samples add up to about 2^U: as many noisy as clean inputs."""
    lowest, highest = np.log2([min(spp.values()), sum(spp.values())])
    wanted = 2 ** generator.uniform(lowest, highest)
    chosen: list[str] = []
    for name in generator.permutation(list(spp)).tolist():
        if sum(spp[other] for other in chosen) + spp[name] <= wanted:
            chosen.append(name)
    return sorted(chosen) or [min(spp, key=lambda name: spp[name])]


def trust(reference: Component, strength: float) -> Tensor:
    """1 / (1 + strength * relative variance) of a reference component [B,1,H,W]; 0 if not valid."""
    if reference.variance is None or strength == 0:
        return reference.valid
    relative = features.relative_deviation(reference.radiance, reference.variance).square()
    return reference.valid / (1 + strength * relative)


def _tensors(view: View, buffers: Sequence[str], rows: slice, columns: slice) -> Aovs:
    arrays = view.aovs(buffers, rows, columns)
    return {name: torch.from_numpy(array)[None] for name, array in arrays.items()}


def _unsplit(aovs: Aovs) -> Aovs:
    """As a renderer without a diffuse layer gives it."""
    return {
        name: image for name, image in aovs.items() if not name.startswith(("diffuse", "specular"))
    }


def _component_name(found: Mapping[str, Component], generator: np.random.Generator) -> str:
    names = list(found)
    chances = np.array([COMPONENTS[name] for name in names])
    return str(generator.choice(names, p=chances / chances.sum()))
