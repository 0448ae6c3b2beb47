"""Codes of the page: as exact as they say over the whole range, and small."""

import base64
import zlib

import numpy as np
import pytest

from kpcn_core.report.codes import (
    COLOR_STEPS,
    LOWEST,
    MAP_STEPS,
    WHOLE,
    decoded,
    encoded,
    map_steps,
    packed,
)


@pytest.mark.parametrize(("steps", "error"), [(COLOR_STEPS, 0.003), (MAP_STEPS, 0.011)])
def test_values_come_back_within_half_a_step_over_many_stops(steps: int, error: float) -> None:
    stops = np.random.default_rng(0).uniform(LOWEST, 60, (3, 40, 50))
    pixels = (2.0**stops).astype(np.float32)
    np.testing.assert_allclose(decoded(encoded(pixels, steps), steps), pixels, rtol=error)
    np.testing.assert_allclose(decoded(encoded(-pixels, steps), steps), -pixels, rtol=error)


def test_zero_powers_of_two_and_what_is_no_number_are_exact() -> None:
    pixels = np.array([[[0.0, 1.0, 0.25, -8.0, np.inf, -np.inf, np.nan, -0.0]]], dtype=np.float32)
    np.testing.assert_array_equal(decoded(encoded(pixels, COLOR_STEPS), COLOR_STEPS), pixels)


def test_whole_numbers_are_exact() -> None:
    counts = np.array([[[0, 1, 7, 183, 4099, 16382, np.nan]]], dtype=np.float32)
    assert map_steps(counts) == WHOLE
    np.testing.assert_array_equal(decoded(encoded(counts, WHOLE), WHOLE), counts)
    for other in (counts / np.float32(2), counts * np.float32(2)):
        assert map_steps(other) == MAP_STEPS


def test_what_is_too_small_is_zero_and_what_is_too_large_stays_finite() -> None:
    pixels = np.array([[[2.0 ** (LOWEST - 1), -1e-30, 3e38]]], dtype=np.float32)
    small, negative, large = decoded(encoded(pixels, COLOR_STEPS), COLOR_STEPS)[0, 0]
    assert small == 0
    assert negative == 0
    assert np.isfinite(large)
    assert large > 1e28


def test_an_8_bit_display_is_off_by_one_step_at_most() -> None:
    linear = np.linspace(0, 1, 100_001, dtype=np.float32)[None, None]
    shown = decoded(encoded(linear, COLOR_STEPS), COLOR_STEPS)
    curve = [
        np.rint(255 * np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055))
        for x in (linear.clip(0, 1), shown.clip(0, 1))
    ]
    assert np.abs(curve[0] - curve[1]).max() == 1


def test_a_smooth_image_takes_a_fraction_of_its_floats() -> None:
    y, x = np.mgrid[0:200, 0:300].astype(np.float32)
    pixels = np.stack([2 + np.sin(x / 40 + c) * np.cos(y / 30) for c in range(3)])
    text = packed(encoded(pixels, COLOR_STEPS))
    assert len(zlib.decompress(base64.b64decode(text))) == 2 * pixels.size
    assert len(text) < pixels.nbytes / 6
