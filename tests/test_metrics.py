"""Metrics: known values, zero for equal images, growing with noise, blind to brightness."""

import sys

import numpy as np
import pytest
import torch

from kpcn_core import features, metrics
from kpcn_core.errors import InvalidPixels, MissingDependency
from kpcn_core.frame import Pixels
from kpcn_core.metrics import METRICS, measure

GREY = features.MIDDLE_GREY


def scene(height: int = 64, width: int = 96, seed: int = 0) -> Pixels:
    """Smooth shading with a bright window and black shadows."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 16.0
    waves = 1.1 + np.stack([np.sin(x + phase) * np.cos(y) for phase in generator.random(3) * 6])
    waves[:, : height // 4, : width // 4] *= 30.0
    waves[:, -height // 4 :, -width // 4 :] = 0.0
    return waves.astype(np.float32)


def noisy(reference: Pixels, strength: float) -> Pixels:
    grain = np.random.default_rng(7).normal(0.0, strength, reference.shape)
    return (reference * np.exp(grain)).astype(np.float32)


def flat(value: float, height: int = 16, width: int = 16) -> Pixels:
    return np.full((3, height, width), value, dtype=np.float32)


def test_smape_of_flat_images_is_what_the_equation_says() -> None:
    expected = GREY / (3 * GREY + 0.01)  # the reference is exposed to 0.18, the image to 0.36
    assert METRICS["smape"].measure(flat(6.0), flat(3.0)) == pytest.approx(expected, rel=1e-5)


def test_mrse_of_flat_images_is_what_the_formula_says() -> None:
    expected = GREY**2 / (GREY**2 + 0.01)
    assert METRICS["mrse"].measure(flat(6.0), flat(3.0)) == pytest.approx(expected, rel=1e-5)


def test_dssim_of_flat_images_is_the_luminance_term() -> None:
    grey, brighter = metrics.display(torch.tensor([GREY, 2 * GREY])).tolist()
    ssim = (2 * grey * brighter + 1e-4) / (grey**2 + brighter**2 + 1e-4)
    assert METRICS["dssim"].measure(flat(6.0), flat(3.0)) == pytest.approx(1 - ssim, abs=5e-4)


def test_one_wrong_pixel_counts_once_in_the_mean() -> None:
    reference = flat(1.0, 10, 10)
    image = reference.copy()
    image[:, 3, 4] = 0.0
    expected = GREY / (GREY + 0.01) / 100
    assert METRICS["smape"].measure(image, reference) == pytest.approx(expected, rel=1e-5)
    error = metrics.smape_map(image, reference)
    assert error.shape == (1, 10, 10)
    assert np.argwhere(error).tolist() == [[0, 3, 4]]


def test_display_is_srgb() -> None:
    values = metrics.display(torch.tensor([-1.0, 0.0, 0.0031308, 0.2140411, 1.0, 50.0]))
    expected = [0.0, 0.0, 0.04045, 0.5, 1.0, 1.0]
    assert values.tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", METRICS)
def test_equal_images_have_no_error(name: str) -> None:
    assert METRICS[name].measure(scene(), scene()) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("name", METRICS)
def test_more_noise_is_more_error(name: str) -> None:
    reference = scene()
    errors = [METRICS[name].measure(noisy(reference, s), reference) for s in (0.05, 0.2, 0.8)]
    assert 0 < errors[0] < errors[1] < errors[2]


@pytest.mark.parametrize("name", METRICS)
def test_the_brightness_of_a_scene_does_not_count(name: str) -> None:
    reference = scene()
    image = noisy(reference, 0.3)
    expected = METRICS[name].measure(image, reference)
    for gain in (1 / 64, 100.0):
        scaled = METRICS[name].measure(image * np.float32(gain), reference * np.float32(gain))
        assert scaled == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (5, 7), (11, 11), (23, 300), (45, 60)])
def test_any_size_has_every_metric(size: tuple[int, int]) -> None:
    reference = scene(*size)
    assert all(np.isfinite(value) for value in measure(noisy(reference, 0.5), reference).values())


@pytest.mark.parametrize("side", [10, 22, 44, 99, 176, 200])
def test_ms_dssim_takes_as_many_scales_as_fit(side: int) -> None:
    scales = metrics._scales(side)
    assert scales == {10: 1, 22: 2, 44: 3, 99: 4, 176: 5, 200: 5}[side]
    assert METRICS["ms_dssim"].measure(scene(side, side), scene(side, side)) < 1e-6
    assert metrics._scales(side - 1) <= scales


@pytest.mark.parametrize("reference", [0.0, 1e-12])
def test_a_black_reference_is_measured_too(reference: float) -> None:
    values = measure(flat(1.0), flat(reference))
    assert all(value > 0.5 for value in values.values())
    assert max(measure(flat(0.0), flat(0.0)).values()) < 1e-6


def test_pixels_that_are_not_finite_are_an_error_that_counts_them() -> None:
    image = scene()
    image[1, 2, 3] = np.nan
    image[:, 4, 5] = np.inf
    with pytest.raises(InvalidPixels, match="The image has 2 of 6144 pixels"):
        measure(image, scene())
    with pytest.raises(InvalidPixels, match="The reference has 2 of 6144 pixels"):
        measure(scene(), image)


def test_sizes_that_differ_are_an_error_that_names_both() -> None:
    with pytest.raises(InvalidPixels, match="image is 96x64 pixels, the reference 64x96"):
        measure(scene(), scene(96, 64))


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flip_evaluator", None)
    with pytest.raises(MissingDependency, match=r"pip install 'kpcn\[report\]'"):
        METRICS["flip"].measure(scene(), scene())
