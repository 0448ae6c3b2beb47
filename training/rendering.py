"""Make a data set: render views one by one, resumable, stopped between passes."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kpcn_core.errors import KpcnError
from kpcn_core.renderers.base import Accumulation, Renderer
from training import views
from training.dataset import MANIFEST, Entry, Manifest, Recipe, file_digest
from training.errors import InvalidDataset

log = logging.getLogger(__name__)

# References are rendered in passes of this many spp, so that a stop need not wait for long.
PASS = 64
# Random number streams that one view may use.
STREAMS = 1000


class RenderableScene(Protocol):
    """What training.scenes gives."""

    def renderer(self) -> Renderer:
        """A renderer of the scene's one view."""
        ...


@dataclass(frozen=True)
class ReferenceGoal:
    """When a reference is good enough.

    Attributes:
        spp: samples per pixel wanted.
        seconds: stop earlier after this time, once `minimum` is reached.
        minimum: samples per pixel to take whatever it costs.
    """

    spp: int = 512
    seconds: float = float("inf")
    minimum: int = 2 * PASS


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
    refuses is reported as a warning and left out.

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
        if seed in manifest.views:
            continue
        start = time.monotonic()
        try:
            buffers = _buffers(scene(seed).renderer(), seed, recipe.spp, goal, stop)
        except KpcnError as error:
            log.warning("seed %d: left out: %s", seed, error)
            continue
        if buffers is None:
            return
        path = Path("views") / f"{seed:06d}.safetensors"
        views.write(folder / path, buffers)
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


def _buffers(
    renderer: Renderer,
    seed: int,
    spp: tuple[int, ...],
    goal: ReferenceGoal,
    stop: Callable[[], bool],
) -> dict[str, Accumulation] | None:
    """All buffers of one view, or None if asked to stop."""
    buffers = {}
    for index, samples in enumerate(spp):
        if stop():
            return None
        buffers[str(index)] = renderer.render(samples, STREAMS * seed + index)
    # Streams of its own: a reference that shared samples with an input would teach to keep noise.
    start, reference, taken = time.monotonic(), None, 0
    while not _reached(goal, taken, time.monotonic() - start):
        if stop():
            return None
        samples = min(PASS, goal.spp - taken)
        stream = STREAMS * seed + len(spp) + taken // PASS
        passed = renderer.render(samples, stream)
        reference = passed if reference is None else reference.merged(passed)
        taken += samples
    assert reference is not None
    return {**buffers, views.REFERENCE: reference}


def _reached(goal: ReferenceGoal, taken: int, seconds: float) -> bool:
    return taken >= goal.spp or (taken >= goal.minimum and seconds > goal.seconds)
