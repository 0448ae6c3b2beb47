"""How a sampling map is told to renderers: all of it arrives."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from kpcn_core.renderers.map_encoding import ENCODINGS, powers

COUNTS = np.array([[0, 1, 2], [17, 100, 5]], np.uint32)
maps = arrays(np.uint32, (3, 4), elements=st.integers(0, 200))


def test_counts_are_written_as_they_are() -> None:
    (request,) = ENCODINGS["counts"](COUNTS, (), 0)
    assert_array_equal(request.layers["samples"][0], COUNTS)
    assert request.spp == 21  # 125 / 6


@pytest.mark.parametrize(("sizes", "spp"), [((), 21), ((64,), 64)])
def test_a_multiplier_times_the_setting_is_the_count(sizes: tuple[int, ...], spp: int) -> None:
    (request,) = ENCODINGS["multiplier"](COUNTS, sizes, 0)
    assert request.spp == spp
    assert_allclose(request.layers[""] * spp, np.stack([COUNTS] * 3), rtol=1e-6)


def test_a_texture_goes_from_least_to_most() -> None:
    (request,) = ENCODINGS["texture"](COUNTS + 3, (), 0)
    values = request.layers[""][0]
    assert (values.min(), values.max()) == (0, 1)
    assert_allclose(3 + values * 100, COUNTS + 3, rtol=1e-6)


def test_an_even_texture_is_black() -> None:
    (request,) = ENCODINGS["texture"](np.full((2, 2), 7, np.uint32), (), 0)
    assert not request.layers[""].any()


@settings(deadline=None, max_examples=60)
@given(maps, st.sampled_from([(), (1,), (1, 2, 4, 8), (1, 4, 16), (16, 1)]))
def test_masks_add_up_to_the_counts(counts: Any, sizes: tuple[int, ...]) -> None:
    total = np.zeros_like(counts)
    for request in ENCODINGS["masks"](counts, sizes, 0):
        white = request.layers[""][0]
        assert set(np.unique(white)) <= {0, 1}
        assert_array_equal(request.counts, white * request.spp)
        assert request.spp in (sizes or powers(4, 200))
        total += request.counts
    assert_array_equal(total, counts)


def test_masks_of_one_size_lie_within_each_other() -> None:
    requests = [r for r in ENCODINGS["masks"](COUNTS, (1, 16), 0) if r.spp == 16]
    assert len(requests) == 6  # 100 = 6 x 16 + 4
    for outer, inner in pairwise(requests):
        assert (inner.counts <= outer.counts).all()


def test_coarse_masks_keep_the_expectation() -> None:
    counts = np.full((32, 32), 10, np.uint32)
    requests = ENCODINGS["masks"](counts, (4, 16), 1)
    total = np.sum([request.counts for request in requests], axis=0)
    assert set(np.unique(total)) == {8, 12}
    assert total.sum() == counts.sum()


def test_even_asks_for_the_mean_everywhere() -> None:
    (request,) = ENCODINGS["even"](COUNTS, (), 0)
    assert_array_equal(request.counts, np.full((2, 3), 21))
    assert request.spp == 21


def test_an_empty_map_needs_no_mask() -> None:
    assert not list(ENCODINGS["masks"](np.zeros((2, 2), np.uint32), (4,), 0))


def test_powers() -> None:
    assert powers(4, 0) == powers(4, 3) == [1]
    assert powers(4, 64) == [1, 4, 16, 64]
