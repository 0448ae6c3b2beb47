"""A small data set for tests, rendered once a session's folder; its views have a frame around."""

from dataclasses import replace
from pathlib import Path

from tests.noisy_scene import NoisyScene, QuietScene
from training.dataset import Dataset, Recipe
from training.rendering import ReferenceGoal, render

RECIPE = Recipe(
    generator="noisy scene 1", renderer="gamma noise", spp=(2, 2, 4, 8), reach=1, around=(4, 8)
)
QUIET = Recipe(generator="noisy scene 1", renderer="without variance", spp=(2, 4))
GOAL = ReferenceGoal(spp=128)


def make_dataset(folder: Path, seeds: range = range(4)) -> Dataset:
    """Render the views of some seeds; seed 0 is held out."""
    for _ in render(folder, seeds, NoisyScene, RECIPE, GOAL):
        pass
    return Dataset(folder)


def make_quiet_dataset(folder: Path, seeds: range, spp: tuple[int, ...] = QUIET.spp) -> Dataset:
    """The same of a renderer that gives neither variance nor frames around."""
    for _ in render(folder, seeds, QuietScene, replace(QUIET, spp=spp), GOAL):
        pass
    return Dataset(folder)


def make_still_dataset(folder: Path, seeds: range) -> Dataset:
    """Views whose buffers can be the frames of a shot in which nothing moves."""
    recipe = replace(RECIPE, spp=(2, 2, 2, 2), reach=0)
    for _ in render(folder, seeds, NoisyScene, recipe, GOAL):
        pass
    return Dataset(folder)
