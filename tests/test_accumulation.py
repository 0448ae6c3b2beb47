"""Accumulations: passes merge as if all samples had been taken at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from kpcn_core.frame import Pixels
from kpcn_core.renderers.base import Accumulation, Float64

SIZE = (2, 3)
SKY = np.float32(np.inf)

Mask = NDArray[np.bool_]

seeds = st.integers(0, 2**32 - 1)


def one_pass(samples: Float64, depth: Pixels, taken: Mask) -> Accumulation:
    """What a renderer gives for samples [N,3,H,W] at depth [N,H,W], of which some are taken."""
    count = taken.sum(axis=0).astype(np.uint32)
    mean, deviation = np.zeros((3, *SIZE)), np.zeros((3, *SIZE))
    nearest = np.full((1, *SIZE), SKY)
    motion = np.zeros((2, *SIZE), np.float32)
    for y, x in np.ndindex(SIZE):
        here = taken[:, y, x]
        if here.any():
            values, depths = samples[here, :, y, x], depth[here, y, x]
            mean[:, y, x] = values.mean(axis=0)
            deviation[:, y, x] = np.square(values - values.mean(axis=0)).sum(axis=0)
            nearest[0, y, x] = depths.min()
            motion[:, y, x] = values[depths.argmin(), :2]
    closest = {"depth": nearest, "forward": motion}
    return Accumulation(count, {"color": mean}, {"color": deviation}, closest)


def random_samples(seed: int, number: int) -> tuple[Float64, Pixels, Mask]:
    """Heavy-tailed samples, of which some see the sky and some are not taken."""
    rng = np.random.default_rng(seed)
    samples = rng.lognormal(sigma=2, size=(number, 3, *SIZE))
    depth = rng.uniform(1, 9, (number, *SIZE)).astype(np.float32)
    depth[rng.random(depth.shape) < 0.5] = SKY
    return samples, depth, rng.random(depth.shape) < rng.random(SIZE)


def assert_same(first: Accumulation, second: Accumulation) -> None:
    assert_array_equal(first.count, second.count)
    assert_allclose(first.mean["color"], second.mean["color"], rtol=1e-9)
    scale = np.square(second.mean["color"]).max() + 1
    assert_allclose(first.deviation["color"], second.deviation["color"], atol=1e-9 * scale)
    for aov in ("depth", "forward"):
        assert_array_equal(first.closest[aov], second.closest[aov])


@settings(deadline=None, max_examples=50)
@given(seeds, st.integers(0, 12), st.integers(0, 12))
def test_two_passes_merge_to_one_pass(seed: int, number: int, cut: int) -> None:
    samples, depth, taken = random_samples(seed, number)
    first, second = (one_pass(samples[s], depth[s], taken[s]) for s in (np.s_[:cut], np.s_[cut:]))
    assert_same(first.merged(second), one_pass(samples, depth, taken))


@settings(deadline=None, max_examples=20)
@given(seeds)
def test_merging_is_associative(seed: int) -> None:
    samples, depth, taken = random_samples(seed, 9)
    a, b, c = (one_pass(samples[s], depth[s], taken[s]) for s in (np.s_[:2], np.s_[2:5], np.s_[5:]))
    assert_same(a.merged(b).merged(c), a.merged(b.merged(c)))


def test_a_pass_without_samples_changes_nothing() -> None:
    samples, depth, taken = random_samples(1, 4)
    full, empty = one_pass(samples, depth, taken), one_pass(samples, depth, np.zeros_like(taken))
    assert_same(full.merged(empty), full)
    assert_same(empty.merged(full), full)


def test_the_sky_keeps_its_motion_when_the_first_pass_missed_the_pixel() -> None:
    samples, depth, taken = random_samples(2, 1)
    sky, seen = np.full_like(depth, SKY), np.ones_like(taken)
    nothing, pan = one_pass(samples, sky, ~seen), one_pass(samples, sky, seen)
    assert_array_equal(nothing.merged(pan).closest["forward"], pan.closest["forward"])


def test_equal_depths_keep_the_first_pass() -> None:
    samples, depth, taken = random_samples(3, 2)
    depth[:], taken[:] = 1, True
    first, second = (one_pass(samples[i : i + 1], depth[:1], taken[:1]) for i in (0, 1))
    merged = first.merged(second)
    assert_array_equal(merged.closest["forward"], first.closest["forward"])


@pytest.mark.parametrize("number", [2, 3, 16])
def test_mse_is_the_variance_of_the_mean(number: int) -> None:
    samples, depth, _ = random_samples(4, number)
    frame = one_pass(samples, depth, np.ones_like(depth, bool)).frame()
    assert_allclose(frame["color"], samples.mean(axis=0), rtol=1e-6)
    assert_allclose(frame["color_mse"], samples.var(axis=0, ddof=1) / number, rtol=1e-6)
    assert_array_equal(frame["sample_count"], np.full((1, *SIZE), number))


def test_one_sample_has_the_variance_of_its_brightness() -> None:
    samples, depth, _ = random_samples(5, 1)
    frame = one_pass(samples, depth, np.ones_like(depth, bool)).frame()
    assert_allclose(frame["color_mse"], np.square(samples[0]), rtol=1e-6)


def test_pixels_without_samples_are_zero_and_counted_so() -> None:
    samples, depth, taken = random_samples(6, 3)
    taken[:, 0, 0] = False
    frame = one_pass(samples, depth, taken).frame()
    assert frame["sample_count"][0, 0, 0] == 0
    assert not frame["color"][:, 0, 0].any()
    assert not frame["color_mse"][:, 0, 0].any()
    assert frame["depth"][0, 0, 0] == SKY
