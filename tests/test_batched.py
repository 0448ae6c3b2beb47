"""The spread of several renders is the variance that the renderer does not give."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from kpcn_core.renderers.base import Accumulation, Progress, SamplingMap
from kpcn_core.renderers.batched import Batched, shares
from tests.noisy_scene import NoisyScene


class Silent(NoisyScene):
    """The noisy scene without variances."""

    origin = (0, 0)
    film_size = (48, 64)

    def render(
        self, samples: int | SamplingMap, seed: int, progress: Progress | None = None
    ) -> Accumulation:
        return replace(super().render(samples, seed), deviation={})


@pytest.mark.parametrize("batches", [1, 3, 4])
def test_shares_sum_to_the_map_and_are_even(batches: int) -> None:
    counts = np.arange(20, dtype=np.uint32).reshape(4, 5)
    found = shares(counts, batches)
    assert_array_equal(np.sum(found, axis=0), counts)
    assert np.ptp(found, axis=0).max() <= 1


def test_the_variance_is_right_on_average_over_passes_too() -> None:
    counts = np.random.default_rng(0).integers(1, 60, (48, 64)).astype(np.uint32)
    renderer = Batched(Silent(3), 4)
    ratios = []
    for seed in range(20):
        both = renderer.render(16, seed).merged(renderer.render(counts, 100 + seed))
        truth = np.square(renderer._renderer.truth()["diffuse"]) / both.count  # type: ignore[attr-defined]
        ratios.append(both.frame()["diffuse_mse"] / truth)
    assert np.mean(ratios) == pytest.approx(1, abs=0.01)


def test_the_means_and_counts_are_those_of_the_renders() -> None:
    renderer, seen = Batched(Silent(3), 4), list[tuple[int, int]]()
    found = renderer.render(6, 5, lambda *at: seen.append(at))
    pixels = 48 * 64
    assert_array_equal(found.count, np.full((48, 64), 6))
    assert seen == [(pixels * done, pixels * 6) for done in (1, 2, 4, 6)]
    assert_allclose(found.mean["color"].mean(), Silent(3).truth()["color"].mean(), rtol=0.02)
    assert found.deviation.keys() == found.mean.keys()


def test_variances_of_the_renderer_are_kept() -> None:
    class Telling(Silent):
        def render(
            self, samples: int | SamplingMap, seed: int, progress: Progress | None = None
        ) -> Accumulation:
            return NoisyScene.render(self, samples, seed)

    found = Batched(Telling(3), 1).render(6, 5)
    assert found.frame()["color_mse"].any()


def test_a_batch_without_samples_is_left_out() -> None:
    found = Batched(Silent(3), 4).render(1, 5)
    assert_array_equal(found.count, np.ones((48, 64)))
    assert not found.deviation["color"].any()
