"""What tells where samples are needed."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from kpcn_core import features
from kpcn_core.adaptive import guides
from kpcn_core.denoiser import Denoiser
from kpcn_core.errors import MissingAov, UnknownName
from kpcn_core.frame import Frame
from kpcn_core.metric_maps import error_map
from kpcn_core.metrics import EPSILON
from tests.frames import random_frame
from tests.networks import random_network, random_predictor

NOISY, DENOISED = random_frame(20, 30, 1), random_frame(20, 30, 2)


def test_uniform_is_the_same_everywhere() -> None:
    assert_array_equal(guides.uniform(NOISY, DENOISED), np.ones((1, 20, 30)))


def test_variance_is_relative_to_the_squared_mean() -> None:
    gain = features.exposure(torch.from_numpy(NOISY["color"])[None]).item()
    relative = NOISY["color_mse"] * gain**2 / (np.square(NOISY["color"] * gain) + EPSILON)
    found = guides.variance(NOISY, DENOISED)
    assert found.dtype == np.float32
    assert_allclose(found[0], relative.mean(axis=0), rtol=1e-5)


def test_variance_does_not_depend_on_the_brightness_of_the_scene() -> None:
    bright = NOISY.with_aovs(color=NOISY["color"] * 64, color_mse=NOISY["color_mse"] * 64**2)
    assert_allclose(guides.variance(bright, DENOISED), guides.variance(NOISY, DENOISED), rtol=1e-4)


def test_pixels_that_are_not_finite_get_no_more_samples() -> None:
    color = NOISY["color"].copy()
    color[1, 4, 5] = np.nan
    found = guides.variance(NOISY.with_aovs(color=color), DENOISED)[0]
    assert found[4, 5] == 0
    assert np.isfinite(found).all()


def test_variance_needs_the_renderer_to_give_it() -> None:
    with pytest.raises(MissingAov, match="'variance' needs the variance of the color"):
        guides.variance(Frame({"color": NOISY["color"]}), DENOISED)


@pytest.mark.parametrize("metric", ["smape", "mrse", "dssim", "ms_dssim"])
def test_a_true_guide_measures_the_denoised_image(metric: str) -> None:
    reference = random_frame(20, 30, 3)["color"]
    guide = guides.choose(f"true-{metric}", None, reference)
    expected = error_map(metric, DENOISED["color"], reference)
    assert_array_equal(guide(NOISY, DENOISED), expected)


def test_a_true_guide_needs_a_reference() -> None:
    with pytest.raises(UnknownName, match=r"'true-smape' measures a true error\. Give it a ref"):
        guides.choose("true-smape", None)


def test_a_predicted_guide_asks_the_denoiser() -> None:
    denoiser = Denoiser(random_network(), torch.device("cpu"), random_predictor())
    found = guides.choose("smape", denoiser)(NOISY, DENOISED)
    assert_array_equal(found, denoiser.predict_error(NOISY, DENOISED, "smape"))
    assert (found > 0).all()


def test_a_metric_that_is_not_predicted_is_an_error() -> None:
    denoiser = Denoiser(random_network(), torch.device("cpu"), random_predictor("smape"))
    with pytest.raises(UnknownName, match="predicts its own dssim; this one predicts smape"):
        guides.choose("dssim", denoiser)


def test_weights_without_a_predictor_say_so() -> None:
    denoiser = Denoiser(random_network(), torch.device("cpu"))
    with pytest.raises(UnknownName, match=r"predicts no error\. Choose other weights"):
        guides.choose("smape", denoiser)


def test_an_unknown_guide_names_those_there_are() -> None:
    with pytest.raises(UnknownName, match=r"No guide is called 'psnr'\. There are smape, mrse"):
        guides.choose("psnr", None)
