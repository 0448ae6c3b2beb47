"""Make a data set: render views one by one, resumable, stopped between passes."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from kpcn_core import features
from kpcn_core.errors import KpcnError, RenderFailed
from kpcn_core.renderers.base import Accumulation, Renderer
from kpcn_core.renderers.batched import shares, with_spread
from training import views
from training.dataset import MANIFEST, Entry, Manifest, Recipe, file_digest
from training.errors import InvalidDataset, UnsuitableScene

log = logging.getLogger(__name__)

# References are rendered in passes of this many spp, so that a stop need not wait for long.
PASS = 64
# Renders that a pass is split into where the renderer gives no variance, for that of a reference.
PARTS = 4
# Random number streams that one view may use, and one frame around it.
STREAMS = 1000
FRAME_STREAMS = 20


class RenderableScene(Protocol):
    """A view of a scene, as the renderers of `training.renderers` give it."""

    @property
    def gives_variance(self) -> bool:
        """Whether its renderer says how noisy its images are."""
        ...

    def renderer(self, time: int = 0, motion: bool = False) -> Renderer:
        """A renderer of the view at a time in frames, with motion AOVs if asked for."""
        ...


@dataclass(frozen=True)
class ReferenceGoal:
    """When a reference is good enough, and when it never will be.

    Noise is the mean over pixels of the standard error of the color, relative to the color.

    Attributes:
        spp: samples per pixel to take at most.
        seconds: stop after this time, once `minimum` is reached.
        minimum: samples per pixel to take whatever it costs.
        noise: stop at this noise, once `minimum` is reached.
        limit: a scene whose reference will be noisier than this is left out: a network that
            learns from noisy references learns to darken (SMAPE seeks the median).
    """

    spp: int = 512
    seconds: float = float("inf")
    minimum: int = 2 * PASS
    noise: float = 0.02
    limit: float = 0.2


def render(
    folder: Path,
    seeds: Iterable[int],
    scene: Callable[[int], RenderableScene],
    recipe: Recipe,
    goal: ReferenceGoal = ReferenceGoal(),
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[int, Entry]]:
    """Render the views that a folder lacks; give each one as it is finished.

    Safe to end and start again at any time. One process a folder. A scene that its renderer
    refuses, or that is too noisy for a reference, is left out with a warning, and not tried again.

    Args:
        folder: the data set; made if need be.
        seeds: one view each.
        scene: makes the scene of a seed.
        recipe: how views are made; must be that of the folder.
        goal: how long to work on a reference.
        stop: asked between passes whether to end.

    Raises:
        InvalidDataset: the folder's views were made by another recipe.
    """
    manifest = _manifest(folder, recipe)
    for seed in seeds:
        if seed in manifest.views or seed in manifest.left_out:
            continue
        start = time.monotonic()
        try:
            made = _tried_again(scene(seed), seed, recipe, goal, stop)
        except KpcnError as error:
            log.warning("seed %d: left out: %s", seed, error)
            manifest = manifest.without(seed, str(error))
            manifest.write(folder)
            continue
        if made is None:
            return
        buffers, around = made
        path = Path("views") / f"{seed:06d}.safetensors"
        views.write(folder / path, buffers, around)
        entry = Entry(
            file=path.as_posix(),
            sha256=file_digest(folder / path),
            reference_spp=round(float(buffers[views.REFERENCE].count.mean())),
            seconds=round(time.monotonic() - start, 2),
        )
        manifest = manifest.added(seed, entry)
        manifest.write(folder)
        yield seed, entry


def _manifest(folder: Path, recipe: Recipe) -> Manifest:
    if not (folder / MANIFEST).exists():
        manifest = Manifest(recipe)
        manifest.write(folder)
        return manifest
    manifest = Manifest.read(folder)
    if manifest.recipe != recipe:
        raise InvalidDataset(
            f"{folder}: its views were made by {manifest.recipe}, and now {recipe} is asked for. "
            f"Render into a new folder."
        )
    return manifest


def _tried_again(
    scene: RenderableScene,
    seed: int,
    recipe: Recipe,
    goal: ReferenceGoal,
    stop: Callable[[], bool],
) -> tuple[dict[str, Accumulation], dict[int, dict[str, Accumulation]]] | None:
    """As `_frames`; once more if the renderer ended, which need not be the scene's fault."""
    try:
        return _frames(scene, seed, recipe, goal, stop)
    except RenderFailed as error:
        log.warning("seed %d: tried again: %s", seed, error)
        return _frames(scene, seed, recipe, goal, stop)


