"""Shares become whole numbers without bias, and none is lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from kpcn_core.renderers.rounding import proportional

seeds = st.integers(0, 2**31 - 1)


def weights(seed: int) -> NDArray[np.float64]:
    """Heavy-tailed weights, of which some are 0."""
    rng = np.random.default_rng(seed)
    values: NDArray[np.float64] = rng.lognormal(sigma=2, size=(7, 11))
    values[rng.random(values.shape) < 0.2] = 0
    return values


@settings(deadline=None, max_examples=60)
@given(seeds, st.integers(0, 5000))
def test_the_total_is_exact_and_every_number_is_its_share_rounded(seed: int, total: int) -> None:
    values = weights(seed)
    counts = proportional(values, total, seed)
    assert counts.dtype == np.uint32
    assert counts.sum() == total
    assert (np.abs(counts - values / values.sum() * total) < 1 + 1e-9).all()
    assert not counts[values == 0].any()


def test_the_expectation_is_the_share() -> None:
    values, rounds = weights(1), 4000
    share = values / values.sum() * 100
    mean = np.mean([proportional(values, 100, seed) for seed in range(rounds)], axis=0)
    fraction = share % 1
    error = np.sqrt(fraction * (1 - fraction) / rounds) + 1e-9
    assert (np.abs(mean - share) < 5 * error).all()


def test_equal_weights_give_equal_numbers_where_they_can() -> None:
    assert_array_equal(proportional(np.full((3, 4), 0.1), 60, 0), np.full((3, 4), 5))


def test_what_is_left_over_makes_no_pattern() -> None:
    extra = proportional(np.ones((64, 64)), 64 * 64 * 3 // 2, 0) - 1
    for axis in (0, 1):
        assert extra.sum(axis=axis).std() > 2  # stripes would make it 0 or 32


@pytest.mark.parametrize("total", [10**10, 3 * 10**9])
def test_large_totals_stay_exact(total: int) -> None:
    counts = proportional(weights(2), total, 3)
    assert counts.sum(dtype=np.int64) == total


def test_a_seed_repeats_and_another_does_not() -> None:
    first, again, other = (proportional(weights(3), 100, seed) for seed in (1, 1, 2))
    assert_array_equal(first, again)
    assert (first != other).any()
