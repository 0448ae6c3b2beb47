"""Cycles as a source of training data, with the real Blender."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from kpcn_core.errors import RenderFailed
from kpcn_core.ops.warp import warp
from kpcn_core.renderers.base import Accumulation
from kpcn_core.renderers.batched import with_spread
from kpcn_core.renderers.rendered import accumulated
from tests.blender import BLENDER, needs_blender
from tests.furnished import assert_renders, heap
from training.dataset import Dataset, Recipe
from training.renderers.cycles import program, scenes
from training.renderers.program import Program, ProgramScene
from training.rendering import ReferenceGoal, render
from training.scenes import stored
from training.views import REFERENCE

pytestmark = needs_blender

SIZE = (48, 64)
SEED = 1


@pytest.fixture(scope="module")
def cycles() -> Iterator[Program]:
    started = program(BLENDER, threads=1)
    yield started
    started.close()


def test_its_motion_leads_to_the_same_surface_in_the_other_frames(
    cycles: Program, tmp_path: Path
) -> None:
    stored.save(tmp_path / "stage.npz", heap(9))
    moving = ProgramScene(cycles, 0, SIZE, reach=1, stage=tmp_path / "stage.npz")
    frames = {time: moving.renderer(time, motion=True).render(16, time + 9) for time in (-1, 0, 1)}
    for aov, time in (("forward", 1), ("backward", -1)):
        motion = frames[0].closest[aov]
        assert np.abs(motion).mean() > 0.5
        found = {
            sign: distance(frames[0], frames[time], sign * motion) for sign in (-1.0, 0.0, 1.0)
        }
        assert found[1.0] < 0.6 * found[0.0] < 0.54 * found[-1.0]


def distance(here: Accumulation, there: Accumulation, motion: np.ndarray) -> float:
    """How far an image is from another that is fetched along motion, where that stays inside."""
    stacked = [np.concatenate([one.mean["albedo"], one.mean["normal"]]) for one in (here, there)]
    images = [torch.from_numpy(one)[None].float() for one in stacked]
    warped, inside = warp(images[1], torch.from_numpy(motion)[None].float())
    difference = (warped - images[0]).abs().mean(dim=1, keepdim=True)
    return float((difference * inside).sum() / inside.sum())


def test_buffers_are_independent_and_come_back_by_their_seed(cycles: Program) -> None:
    renderer = ProgramScene(cycles, SEED, SIZE).renderer()
    first, other, again = (renderer.render(4, seed) for seed in (1, 2, 1))
    assert_array_equal(first.mean["color"], again.mean["color"])
    clean = renderer.render(64, 3).mean["color"]
    noise = [np.clip(one.mean["color"] - clean, -0.1, 0.1).ravel() for one in (first, other)]
    alike = np.asarray(np.corrcoef(np.stack(noise)))
    assert abs(alike[0, 1]) < 0.1


def test_parts_of_a_sequence_of_samples_are_the_whole_and_tell_its_variance(
    cycles: Program,
) -> None:
    view = ProgramScene(cycles, SEED, SIZE).renderer()
    whole, other = (cycles.render(view.request(16, seed))["color"] for seed in (1, 2))
    parts = [
        cycles.render({**view.request(4, 1), "part": [first, 16]}) for first in range(0, 16, 4)
    ]
    merged = with_spread(accumulated(part, np.full(SIZE, 4, np.uint32)) for part in parts).frame()
    differing, noise = (np.abs(image - whole).mean() for image in (merged["color"], other))
    assert differing < 1e-4 * noise
    spread = np.median(merged["color_mse"]) / np.median(np.square(other - whole) / 2)
    assert 0.3 < spread < 3


def test_components_add_up_and_the_sky_is_emission(cycles: Program, tmp_path: Path) -> None:
    stored.save(tmp_path / "stage.npz", heap(20))
    view = ProgramScene(cycles, 0, SIZE, stage=tmp_path / "stage.npz")
    found = view.renderer().render(16, 1).mean
    emission = found["color"] - found["diffuse"] - found["specular"]
    sky = np.abs(found["normal"]).max(axis=0) == 0
    assert sky.mean() > 0.1
    assert np.abs(found["specular"][:, sky]).max() < 1e-4
    assert emission[:, sky].min() > 0


def test_views_have_no_variance_but_that_of_the_reference(cycles: Program, tmp_path: Path) -> None:
    recipe = Recipe("training.scenes", cycles.describe(), spp=(2, 4), size=SIZE)
    goal = ReferenceGoal(spp=16, limit=1.0)
    ((seed, _),) = render(tmp_path, [SEED], scenes(cycles, 0, SIZE), recipe, goal)
    assert seed == SEED
    (view,) = Dataset(tmp_path).training
    assert not view.has_variance
    assert "color_mse" not in view.aovs(["0", "1"])
    reference = view.aovs([REFERENCE])
    assert 0 < reference["color_mse"].mean() < np.square(reference["color"]).mean()


def test_all_that_rooms_are_furnished_with_renders(cycles: Program, tmp_path: Path) -> None:
    assert_renders(cycles, SIZE, tmp_path)


def test_a_renderer_that_is_killed_is_started_again(cycles: Program) -> None:
    renderer = ProgramScene(cycles, SEED, SIZE).renderer()
    before = renderer.render(2, 1)
    assert cycles._process is not None
    os.kill(cycles._process.pid, signal.SIGKILL)
    with pytest.raises(RenderFailed, match="exit code -9"):
        renderer.render(2, 1)
    assert_array_equal(renderer.render(2, 1).mean["color"], before.mean["color"])


def test_a_program_that_cannot_be_started_is_named() -> None:
    with pytest.raises(RenderFailed, match="no-such-blender"):
        program("no-such-blender").describe()
