"""Data sets: what a view keeps, how rendering resumes, and what is refused."""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from safetensors import safe_open

from kpcn_core.errors import InvalidScene, UnreadableFile
from kpcn_core.renderers.base import Accumulation
from tests.noisy_scene import SPEED, NoisyScene, QuietScene
from tests.training_data import GOAL, RECIPE, make_dataset, make_quiet_dataset
from training.dataset import MANIFEST, Dataset, Manifest, is_held_out
from training.errors import InvalidDataset
from training.rendering import ReferenceGoal, noise, render
from training.signals import stop_requests
from training.views import AOVS, PARTS, REFERENCE, View, compact, write


def rendered(folder: Path, seeds: range, stop: Callable[[], bool] = lambda: False) -> list[int]:
    return [seed for seed, _ in render(folder, seeds, NoisyScene, RECIPE, GOAL, stop)]


def test_merged_buffers_equal_one_accumulation_of_all_samples(tmp_path: Path) -> None:
    scene = NoisyScene(3)
    buffers = {str(index): scene.render(2**index, index) for index in range(1, 5)}
    write(tmp_path / "view", {**buffers, REFERENCE: scene.render(64, 9)})
    view = View(tmp_path / "view", seed=3)
    merged: Accumulation | None = None
    for names in (["1"], ["1", "2"], ["1", "2", "3", "4"]):
        merged = buffers[names[0]]
        for name in names[1:]:
            merged = merged.merged(buffers[name])
        frame, found = merged.frame(), view.aovs(names)
        for aov in AOVS:
            assert_allclose(found[aov], frame[aov], rtol=2e-3, atol=2e-3)
            variance = frame[f"{aov}_mse"]
            assert_allclose(found[f"{aov}_mse"], variance, rtol=0.02, atol=0.02 * variance.mean())


def test_the_spread_of_buffers_is_the_variance_that_a_renderer_does_not_give(
    tmp_path: Path,
) -> None:
    make_quiet_dataset(tmp_path / "data", range(2), (2, 2, 4))
    scene, counts = QuietScene(3), (2, 4, 4, 8)
    buffers = {str(index): scene.render(spp, index) for index, spp in enumerate(counts)}
    write(tmp_path / "view", {**buffers, REFERENCE: scene.render(64, 9)})
    view = View(tmp_path / "view", seed=3)
    found = view.aovs(list(view.spp))
    truth = np.square(scene.truth()["diffuse"]) / sum(counts)
    assert np.mean(found["diffuse_mse"] / truth) == pytest.approx(1, abs=0.05)
    assert view.given(list(view.spp)) == frozenset(found)
    assert view.given(["0", "1"]) == frozenset(view.aovs(["0", "1"])) == frozenset(AOVS)
    assert not (made := Dataset(tmp_path / "data")).alone & {"color_mse"}
    assert "color_mse" in made.aovs
    assert (view.fewest(variances=True), view.fewest(variances=False)) == (PARTS, 1)


def test_a_crop_is_a_part_of_the_whole(tmp_path: Path) -> None:
    view = make_dataset(tmp_path, range(1, 2)).training[0]
    whole = view.aovs(["0", "2"])
    part = view.aovs(["0", "2"], slice(7, 23), slice(30, 61))
    for aov, image in part.items():
        assert_array_equal(image, whole[aov][:, 7:23, 30:61])
    assert_array_equal(view.color(["0", "2"]), whole["color"])


def test_the_frames_around_a_view_are_kept_with_their_motion(tmp_path: Path) -> None:
    view = make_dataset(tmp_path, range(1, 2)).training[0]
    assert view.reach == 1
    assert view.around == {-1: {"0": 4, "1": 8}, 1: {"0": 4, "1": 8}}
    for offset in (-1, 0, 1):
        found = view.aovs(["0", "1"], offset=offset)
        truth = NoisyScene(1, time=offset).truth()
        assert_allclose(found["albedo"], truth["albedo"], rtol=2e-3)
        assert_allclose(found["color"].mean(), truth["color"].mean(), rtol=0.05)
        for aov, sign in (("forward", 1), ("backward", -1)):
            motion = view.motion(aov, slice(3, 9), slice(5), offset)
            assert motion.shape == (2, 6, 5)
            assert (motion[0] == sign * SPEED).all()
            assert not motion[1].any()


@pytest.mark.parametrize("scale", [1e-9, 1e-4, 1.0, 1e3, 1e7])
def test_stored_values_are_never_clamped_nor_lost(scale: float) -> None:
    values = scale * np.random.default_rng(0).exponential(size=(3, 16, 16))
    values[0, 0, 0] *= 1e3  # a firefly
    stored = compact(values)
    assert_allclose(stored.astype(np.float64), values, rtol=2e-3, atol=2e-3 * values.mean())
    assert stored.dtype == (np.float16 if 1e-4 <= scale <= 1e0 else stored.dtype)


