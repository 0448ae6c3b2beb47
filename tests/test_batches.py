"""Batches: what the network is shown, and that the stream depends on the step alone."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from safetensors.torch import load_file
from torch import Tensor
from torch.testing import assert_close
from torch.utils.data import DataLoader

from kpcn_core import features
from kpcn_core.features import COMPONENTS, Component
from kpcn_core.model.config import RESIDUAL, UNET
from kpcn_core.ops.warp import warp
from tests.networks import ENCODERS, random_network
from tests.noisy_scene import SPEED, NoisyScene
from tests.training_data import make_dataset, make_quiet_dataset, make_still_dataset
from training.augmentation import Variation
from training.batches import Batch, Batches, choose_buffers, nearest_buffers
from training.config import BatchConfig
from training.dataset import Dataset, Recipe
from training.errors import InvalidConfig, InvalidDataset
from training.losses import trust
from training.mixture import Mixture
from training.rendering import ReferenceGoal, render
from training.stages import save_batch
from training.stills import UNEVEN, dealt, reach_of
from training.views import REFERENCE

CONFIG = BatchConfig(size=4, crop=32, rescan_steps=2)
WINDOWS = BatchConfig(size=3, crop=32, reach=1)
SPP = {"0": 2, "1": 2, "2": 4, "3": 8, "4": 16, "5": 32}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("data"))


def batches_of(dataset: Dataset, config: BatchConfig = CONFIG, start: int = 0) -> Batches:
    return Batches(Mixture([dataset]), config, ENCODERS[UNET], seed=1, start=start)


def with_encoder(batches: Batches, encoder: str) -> Batch:
    """The first batch that an encoder gets."""
    return next(batch for step in range(99) if (batch := batches.batch(step)).encoder == encoder)


def tensors(batch: Batch) -> Iterator[Tensor]:
    """Everything in a batch."""
    parts = [batch.color, batch.noisy, *batch.targets.values()]
    for shot in batch.window:
        parts += shot.parts.values()
        yield from shot.aovs.values()
    yield from batch.motion
    for part in parts:
        yield from (part.radiance, part.valid)
        if part.variance is not None:
            yield part.variance


def same(first: Batch, second: Batch) -> bool:
    return (first.encoder, first.centre) == (second.encoder, second.centre) and all(
        torch.equal(one, other) for one, other in zip(tensors(first), tensors(second), strict=True)
    )


@pytest.mark.parametrize("trunk", [RESIDUAL, UNET])
def test_a_batch_is_what_its_encoder_reads(dataset: Dataset, trunk: str) -> None:
    network = random_network(trunk)
    batches = Batches(Mixture([dataset]), CONFIG, ENCODERS[trunk], seed=1)
    seen = set()
    for step in range(12):
        batch = batches.batch(step)
        seen.add(batch.encoder)
        (shot,) = batch.window
        found = network.encode(network.planes(shot.parts, shot.aovs, batch.encoder), batch.encoder)
        assert found[0].shape == (4 * (len(shot.parts) if trunk == RESIDUAL else 1), 8, 32, 32)
        assert all(tensor.isfinite().all() for tensor in (*found, *tensors(batch)))
        assert shot.parts.keys() == batch.targets.keys()
    assert seen == {"kpcn", "generic"}


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("config", [CONFIG, WINDOWS])
def test_the_stream_resumes_at_any_step_with_any_number_of_workers(
    dataset: Dataset, workers: int, config: BatchConfig
) -> None:
    late = batches_of(dataset, config, start=3)
    loader = DataLoader(late, batch_size=None, num_workers=workers)
    found = [patches.batch() for patches in islice(loader, 3)]
    expected = [patches.batch() for patches in islice(batches_of(dataset, config), 6)][3:]
    assert all(same(*pair) for pair in zip(found, expected, strict=True))
    other = Batches(Mixture([dataset]), config, ENCODERS[UNET], seed=2).batch(3)
    assert len(other.window) != len(expected[0].window) or not same(expected[0], other)


def test_views_rendered_meanwhile_join_the_stream(tmp_path: Path) -> None:
    batches = batches_of(make_dataset(tmp_path, range(1, 2)))
    stream = iter(batches)
    next(stream)
    make_dataset(tmp_path, range(1, 4))
    list(islice(stream, 3))
    assert len(batches.mixture.training) == 3


def test_the_noisy_input_is_an_unbiased_estimate_of_the_reference(dataset: Dataset) -> None:
    config = BatchConfig(size=32, crop=32)
    batch = with_encoder(batches_of(dataset, config), "kpcn")
    assert_close(batch.noisy.radiance.mean(), batch.color.radiance.mean(), rtol=0.02, atol=0.0)
    assert (batch.noisy.radiance - batch.color.radiance).abs().mean() > 0.02
    for name, target in batch.targets.items():
        noisy = batch.window[0].parts[name].radiance
        assert_close(noisy.mean(), target.radiance.mean(), rtol=0.03, atol=0.01)


def test_components_make_the_color_with_and_without_a_layer_for_what_is_seen_directly(
    dataset: Dataset,
) -> None:
    batches = batches_of(dataset)
    seen = set()
    for step in range(40):
        batch = batches.batch(step)
        if batch.encoder != "kpcn":
            assert list(batch.targets) == ["specular"]
            continue
        seen.add(frozenset(batch.targets))
        parts = {name: part.radiance for name, part in batch.window[0].parts.items()}
        color = features.compose(parts, torch.ones(1, 1, 1, 1))
        assert_close(color, batch.noisy.radiance, rtol=1e-3, atol=1e-3)
    assert seen == {frozenset(COMPONENTS), frozenset(COMPONENTS) - {"emission"}}


def test_the_exposure_is_that_of_the_whole_noisy_image(dataset: Dataset) -> None:
    config = BatchConfig(size=8, crop=32, exposure_error=0.0)
    view = dataset.training[0]
    gain = features.exposure(torch.from_numpy(view.aovs(["0", "2"])["color"])[None])
    assert batches_of(dataset, config)._gain(view, ["0", "2"]) == pytest.approx(gain.item())


def test_shares_say_how_often_an_encoder_gets_a_batch(dataset: Dataset) -> None:
    for shares, expected in (({"generic": 0.0}, {"kpcn"}), ({"kpcn": 0.0}, {"generic"})):
        batches = batches_of(dataset, BatchConfig(size=1, crop=32, shares=shares))
        assert {batches.batch(step).encoder for step in range(8)} == expected


# --- windows ---


def test_windows_have_every_length_up_to_their_reach_and_never_one_frame_alone(
    dataset: Dataset,
) -> None:
    batches = batches_of(dataset, BatchConfig(size=1, crop=32, reach=1))
    seen = {(len(batch.window), batch.centre) for batch in map(batches.batch, range(24))}
    assert seen == {(2, 0), (2, 1), (3, 1)}


def test_windows_of_the_past_have_no_frame_after_their_centre(dataset: Dataset) -> None:
    batches = batches_of(dataset, BatchConfig(size=1, crop=32, reach=1, future=False))
    assert {(len(b.window), b.centre) for b in map(batches.batch, range(8))} == {(2, 1)}


def test_motion_leads_to_the_same_surface_in_the_other_frames(dataset: Dataset) -> None:
    """Also after flips and transpositions"""
    directions = set()
    for step in range(12):
        batch = batches_of(dataset, WINDOWS).batch(step)
        here = batch.window[batch.centre].aovs["albedo"]
        assert not batch.motion[batch.centre].any()
        for frame, vectors in enumerate(batch.motion):
            there, inside = warp(batch.window[frame].aovs["albedo"], vectors)
            assert inside.mean() > 0.8
            assert_close(there * inside, here * inside)
            if frame != batch.centre:
                directions |= {tuple(v.tolist()) for v in vectors[:, :, 16, 16]}
    speeds = (float(SPEED), 0.0), (-float(SPEED), 0.0), (0.0, float(SPEED)), (0.0, -float(SPEED))
    assert directions == set(speeds)


def test_the_frames_of_a_window_have_noise_of_their_own_of_about_the_same_size(
    dataset: Dataset,
) -> None:
    batch = with_encoder(batches_of(dataset, BatchConfig(size=12, crop=32, reach=1)), "kpcn")
    noise = []
    for shot, vectors in zip(batch.window, batch.motion, strict=True):
        target = batch.targets["irradiance"].radiance
        moved, inside = warp(shot.parts["irradiance"].radiance, vectors)
        noise.append(((moved - target) / (target + 0.1) * inside).flatten())
    assert abs(torch.corrcoef(torch.stack(noise[:2]))[0, 1]) < 0.1
    deviations = torch.stack(noise).std(dim=1)
    assert deviations.max() < 2.5 * deviations.min()


def test_views_without_frames_around_them_give_no_windows(tmp_path: Path) -> None:
    recipe = Recipe(generator="noisy scene 1", renderer="gamma noise", spp=(2, 4))
    for _ in render(tmp_path, range(1, 2), NoisyScene, recipe, ReferenceGoal(spp=128)):
        pass
    dataset = Dataset(tmp_path)
    assert len(batches_of(dataset).batch(0).window) == 1
    with pytest.raises(
        InvalidDataset, match=r"have 0 frames before and after.*Render with `--reach`"
    ):
        batches_of(dataset, WINDOWS).batch(0)


def test_a_saved_batch_has_every_image_of_it(dataset: Dataset, tmp_path: Path) -> None:
    batch = with_encoder(batches_of(dataset, WINDOWS), "kpcn")
    save_batch(tmp_path / "new" / "batch.safetensors", batch)
    found = load_file(tmp_path / "new" / "batch.safetensors")
    for index, shot in enumerate(batch.window):
        assert_close(found[f"motion{index}"], batch.motion[index])
        assert_close(found[f"frame{index}/color"], shot.aovs["color"])
        for name, part in shot.parts.items():
            assert_close(found[f"frame{index}/part/{name}"], part.radiance)
    for name, part in batch.targets.items():
        assert_close(found[f"target/{name}"], part.radiance)


# --- sample counts, variations, weights ---


def test_sample_counts_are_spread_over_all_magnitudes() -> None:
    generator = np.random.default_rng(0)
    chosen = [choose_buffers(SPP, generator) for _ in range(500)]
    spp = np.array([sum(SPP[name] for name in names) for names in chosen])
    assert spp.min() == 2
    assert spp.max() > 48
    assert all(len(set(names)) == len(names) > 0 for names in chosen)
    shares = np.histogram(np.log2(spp), bins=[1, 2, 3, 4, 5, 6])[0] / len(spp)
    assert (shares > 0.08).all()


def test_where_several_buffers_are_needed_there_are() -> None:
    generator = np.random.default_rng(0)
    chosen = [choose_buffers(SPP, generator, fewest=3) for _ in range(500)]
    assert min(map(len, chosen)) == 3
    assert ["0", "1", "2"] in chosen
    assert max(sum(SPP[name] for name in names) for names in chosen) > 48


@pytest.mark.parametrize(
    ("wanted", "found"), [(1, 2), (3, 2), (5, 4), (8, 8), (13, 12), (47, 48), (63, 62), (99, 64)]
)
def test_neighbours_have_as_nearly_as_many_samples_as_their_buffers_allow(
    wanted: int, found: int
) -> None:
    names = nearest_buffers(SPP, wanted)
    assert sum(SPP[name] for name in names) == found


def test_a_variation_changes_noisy_and_clean_alike(dataset: Dataset) -> None:
    view = dataset.training[0]
    for seed in range(20):
        vary = Variation.random(np.random.default_rng(seed))
        aovs = view.aovs([REFERENCE])
        varied = vary(aovs)
        assert_allclose(
            varied["color"], varied["diffuse"] + varied["specular"], rtol=5e-3, atol=5e-3
        )
        for aov in ("normal", "normal_mse"):  # lengths survive a rotation
            lengths = [
                np.sort((image[aov] ** 2).sum(axis=0), axis=None) for image in (aovs, varied)
            ]
            assert_allclose(lengths[1], lengths[0], rtol=1e-4, atol=1e-5)
        relative = [image["color_mse"] / image["color"] ** 2 for image in (aovs, varied)]
        assert_allclose(np.sort(relative[1], axis=None), np.sort(relative[0], axis=None), rtol=1e-3)
        assert_allclose(np.sort(varied["albedo"], axis=None), np.sort(aovs["albedo"], axis=None))


def test_a_reference_counts_less_where_it_is_noisy_and_not_at_all_where_broken() -> None:
    radiance = torch.ones(1, 3, 1, 3)
    variance = torch.tensor([0.0, 1.0, 0.0]).expand(1, 3, 1, 3)
    valid = torch.tensor([1.0, 1.0, 0.0]).expand(1, 1, 1, 3)
    weight = trust(Component("specular", radiance, variance, valid), strength=4.0)
    assert_close(weight.flatten(), torch.tensor([1.0, 0.2, 0.0]), rtol=1e-3, atol=1e-3)


def test_a_batch_counts_no_pixel_that_is_broken_in_the_input_or_the_reference(
    dataset: Dataset,
) -> None:
    batch = with_encoder(batches_of(dataset), "kpcn")
    batch.window[0].parts["specular"].valid[0, 0, 3, 4] = 0
    batch.targets["specular"].valid[0, 0, 5, 6] = 0
    assert (batch.weight("specular", 4.0) == 0).nonzero().tolist() == [[0, 0, 3, 4], [0, 0, 5, 6]]
    batch.noisy.valid[1, 0, 7, 7] = 0
    assert (batch.color_weight(4.0) == 0).nonzero().tolist() == [[1, 0, 7, 7]]


def test_a_batch_moves_to_a_device_as_a_whole(dataset: Dataset) -> None:
    patches = batches_of(dataset, WINDOWS).patches(0)
    assert same(patches.to(torch.device("cpu")).batch(), patches.batch())
    assert all(tensor.is_meta for tensor in tensors(patches.to(torch.device("meta")).batch()))


def test_a_crop_larger_than_the_views_is_refused(dataset: Dataset) -> None:
    with pytest.raises(InvalidConfig, match=r"crop = 64.*48"):
        batches_of(dataset, BatchConfig(crop=64)).batch(0)


def test_held_out_views_alone_are_nothing_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match="no view to train on"):
        batches_of(make_dataset(tmp_path, range(1))).batch(0)


def test_buffers_are_frames_of_a_shot_that_stands_still(tmp_path: Path) -> None:
    batches = batches_of(make_still_dataset(tmp_path, range(3)), WINDOWS)
    for step in range(8):
        batch = batches.batch(step)
        assert len(batch.window) in (2, 3)
        assert not any(vectors.any() for vectors in batch.motion)
        for first, second in pairwise(shot.aovs for shot in batch.window):
            assert first.keys() == second.keys()
            assert_close(first["normal"], second["normal"])
            noise = (first["color"] - second["color"]).flatten(1)
            assert (noise != 0).float().mean() > 0.9


def test_frames_of_single_renders_teach_encoders_that_read_no_variance(tmp_path: Path) -> None:
    quiet = make_quiet_dataset(tmp_path, range(3), (2, 2, 2, 2))
    mixture = Mixture([quiet])
    planes = ENCODERS[UNET]
    assert mixture.usable("generic", planes["generic"], reach=1) == [quiet]
    assert mixture.usable("kpcn", planes["kpcn"]) == [quiet]
    with pytest.raises(InvalidDataset, match=r"'kpcn' reads .*_variance"):
        mixture.usable("kpcn", planes["kpcn"], reach=1)
    with pytest.raises(InvalidDataset, match=r"1 frames .* reach = 2 .* more equal counts"):
        mixture.usable("generic", planes["generic"], reach=2)
    config = replace(WINDOWS, shares={"kpcn": 0.0})
    batch = with_encoder(batches_of(quiet, config), "generic")
    assert not any(vectors.any() for vectors in batch.motion)


@pytest.mark.parametrize(
    ("spp", "reach"),
    [
        ((4,) * 14, 6),
        ((4,) * 7, 3),
        ((2, 2, 2, 2, 4, 4, 4, 4, 8, 8, 8, 8), 4),
        ((2, 2, 4, 8, 16, 32), 1),
        ((2, 4, 8, 16), 0),
        ((4,), 0),
    ],
)
def test_how_far_buffers_reach_as_frames(spp: tuple[int, ...], reach: int) -> None:
    assert reach_of(spp) == reach
    named = {str(index): count for index, count in enumerate(spp)}
    for frames in range(1, 2 * reach + 2):
        for seed in range(20):
            hands = dealt(named, frames, np.random.default_rng(seed))
            used = [name for hand in hands for name in hand]
            assert len(hands) == frames
            assert len(set(used)) == len(used)
            samples = [sum(named[name] for name in hand) for hand in hands]
            assert 0 < max(samples) <= UNEVEN * min(samples)


def test_the_number_of_samples_of_a_still_frame_varies() -> None:
    named = dict.fromkeys(map(str, range(14)), 4)
    generator = np.random.default_rng(0)
    seen = [len(dealt(named, 3, generator)[0]) for _ in range(200)]
    assert set(seen) == {1, 2, 3, 4, 5}
    assert sum(count <= 2 for count in seen) == pytest.approx(100, abs=30)
