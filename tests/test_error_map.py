"""Predicted error maps of frames."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from kpcn_core import weights
from kpcn_core.denoiser import Denoiser
from kpcn_core.error_map import ErrorMaps
from kpcn_core.errors import InvalidPixels, InvalidWeights, UnknownName
from kpcn_core.frame import Frame
from kpcn_core.model.error_config import GUIDING_METRICS
from kpcn_core.settings import Settings
from tests.frames import random_frame
from tests.networks import DEVICE, random_network, random_predictor

NOISY, DENOISED = random_frame(51, 70, 1), random_frame(51, 70, 2)
CPU = torch.device("cpu")


@pytest.fixture
def maps() -> ErrorMaps:
    return ErrorMaps(random_predictor(), DEVICE)


@pytest.mark.parametrize("fold", [1, 2])
def test_tiles_equal_the_whole(fold: int) -> None:
    maps = ErrorMaps(random_predictor(fold=fold), DEVICE)
    whole = maps.predict(NOISY, DENOISED, "smape")
    assert whole.shape == (1, 51, 70)
    assert whole.std() > 0
    for settings in (Settings(tile=16), Settings(max_memory=1 << 19)):
        found = maps.predict(NOISY, DENOISED, "smape", settings)
        assert_allclose(found, whole, rtol=1e-4, atol=1e-7)


def test_every_metric_has_a_map_of_its_own(maps: ErrorMaps) -> None:
    found = [maps.predict(NOISY, DENOISED, metric) for metric in maps.metrics]
    assert maps.metrics == GUIDING_METRICS
    assert len({each.tobytes() for each in found}) == len(found)


def test_a_map_does_not_depend_on_the_brightness_of_the_scene(maps: ErrorMaps) -> None:
    noisy, denoised = (
        frame.with_aovs(color=frame["color"] * 64, color_mse=frame["color_mse"] * 64**2)
        for frame in (NOISY, DENOISED)
    )
    expected = maps.predict(NOISY, DENOISED, "dssim")
    assert_allclose(maps.predict(noisy, denoised, "dssim"), expected, rtol=1e-3)


def test_a_frame_without_variance_has_an_error_map_too(maps: ErrorMaps) -> None:
    bare = Frame({"color": NOISY["color"]})
    found = maps.predict(bare, DENOISED, "smape")
    assert np.isfinite(found).all()
    assert not np.array_equal(found, maps.predict(NOISY, DENOISED, "smape"))


def test_pixels_that_are_not_finite_do_not_spread(maps: ErrorMaps) -> None:
    color = NOISY["color"].copy()
    color[0, 20, 30], color[1, 5, 5] = np.nan, np.inf
    found = maps.predict(NOISY.with_aovs(color=color), DENOISED, "smape")
    assert np.isfinite(found).all()


def test_frames_of_two_sizes_are_refused(maps: ErrorMaps) -> None:
    with pytest.raises(InvalidPixels, match=r"is \[8, 9\] pixels; the noisy frame is \[51, 70\]"):
        maps.predict(NOISY, random_frame(8, 9), "smape")


def test_a_metric_that_is_not_predicted_is_refused() -> None:
    denoiser = Denoiser(random_network(), CPU, random_predictor("mrse"))
    with pytest.raises(UnknownName, match="predict no 'smape'; they predict mrse"):
        denoiser.predict_error(NOISY, DENOISED, "smape")


# --- weights ---


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Weights of a network, and of a predictor of its errors beside them."""
    weights.save(tmp_path / "net.safetensors", random_network(), {"steps": "1"})
    weights.save(tmp_path / "net-error.safetensors", random_predictor(), {"steps": "2"})
    return tmp_path / "net.safetensors"


def test_a_predictor_comes_with_the_network_that_it_lies_beside(files: Path) -> None:
    denoiser = Denoiser.load(str(files), "cpu")
    assert denoiser.error_metrics == GUIDING_METRICS
    expected = ErrorMaps(random_predictor(), CPU).predict(NOISY, DENOISED, "smape")
    assert_array_equal(denoiser.predict_error(NOISY, DENOISED), expected)


def test_weights_without_a_predictor_beside_them_predict_no_error(files: Path) -> None:
    files.with_stem("net-error").unlink()
    denoiser = Denoiser.load(str(files), "cpu")
    assert denoiser.error_metrics == ()
    with pytest.raises(UnknownName, match=r"no error predictor.*kpcn models"):
        denoiser.predict_error(NOISY, DENOISED)


def test_a_predictor_is_no_denoiser_and_a_denoiser_no_predictor(files: Path) -> None:
    with pytest.raises(InvalidWeights, match=r"format 'kpcn-1'.*found format 'kpcn-error-1'"):
        weights.load(files.with_stem("net-error"))
    with pytest.raises(InvalidWeights, match=r"format 'kpcn-error-1'.*found format 'kpcn-1'"):
        weights.load_predictor(files)


def test_a_predictor_of_other_sizes_than_its_config_is_refused(tmp_path: Path) -> None:
    predictor, path = random_predictor(), tmp_path / "net-error.safetensors"
    predictor.config = replace(predictor.config, channels=9)
    weights.save(path, predictor, {})
    with pytest.raises(InvalidWeights, match="do not fit the config"):
        weights.load_predictor(path)