def test_pixels_that_are_not_finite_survive_and_cost_no_precision() -> None:
    stored = compact(np.array([1.0, np.nan, np.inf, 2.0]))
    assert stored.dtype == np.float16
    assert_array_equal(stored, np.array([1.0, np.nan, np.inf, 2.0], np.float16))


def test_no_two_buffers_share_their_noise(tmp_path: Path) -> None:
    view = make_dataset(tmp_path, range(1, 2)).training[0]
    truth = NoisyScene(1).truth()["color"]
    noise = [(view.color([name]) - truth).ravel() for name in (*view.spp, REFERENCE)]
    correlation = np.corrcoef(noise) - np.eye(len(noise))
    assert np.abs(correlation).max() < 0.05


def test_rendering_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    calls = iter(range(1000))
    assert rendered(tmp_path, range(3), stop=lambda: next(calls) > 6) == [0]
    assert rendered(tmp_path, range(3)) == [1, 2]
    assert rendered(tmp_path, range(3)) == []
    straight = tmp_path / "straight"
    assert rendered(straight, range(3)) == [0, 1, 2]
    assert Manifest.read(tmp_path).digest() == Manifest.read(straight).digest()


def test_a_data_set_finds_views_that_are_rendered_later(tmp_path: Path) -> None:
    data = make_dataset(tmp_path, range(3))
    rendered(tmp_path, range(5))
    assert [view.seed for view in data.training] == [1, 2]
    data.rescan()
    assert [view.seed for view in data.training] == [1, 2, 3, 4]


def test_held_out_scenes_are_never_trained_on(tmp_path: Path) -> None:
    data = make_dataset(tmp_path, range(19, 22))
    assert [view.seed for view in data.validation] == [20]
    assert [view.seed for view in data.training] == [19, 21]
    assert is_held_out(0)


@pytest.mark.parametrize(
    ("goal", "spp"),
    [
        (ReferenceGoal(spp=200), 200),
        (ReferenceGoal(spp=10_000, seconds=0.0, minimum=100), 128),
        (ReferenceGoal(spp=10_000, noise=0.065), 256),
    ],
)
def test_a_reference_ends_by_its_samples_its_time_or_its_noise(
    tmp_path: Path, goal: ReferenceGoal, spp: int
) -> None:
    ((_, entry),) = render(tmp_path, [1], NoisyScene, RECIPE, goal)
    assert entry.reference_spp == spp


def test_a_scene_too_noisy_for_a_reference_is_left_out_once(tmp_path: Path) -> None:
    goal = ReferenceGoal(spp=128, limit=0.01)
    for _ in range(2):
        assert list(render(tmp_path, range(1, 3), NoisyScene, RECIPE, goal)) == []
    assert set(Manifest.read(tmp_path).left_out) == {1, 2}


def test_noise_falls_with_the_root_of_the_samples() -> None:
    few, many = (noise(NoisyScene(1).render(samples, 1)) for samples in (64, 1024))
    assert many == pytest.approx(few / 4, rel=0.1)


def test_a_scene_that_fails_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def scene(seed: int) -> NoisyScene:
        if seed == 1:
            raise InvalidScene("no light")
        return NoisyScene(seed)

    found = [seed for seed, _ in render(tmp_path, range(3), scene, RECIPE, GOAL)]
    assert found == [0, 2]
    assert "seed 1: left out: no light" in caplog.text
    assert Manifest.read(tmp_path).left_out == {1: "no light"}


def test_another_recipe_needs_another_folder(tmp_path: Path) -> None:
    make_dataset(tmp_path, range(1))
    other = replace(RECIPE, renderer="another")
    with pytest.raises(InvalidDataset, match="another"):
        next(render(tmp_path, range(2), NoisyScene, other, GOAL))


def test_a_damaged_view_is_refused_by_name(tmp_path: Path) -> None:
    make_dataset(tmp_path, range(2))
    path = tmp_path / Manifest.read(tmp_path).views[1].file
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InvalidDataset, match=rf"{path.name}.*seed 1"):
        Dataset(tmp_path)


def test_a_folder_without_or_with_a_broken_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="kpcn-train render"):
        Dataset(tmp_path)
    (tmp_path / MANIFEST).write_text("{}")
    with pytest.raises(InvalidDataset, match="manifest"):
        Dataset(tmp_path)


def test_half_precision_is_what_is_stored(tmp_path: Path) -> None:
    data = make_dataset(tmp_path, range(1, 2))
    with safe_open(data.training[0].path, framework="numpy") as file:
        assert {file.get_tensor(key).dtype for key in file.keys()} == {np.dtype(np.float16)}  # noqa: SIM118


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_for_a_stop_and_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_requests() as stop:
        assert not stop()
        os.kill(os.getpid(), number)
        assert stop()
    assert signal.getsignal(number) is before
