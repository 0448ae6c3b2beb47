"""The benchmark of the bias of adaptive means, on a scene that renders in no time."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from benchmarks.adaptive_bias import biases, estimates, table
from kpcn_core.denoiser import Denoiser
from tests.networks import random_network, random_predictor
from tests.noisy_scene import NoisyScene

SCENE = NoisyScene(0, (27, 36))


@pytest.fixture
def denoiser() -> Denoiser:
    return Denoiser(random_network(), torch.device("cpu"), random_predictor())


def test_uniform_passes_merge_to_what_they_are_separately(denoiser: Denoiser) -> None:
    found = estimates(SCENE, denoiser, "uniform", 64, seed=1)
    assert_allclose(found["merged"], found["separate"], rtol=1e-4)


def test_separate_passes_have_the_right_mean_whatever_the_guide(denoiser: Denoiser) -> None:
    truth = SCENE.truth()["color"]
    runs = [estimates(SCENE, denoiser, "variance", 64, seed)["separate"] for seed in range(30)]
    means = np.stack(runs).mean(axis=(2, 3))
    error = means.std(axis=0, ddof=1) / np.sqrt(len(means))
    assert (np.abs(means.mean(axis=0) - truth.mean(axis=(1, 2))) < 4 * error).all()


def test_every_guide_and_estimate_has_a_row(denoiser: Denoiser) -> None:
    found = list(biases(SCENE, denoiser, ["uniform", "smape"], 32, runs=3, spp=500))
    rows = [(one.guide, one.estimate) for one in found]
    assert rows == [(g, e) for g in ("uniform", "smape") for e in ("merged", "separate")]
    assert found[0].noise == 1.0
    assert all(abs(one.bias) < 0.2 and one.error > 0 for one in found)
    assert len(table(found)) == 5