def _frames(
    scene: RenderableScene,
    seed: int,
    recipe: Recipe,
    goal: ReferenceGoal,
    stop: Callable[[], bool],
) -> tuple[dict[str, Accumulation], dict[int, dict[str, Accumulation]]] | None:
    """All buffers of one view and of the frames around it, or None if asked to stop."""
    moving = recipe.reach > 0
    renderer = scene.renderer(0, moving)
    # The reference first: a scene that is too noisy for one needs nothing else.
    first = STREAMS * seed
    parts = 1 if scene.gives_variance else PARTS
    reference = _reference(renderer, first + len(recipe.spp), goal, stop, parts)
    if reference is None:
        return None
    buffers = {**_buffers(renderer, recipe.spp, first), views.REFERENCE: reference}
    around = {}
    for offset in range(-recipe.reach, recipe.reach + 1):
        if stop():
            return None
        if offset:
            streams = first + STREAMS // 2 + FRAME_STREAMS * (recipe.reach + offset)
            renderer = scene.renderer(offset, moving)
            around[offset] = _buffers(renderer, recipe.around, streams)
    return buffers, around


def _buffers(renderer: Renderer, spp: tuple[int, ...], stream: int) -> dict[str, Accumulation]:
    """Independent noisy buffers of one frame."""
    return {str(index): renderer.render(count, stream + index) for index, count in enumerate(spp)}


def _reference(
    renderer: Renderer, stream: int, goal: ReferenceGoal, stop: Callable[[], bool], parts: int
) -> Accumulation | None:
    """A reference, or None if asked to stop.

    Its random numbers are its own: a reference that shared samples with an input would teach to
    keep noise.
    """
    start, taken = time.monotonic(), 0
    reference: Accumulation | None = None
    while reference is None or not _reached(goal, taken, noise(reference), start):
        if stop():
            return None
        samples = min(PASS, goal.spp - taken)
        passed = _pass(renderer, samples, stream + taken // PASS, parts)
        reference = passed if reference is None else reference.merged(passed)
        taken += samples
        _check_hope(noise(reference) * (taken / goal.spp) ** 0.5, goal)
    _check_hope(noise(reference), goal)
    return reference


def _pass(renderer: Renderer, samples: int, stream: int, parts: int) -> Accumulation:
    """A pass with a variance: the renderer's own, or from the spread of some renders."""
    if parts == 1:
        return renderer.render(samples, stream)
    counts = shares(np.full(renderer.size, samples, np.uint32), parts)
    seeds = np.random.SeedSequence([stream, parts]).generate_state(parts)
    return with_spread(
        [renderer.render(share, int(seed)) for share, seed in zip(counts, seeds, strict=True)]
    )


def noise(accumulation: Accumulation) -> float:
    """Mean over pixels of the relative standard error of the exposed color, 0 to 1."""
    frame = accumulation.frame()
    color, variance = (torch.from_numpy(frame[aov])[None] for aov in ("color", "color_mse"))
    gain = features.exposure(color)
    exposed = torch.nan_to_num(color * gain)
    deviation = features.relative_deviation(exposed, torch.nan_to_num(variance * gain.square()))
    return float(deviation.mean())


def _check_hope(expected: float, goal: ReferenceGoal) -> None:
    if expected > goal.limit:
        raise UnsuitableScene(
            f"its reference would keep a noise of {expected:.2f}; at most {goal.limit} is allowed"
        )


def _reached(goal: ReferenceGoal, taken: int, reached: float, start: float) -> bool:
    enough = reached <= goal.noise or time.monotonic() - start > goal.seconds
    return taken >= goal.spp or (taken >= goal.minimum and enough)
