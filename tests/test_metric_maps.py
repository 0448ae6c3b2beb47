"""Metrics pixel by pixel agree with the metrics of the whole image."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from kpcn_core import metrics
from kpcn_core.frame import Pixels
from kpcn_core.metric_maps import MAPS, error_map
from tests.frames import random_frame


def pair(height: int = 48, width: int = 64, noise: float = 0.2) -> tuple[Pixels, Pixels]:
    """An image with structure and noise, and what it should be."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width]
    reference = np.stack([0.5 + 0.4 * np.sin(rows / 5 + c) * np.cos(columns / 7) for c in range(3)])
    image = reference * (1 + noise * rng.standard_normal(reference.shape))
    return image.astype(np.float32), reference.astype(np.float32)


def test_the_mean_of_smape_and_mrse_is_the_metric() -> None:
    image, reference = pair()
    assert_allclose(
        error_map("smape", image, reference), metrics.smape_map(image, reference), rtol=1e-5
    )
    assert error_map("mrse", image, reference).mean() == pytest.approx(
        metrics.mrse(image, reference), rel=1e-4
    )


def test_the_mean_of_dssim_is_the_metric() -> None:
    image, reference = pair()
    found = error_map("dssim", image, reference).mean()
    assert found == pytest.approx(metrics.dssim(image, reference), rel=1e-4)


def test_the_mean_of_ms_dssim_is_near_the_metric() -> None:
    for noise in (0.05, 0.2, 0.5):
        image, reference = pair(192, 192, noise)
        found = error_map("ms_dssim", image, reference).mean()
        assert found == pytest.approx(metrics.ms_dssim(image, reference), rel=0.25)


@pytest.mark.parametrize("metric", MAPS)
@pytest.mark.parametrize("size", [(1, 1), (4, 7), (11, 30), (48, 64)])
def test_equal_images_have_no_error_and_others_no_negative_one(
    metric: str, size: tuple[int, int]
) -> None:
    image, reference = pair(*size)
    assert_allclose(error_map(metric, reference, reference), 0, atol=1e-5)
    found = error_map(metric, image, reference)
    assert found.shape == (1, *size)
    assert (found >= 0).all()


@pytest.mark.parametrize("metric", MAPS)
def test_the_error_is_where_the_images_differ(metric: str) -> None:
    reference = random_frame(64, 64)["color"]
    image = reference.copy()
    image[:, 40:44, 40:44] *= 3
    found = error_map(metric, image, reference)[0]
    assert found[40:44, 40:44].min() > 0
    if metric in ("smape", "mrse"):
        assert_array_equal(found[:40], np.zeros_like(found[:40]))
    assert found[40:44, 40:44].mean() > 10 * found[:16, :16].mean()


@pytest.mark.parametrize("metric", MAPS)
def test_the_brightness_of_the_scene_does_not_matter(metric: str) -> None:
    image, reference = pair()
    bright = error_map(metric, image * 1000, reference * 1000)
    assert_allclose(bright, error_map(metric, image, reference), atol=1e-4)
