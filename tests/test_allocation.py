"""Samples go where the error is, and some everywhere."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from kpcn_core.adaptive.allocation import allocate
from kpcn_core.errors import InvalidPixels
from kpcn_core.frame import Pixels


def error_map() -> Pixels:
    return np.array([[[0, 1, 3], [0, 4, 0]]], np.float32)


def test_samples_are_in_proportion_to_the_error() -> None:
    assert_array_equal(allocate(error_map(), 80, 0.0, 1), [[0, 10, 30], [0, 40, 0]])


def test_the_floor_reaches_every_pixel() -> None:
    samples = allocate(error_map(), 80 * 6, 0.25, 1)
    assert samples.sum() == 80 * 6
    assert_array_equal(samples, [[20, 65, 155], [20, 200, 20]])


def test_a_floor_of_one_is_uniform() -> None:
    assert_array_equal(allocate(error_map(), 60, 1.0, 1), np.full((2, 3), 10))


def test_without_any_error_samples_are_spread_evenly() -> None:
    assert_array_equal(allocate(np.zeros_like(error_map()), 60, 0.1, 1), np.full((2, 3), 10))


def test_the_scale_of_the_error_does_not_matter() -> None:
    assert_array_equal(
        allocate(error_map() * 1024, 777, 0.1, 1), allocate(error_map(), 777, 0.1, 1)
    )


@pytest.mark.parametrize("value", [-1, np.nan, np.inf])
def test_a_guide_that_goes_astray_is_an_error(value: float) -> None:
    error = error_map()
    error[0, 0, 1] = value
    with pytest.raises(InvalidPixels, match="1 of 6 pixels a negative error, NaN or Inf"):
        allocate(error, 80, 0.1, 1)
