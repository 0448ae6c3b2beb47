"""Fireflies on purpose: what they add to a noisy patch, and to what of a batch."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.testing import assert_close

from tests.networks import ENCODERS
from tests.training_data import make_dataset
from training.augmentation import Aovs
from training.batches import Batches
from training.config import BatchConfig
from training.dataset import Dataset
from training.fireflies import MOST, add_fireflies
from training.mixture import Mixture

SIZE = (3, 40, 30)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("data"))


def batches_of(dataset: Dataset, fireflies: float) -> Batches:
    config = BatchConfig(size=4, crop=32, fireflies=fireflies)
    return Batches(Mixture([dataset]), config, ENCODERS["unet"], seed=1)


def flat() -> Aovs:
    """A noisy patch without noise."""
    means = {"color": 0.75, "diffuse": 0.5, "specular": 0.25}
    found = {name: np.full(SIZE, value, np.float32) for name, value in means.items()}
    return found | {f"{name}_mse": np.full(SIZE, 0.01, np.float32) for name in means}


@pytest.mark.parametrize("seed", range(6))
def test_a_layer_and_the_color_get_the_same_and_its_square_as_variance(seed: int) -> None:
    before, after = flat(), flat()
    add_fireflies(after, np.random.default_rng(seed))
    added = {name: after[name] - before[name] for name in before}
    lit = [name for name in ("diffuse", "specular") if added[name].any()]
    assert len(lit) == 1
    assert_allclose(added[lit[0]], added["color"], rtol=1e-5, atol=1e-6)
    for name in ("color", *lit):
        assert_allclose(added[f"{name}_mse"], added[name] ** 2, rtol=1e-3, atol=1e-4)
    where = added["color"].sum(axis=0) > 0
    assert 1 <= where.sum() <= MOST
    assert added["color"][:, where].max(axis=0).min() > 0.3 * 10**0.5 * 0.75


def test_a_plain_color_without_variance_gets_them_too() -> None:
    aovs = {"color": np.ones(SIZE, np.float32)}
    add_fireflies(aovs, np.random.default_rng(0))
    assert aovs.keys() == {"color"}
    assert aovs["color"].max() > 2


def test_what_is_dark_or_unknown_stays_so() -> None:
    aovs = {"color": np.zeros(SIZE, np.float32)}
    add_fireflies(aovs, np.random.default_rng(0))
    assert not aovs["color"].any()
    aovs["color"][:, 3, 4] = np.nan
    add_fireflies(aovs, np.random.default_rng(1))
    assert np.isnan(aovs["color"]).sum() == 3


def test_noisy_images_get_them_and_references_do_not(dataset: Dataset) -> None:
    with_them = batches_of(dataset, 1.0).batch(3)
    for noisy, clean in zip(with_them.noisy.radiance, with_them.color.radiance, strict=True):
        assert noisy.amax() - clean.amax() > clean.mean()
    again = batches_of(dataset, 1.0).batch(3)
    assert_close(again.noisy.radiance, with_them.noisy.radiance, rtol=0, atol=0)
    assert torch.isfinite(with_them.color.radiance).all()


def test_none_draw_no_number(dataset: Dataset) -> None:
    plain = Batches(
        Mixture([dataset]), BatchConfig(size=4, crop=32), ENCODERS["unet"], seed=1
    ).batch(5)
    same = batches_of(dataset, 0.0).batch(5)
    assert_array_equal(plain.noisy.radiance.numpy(), same.noisy.radiance.numpy())
