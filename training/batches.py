"""Batches: patches of random views at random sample counts, as the network reads them."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from kpcn_core import features
from kpcn_core.features import Component
from kpcn_core.ops.trajectory import trajectories
from training.augmentation import Aovs, Variation
from training.config import BatchConfig
from training.errors import InvalidConfig
from training.fireflies import add_fireflies
from training.losses import trust
from training.mixture import Mixture
from training.patches import Corners, select_from, uniform
from training.stills import dealt
from training.views import MOTION, REFERENCE, View

# How often a frame's specular layer holds what is seen directly, as many renderers have it.
MERGED = 0.2
LAYERS = ("diffuse", "specular")

Parts = dict[str, Component]


class Shot(NamedTuple):
    """The same frame of every patch.

    Attributes:
        parts: its noisy components in exposed units [B,3,H,W].
        aovs: its AOVs [B,C,H,W], of which the network reads the guides.
    """

    parts: Parts
    aovs: dict[str, Tensor]


class Batch(NamedTuple):
    """Patches that one encoder reads.

    Attributes:
        encoder: name of the source-aware encoder.
        window: the frames around each patch, in order.
        motion: from the centre to each of those, pixels [B,2,H,W].
        centre: index of the centre frame.
        targets: its components without noise.
        color: the color that they make, exposed.
        noisy: the color of the noisy centre frame, exposed.
    """

    encoder: str
    window: list[Shot]
    motion: list[Tensor]
    centre: int
    targets: Parts
    color: Component
    noisy: Component

    def weight(self, name: str, noise: float) -> Tensor:
        """How much each pixel of a component counts [B,1,H,W]; less where its target is noisy."""
        valid = self.window[self.centre].parts[name].valid
        return trust(self.targets[name], noise) * valid

    def color_weight(self, noise: float) -> Tensor:
        """The same for the color."""
        return trust(self.color, noise) * self.noisy.valid


class Patches(NamedTuple):
    """What a batch is computed from: less to hand from a loader to a device than the batch itself.

    Attributes:
        encoder: see `Batch`.
        frames: the noisy AOVs of every frame [B,C,H,W].
        clean: those of the reference.
        gain: exposure of every patch [B,1,1,1].
        motion: see `Batch`.
        centre: see `Batch`.
        split: whether the encoder reads diffuse light by itself.
    """

    encoder: str
    frames: list[dict[str, Tensor]]
    clean: dict[str, Tensor]
    gain: Tensor
    motion: list[Tensor]
    centre: int
    split: bool

    def to(self, device: torch.device) -> "Patches":
        """The same on a device, without waiting for it."""
        return self._replace(
            frames=[_to(frame, device) for frame in self.frames],
            clean=_to(self.clean, device),
            gain=self.gain.to(device, non_blocking=True),
            motion=[vectors.to(device, non_blocking=True) for vectors in self.motion],
        )

    def batch(self) -> Batch:
        """The batch, where the patches are."""
        clean, gain = self.clean, self.gain
        noisy = self.frames[self.centre]
        color, before = (
            features.components(aovs, gain, split=False)["specular"] for aovs in (clean, noisy)
        )
        shots = [Shot(features.components(aovs, gain, self.split), aovs) for aovs in self.frames]
        targets = features.components(clean, gain, self.split)
        return Batch(self.encoder, shots, self.motion, self.centre, targets, color, before)


class Batches(IterableDataset[Patches]):
    """An endless stream of batches that depends only on the views, the seed and the step.

    So training resumes at any step with the batch that would have come next, and any number of
    loader workers gives the same stream. A batch is for one encoder, and of one data set, whose
    views give all that this encoder reads. Views that are rendered meanwhile join every so often.

    A batch may come in parts: `accumulate` of them one after the other, each shared by `world`
    processes, of which this is number `rank`. All parts together are the patches of the whole.
    """

    def __init__(
        self,
        mixture: Mixture,
        config: BatchConfig,
        encoders: Mapping[str, tuple[str, ...]],
        seed: int,
        start: int = 0,
        *,
        accumulate: int = 1,
        world: int = 1,
        rank: int = 0,
    ) -> None:
        self.accumulate, self.world, self.rank = accumulate, world, rank
        self.mixture = mixture
        self.config = config
        self.encoders = encoders
        self.seed = seed
        self.start = start
        self._corners: dict[Path, Corners] = {}
        self._blocks: dict[tuple[Path, str], Tensor] = {}

    def __iter__(self) -> Iterator[Patches]:
        worker = get_worker_info()
        first, stride = (worker.id, worker.num_workers) if worker else (0, 1)
        self.mixture.rescan()
        scanned = self.start
        item = self.start * self.accumulate + first
        while True:
            step, piece = divmod(item, self.accumulate)
            if step - scanned >= self.config.rescan_steps:
                self.mixture.rescan()
                scanned = step
            part = piece * self.world + self.rank
            yield self.patches(step, part, self.accumulate * self.world)
            item += stride

    def batch(self, step: int, part: int = 0, parts: int = 1) -> Batch:
        """The batch of a step, or one of its equal parts."""
        return self.patches(step, part, parts).batch()

    def patches(self, step: int, part: int = 0, parts: int = 1) -> Patches:
        """What the batch of a step, or one of its equal parts, is computed from."""
        generator = np.random.default_rng([self.seed, step])
        encoder = str(generator.choice(list(self.encoders), p=self._shares()))
        planes = self.encoders[encoder]
        only = self.config.only.get(encoder)
        usable = self.mixture.usable(encoder, planes, self.config.reach, only)
        views = self._fitting(self.mixture.choose(usable, generator))
        split = features.reads_split(planes)
        offsets = self._offsets(generator)
        chosen = [views[index] for index in generator.integers(len(views), size=self.config.size)]
        # All are drawn, so that no part depends on how many there are.
        variances = any(plane.endswith("_variance") for plane in planes)
        draws = [self._draw(view, offsets, view.fewest(variances), generator) for view in chosen]
        mine = len(draws) // parts
        patches = [self._patch(draw) for draw in draws[part * mine : (part + 1) * mine]]
        merged = split and generator.random() < MERGED
        gain = torch.tensor([patch.gain for patch in patches]).view(-1, 1, 1, 1)
        frames = [
            _stacked([patch.frames[index] for patch in patches], merged)
            for index in range(len(offsets))
        ]
        centre = offsets.index(0)
        clean = _stacked([patch.clean for patch in patches], merged)
        return Patches(encoder, frames, clean, gain, _motion(frames, centre), centre, split)

    def _shares(self) -> list[float]:
        """The part of the batches that each encoder gets."""
        shares = [self.config.share(name) for name in self.encoders]
        return [share / sum(shares) for share in shares]

    def _offsets(self, generator: np.random.Generator) -> list[int]:
        """The frames of a window of random length, or the centre alone."""
        reach = self.config.reach
        if not reach:
            return [0]
        before, after = generator.integers(reach, size=2, endpoint=True).tolist()
        if not self.config.future:
            after = 0
        if before + after == 0:
            before = reach
        return list(range(-before, after + 1))

    def _draw(
        self, view: View, offsets: list[int], fewest: int, generator: np.random.Generator
    ) -> "_Draw":
        """What is random about a patch of a view."""
        buffers = self._buffers(view, offsets, fewest, generator)
        place = self._place(view, generator)
        vary = Variation.random(generator)
        error = 2 ** generator.uniform(-self.config.exposure_error, self.config.exposure_error)
        sparks = None
        if self.config.fireflies and generator.random() < self.config.fireflies:
            sparks = int(generator.integers(1 << 32))
        return _Draw(view, buffers, place, vary, error, sparks)

    def _buffers(
        self, view: View, offsets: list[int], fewest: int, generator: np.random.Generator
    ) -> dict[int, list[str]]:
        """The buffers of every frame of a window, by its distance from the centre."""
        if len(offsets) > 1 and not view.around:
            hands = dealt(view.spp, len(offsets), generator)
            return dict(zip(offsets, hands, strict=True))
        centre = choose_buffers(self._counts(view), generator, fewest)
        spp = sum(view.spp[name] for name in centre)
        return {
            offset: nearest_buffers(view.around[offset], spp) if offset else centre
            for offset in offsets
        }

    def _patch(self, draw: "_Draw") -> "_Patch":
        """The patch that was drawn."""
        view, buffers, place, vary, error, sparks = draw
        frames: list[Aovs] = []
        for offset, names in buffers.items():
            aovs = view.aovs(names, *place, offset if view.around else 0)
            if len(buffers) > 1:
                aovs |= {aov: view.motion(aov, *place, offset) for aov in MOTION}
            if sparks is not None:
                add_fireflies(aovs, np.random.default_rng([sparks, len(frames)]))
            frames.append(vary(aovs))
        clean = vary(view.aovs([REFERENCE], *place))
        return _Patch(frames, clean, self._gain(view, buffers[0]) * error)

    def _counts(self, view: View) -> Mapping[str, int]:
        """The buffers that the centre frame may take; not more samples than its neighbours have."""
        if not self.config.reach:
            return view.spp
        most = sum(view.around[1].values())
        return {name: count for name, count in view.spp.items() if count <= most}

    def _gain(self, view: View, buffers: list[str]) -> float:
        """Exposure of the whole noisy image, as at inference; not of the patch, not of the clean.

        From the blocks of every buffer, which are kept: to read whole images costs more than
        everything else about a patch.
        """
        counts = [view.spp[name] for name in buffers]
        blocks = [self._blocks_of(view, name) for name in buffers]
        total = sum(count * each for count, each in zip(counts, blocks, strict=True))
        return float(features.block_exposure(torch.as_tensor(total) / sum(counts)))

    def _blocks_of(self, view: View, buffer: str) -> Tensor:
        """Mean luminance of the blocks of one buffer [1,1,h,w]."""
        key = (view.path, buffer)
        if key not in self._blocks:
            color = torch.from_numpy(view.color([buffer]))[None]
            self._blocks[key] = features.block_luminance(color)
        return self._blocks[key]

    def _place(self, view: View, generator: np.random.Generator) -> tuple[slice, slice]:
        size = self.config.crop
        if generator.random() < self.config.uniform:
            top, left = uniform(*view.size, size, generator)
        else:
            corners = self.corners(view)
            top, left = corners[generator.integers(len(corners))].tolist()
        return slice(top, top + size), slice(left, left + size)

    def corners(self, view: View) -> Corners:
        """Top and left of the patches of a view that are chosen by content."""
        if view.path not in self._corners:
            generator = np.random.default_rng([self.seed, view.seed, 1])
            self._corners[view.path] = select_from(view, self.config.crop, generator)
        return self._corners[view.path]

    def _fitting(self, views: Sequence[View]) -> Sequence[View]:
        smallest = min(min(view.size) for view in views)
        if self.config.crop > smallest:
            raise InvalidConfig(
                f"[batches] crop = {self.config.crop} is larger than the smallest view, "
                f"{smallest} pixels. Make it smaller."
            )
        return views


def choose_buffers(
    spp: Mapping[str, int], generator: np.random.Generator, fewest: int = 1
) -> list[str]:
    """A random set of buffers whose samples add up to about 2^U: as many noisy as clean inputs."""
    smallest = sorted(spp, key=lambda name: spp[name])[:fewest]
    lowest, highest = np.log2([sum(spp[name] for name in smallest), sum(spp.values())])
    wanted = 2 ** generator.uniform(lowest, highest)
    chosen: list[str] = []
    for name in generator.permutation(list(spp)).tolist():
        if sum(spp[other] for other in chosen) + spp[name] <= wanted:
            chosen.append(name)
    return sorted(chosen if len(chosen) >= fewest else smallest)


def nearest_buffers(spp: Mapping[str, int], wanted: int) -> list[str]:
    """The buffers that together come nearest to a sample count, at least one."""
    sets = (chosen for count in range(len(spp)) for chosen in combinations(sorted(spp), count + 1))
    return list(min(sets, key=lambda chosen: abs(sum(spp[name] for name in chosen) - wanted)))


def _to(aovs: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: aov.to(device, non_blocking=True) for name, aov in aovs.items()}


class _Draw(NamedTuple):
    """A patch before it is read: of what, where, and how it is changed; `sparks` is a seed.

    The buffers are those of every frame, by its distance from the centre.
    """

    view: View
    buffers: dict[int, list[str]]
    place: tuple[slice, slice]
    vary: Variation
    error: float
    sparks: int | None


class _Patch(NamedTuple):
    """The frames of one patch, its reference, and its exposure."""

    frames: list[Aovs]
    clean: Aovs
    gain: float


def _stacked(patches: Sequence[Aovs], merged: bool) -> dict[str, Tensor]:
    """What patches have in common as tensors [B,C,h,w].

    Merged as a renderer that has no layer of emission gives them.
    """
    names = [name for name in patches[0] if all(name in patch for patch in patches)]
    aovs = {name: torch.from_numpy(np.stack([patch[name] for patch in patches])) for name in names}
    if merged:
        aovs.pop("specular", None)
    return aovs


def _motion(frames: Sequence[Mapping[str, Tensor]], centre: int) -> list[Tensor]:
    """Motion from the centre to every frame."""
    if len(frames) == 1:
        return [torch.zeros_like(frames[0]["color"][:, :2])]
    forward, backward = ([frame[aov] for frame in frames] for aov in MOTION)
    return trajectories(forward, backward, centre)
