"""Batches: patches of random views at random sample counts, as the network reads them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from kpcn_core import features
from kpcn_core.features import Component
from training.augmentation import Aovs, Variation
from training.config import BatchConfig
from training.dataset import Dataset
from training.errors import InvalidConfig, InvalidDataset
from training.losses import trust
from training.patches import Corners, select_from, uniform
from training.views import REFERENCE, View

# How often each component is filtered. Albedo is the easiest.
COMPONENTS = {"irradiance": 0.45, "specular": 0.45, "albedo": 0.1}
# The encoder that reads no variance.
GENERIC = "generic"
# How often an encoder's frames have no diffuse layer, so that all of the color is one component.
UNSPLIT = {"kpcn": 0.1, GENERIC: 0.5}
SPLIT = ("diffuse", "specular")


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
        self._corners: dict[int, Corners] = {}
        self._gains: dict[tuple[object, ...], float] = {}

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
        encoder = self._choose_encoder(generator)
        split = generator.random() >= UNSPLIT.get(encoder, 0.0)
        patches = (
            self._patch(views[int(generator.integers(len(views)))], generator)
            for _ in range(self.config.size)
        )
        noisy_patches, clean_patches, gains = zip(*patches, strict=True)
        noisy, clean = _stacked(noisy_patches, split), _stacked(clean_patches, split)
        gain = torch.tensor(gains).view(-1, 1, 1, 1)
        inputs, targets = features.components(noisy, gain), features.components(clean, gain)
        chosen = _choose_components(list(inputs), self.config.size, generator)
        groups = []
        for name, rows in chosen.items():
            component, target = _rows(inputs[name], rows), _rows(targets[name], rows)
            aovs = {aov: image[rows] for aov, image in noisy.items()}
            planes = features.planes(component, aovs)
            groups.append(
                (
                    torch.cat([planes[plane] for plane in self.encoders[encoder]], dim=1),
                    component.radiance,
                    component.valid,
                    target.radiance,
                    trust(target, self.config.reference_noise),
                )
            )
        return Batch(encoder, *(torch.cat(column) for column in zip(*groups, strict=True)))

    def _choose_encoder(self, generator: np.random.Generator) -> str:
        named = [name for name in self.encoders if name != GENERIC]
        generic = GENERIC in self.encoders and generator.random() < self.config.generic
        return GENERIC if generic or not named else str(generator.choice(named))

    def _patch(self, view: View, generator: np.random.Generator) -> tuple[Aovs, Aovs, float]:
        """A patch of a view, noisy and clean, and its exposure."""
        buffers = choose_buffers(view.spp, generator)
        place = self._place(view, generator)
        vary = Variation.random(generator)
        error = 2 ** generator.uniform(-self.config.exposure_error, self.config.exposure_error)
        return (
            vary(view.aovs(buffers, *place)),
            vary(view.aovs([REFERENCE], *place)),
            self._gain(view, buffers) * error,
        )

    def _gain(self, view: View, buffers: list[str]) -> float:
        """Exposure of the whole noisy image, as at inference; not of the patch, not of the clean.

        Kept, because it costs as much as everything else about a patch.
        """
        key = (view.seed, *buffers)
        if key not in self._gains:
            color = torch.from_numpy(view.color(buffers))[None]
            self._gains[key] = float(features.exposure(color))
        return self._gains[key]

    def _place(self, view: View, generator: np.random.Generator) -> tuple[slice, slice]:
        size = self.config.crop
        if generator.random() < self.config.uniform:
            top, left = uniform(*view.size, size, generator)
        else:
            corners = self._corners_of(view)
            top, left = corners[generator.integers(len(corners))].tolist()
        return slice(top, top + size), slice(left, left + size)

    def _corners_of(self, view: View) -> Corners:
        if view.seed not in self._corners:
            generator = np.random.default_rng([self.seed, view.seed, 1])
            self._corners[view.seed] = select_from(view, self.config.crop, generator)
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


def _stacked(patches: Sequence[Aovs], split: bool) -> dict[str, Tensor]:
    """Patches as tensors [B,3,h,w]; without a split as a renderer with no diffuse layer gives."""
    names = [name for name in patches[0] if split or not name.startswith(SPLIT)]
    return {name: torch.from_numpy(np.stack([aovs[name] for aovs in patches])) for name in names}


def _rows(component: Component, rows: list[int]) -> Component:
    variance = None if component.variance is None else component.variance[rows]
    return Component(component.name, component.radiance[rows], variance, component.valid[rows])


def _choose_components(
    names: list[str], size: int, generator: np.random.Generator
) -> dict[str, list[int]]:
    """Which patches of a batch are filtered as which component."""
    chances = np.array([COMPONENTS[name] for name in names])
    chosen = generator.choice(names, size, p=chances / chances.sum()).tolist()
    rows = {name: [row for row, other in enumerate(chosen) if other == name] for name in names}
    return {name: found for name, found in rows.items() if found}
