"""Batches: what the network is shown, and that the stream depends on the step alone."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch.testing import assert_close
from torch.utils.data import DataLoader

from kpcn_core import features
from kpcn_core.features import PLANES, Component
from kpcn_core.model.config import ModelConfig
from tests.training_data import make_dataset
from training.augmentation import Variation
from training.batches import Batch, Batches, choose_buffers
from training.config import BatchConfig
from training.dataset import Dataset
from training.errors import InvalidConfig, InvalidDataset
from training.losses import trust
from training.views import REFERENCE

ENCODERS = ModelConfig().encoders
CONFIG = BatchConfig(size=4, crop=32, rescan_steps=2)
SPP = {"0": 2, "1": 2, "2": 4, "3": 8, "4": 16, "5": 32}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("data"))


def same(first: Batch, second: Batch) -> bool:
    return first.encoder == second.encoder and all(
        torch.equal(one, other) for one, other in zip(first[1:], second[1:], strict=True)
    )


def test_a_batch_has_the_planes_of_its_encoder(dataset: Dataset) -> None:
    batches = Batches(dataset, CONFIG, ENCODERS, seed=1)
    seen = set()
    for step in range(24):
        batch = batches.batch(step)
        seen.add(batch.encoder)
        channels = sum(PLANES[plane] for plane in ENCODERS[batch.encoder])
        assert batch.planes.shape == (4, channels, 32, 32)
        for tensor, depth in zip(batch[2:], (3, 1, 3, 1), strict=True):
            assert tensor.shape == (4, depth, 32, 32)
            assert torch.isfinite(tensor).all()
    assert seen == {"kpcn", "generic"}


@pytest.mark.parametrize("workers", [0, 2])
def test_the_stream_resumes_at_any_step_with_any_number_of_workers(
    dataset: Dataset, workers: int
) -> None:
    whole = Batches(dataset, CONFIG, ENCODERS, seed=1)
    late = Batches(dataset, CONFIG, ENCODERS, seed=1, start=3)
    found = list(islice(DataLoader(late, batch_size=None, num_workers=workers), 3))
    expected = list(islice(whole, 6))[3:]
    assert all(same(*pair) for pair in zip(found, expected, strict=True))
    assert not same(expected[0], Batches(dataset, CONFIG, ENCODERS, seed=2).batch(3))


def test_views_rendered_meanwhile_join_the_stream(tmp_path: Path) -> None:
    batches = Batches(make_dataset(tmp_path, range(1, 2)), CONFIG, ENCODERS, seed=1)
    stream = iter(batches)
    next(stream)
    make_dataset(tmp_path, range(1, 4))
    list(islice(stream, 3))
    assert len(batches.dataset.training) == 3


def test_the_noisy_input_is_an_unbiased_estimate_of_the_reference(dataset: Dataset) -> None:
    config = BatchConfig(size=32, crop=32, generic=0.0)
    batch = Batches(dataset, config, ENCODERS, seed=1).batch(0)
    assert_close(batch.radiance.mean(), batch.reference.mean(), rtol=0.02, atol=0.0)
    assert (batch.radiance - batch.reference).abs().mean() > 0.02


def test_the_exposure_is_that_of_the_whole_noisy_image(dataset: Dataset) -> None:
    config = BatchConfig(size=8, crop=32, exposure_error=0.0)
    batches = Batches(dataset, config, ENCODERS, seed=1)
    view = dataset.training[0]
    gain = features.exposure(torch.from_numpy(view.aovs(["0", "2"])["color"])[None])
    assert batches._gain(view, ["0", "2"]) == pytest.approx(float(gain), rel=1e-6)


def test_sample_counts_are_spread_over_all_magnitudes() -> None:
    generator = np.random.default_rng(0)
    chosen = [choose_buffers(SPP, generator) for _ in range(500)]
    spp = np.array([sum(SPP[name] for name in names) for names in chosen])
    assert spp.min() == 2
    assert spp.max() > 48
    assert all(len(set(names)) == len(names) > 0 for names in chosen)
    shares = np.histogram(np.log2(spp), bins=[1, 2, 3, 4, 5, 6])[0] / len(spp)
    assert (shares > 0.08).all()


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


def test_a_crop_larger_than_the_views_is_refused(dataset: Dataset) -> None:
    batches = Batches(dataset, BatchConfig(crop=64), ENCODERS, seed=1)
    with pytest.raises(InvalidConfig, match=r"crop = 64.*48"):
        batches.batch(0)


def test_held_out_views_alone_are_nothing_to_train_on(tmp_path: Path) -> None:
    batches = Batches(make_dataset(tmp_path, range(1)), CONFIG, ENCODERS, seed=1)
    with pytest.raises(InvalidDataset, match="no view to train on"):
        batches.batch(0)
