"""LuxCore as a source of training data."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.furnished import assert_renders, heap
from training.dataset import Dataset, Recipe
from training.errors import InvalidDataset
from training.renderers.luxcore import program, scenes
from training.renderers.program import Program, ProgramScene
from training.renderers.sources import opened
from training.rendering import ReferenceGoal, render
from training.scenes import stored
from training.views import REFERENCE

pytestmark = pytest.mark.skipif(not find_spec("pyluxcore"), reason="pyluxcore is not installed")

SIZE = (48, 64)


@pytest.fixture(scope="module")
def luxcore() -> Iterator[Program]:
    started = program(threads=1)
    yield started
    started.close()


def test_components_add_up_and_the_sky_is_emission(luxcore: Program, tmp_path: Path) -> None:
    stored.save(tmp_path / "stage.npz", heap(20))
    view = ProgramScene(luxcore, 0, SIZE, stage=tmp_path / "stage.npz")
    found = view.renderer().render(8, 1).mean
    emission = found["color"] - found["diffuse"] - found["specular"]
    sky = np.abs(found["normal"]).max(axis=0) == 0
    assert sky.mean() > 0.1
    assert emission[:, sky].min() > 0
    seen, light = emission[:, ~sky], found["color"][:, ~sky]
    assert np.median(np.abs(seen)) < 0.1 * np.median(light)


def test_views_have_no_variance_but_that_of_the_reference(luxcore: Program, tmp_path: Path) -> None:
    recipe = Recipe("training.scenes", luxcore.describe(), spp=(2, 4), size=SIZE)
    goal = ReferenceGoal(spp=16, limit=1.0)
    (made,) = render(tmp_path, [1], scenes(luxcore, SIZE), recipe, goal)
    (view,) = Dataset(tmp_path).training
    assert made[1].reference_spp >= 16
    assert not view.has_variance
    assert view.aovs([REFERENCE])["color_mse"].mean() > 0
    difference = view.color(["0"]) - view.color(["1"])
    assert np.abs(difference).mean() > 0


def test_all_that_rooms_are_furnished_with_renders(luxcore: Program, tmp_path: Path) -> None:
    assert_renders(luxcore, SIZE, tmp_path)


def test_sequences_are_refused_for_lack_of_motion() -> None:
    with pytest.raises(InvalidDataset, match="motion"), opened("luxcore", SIZE, reach=3):
        pass
