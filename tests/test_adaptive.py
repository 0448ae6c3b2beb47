"""The adaptive loop: totals, stopping, continuing."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from kpcn_core import adaptive
from kpcn_core.adaptive import State, guides
from kpcn_core.adaptive.limits import Limits
from kpcn_core.adaptive.loop import pass_seeds
from kpcn_core.errors import RenderFailed, UnknownName
from kpcn_core.frame import Frame, Pixels
from kpcn_core.renderers.base import Accumulation
from kpcn_core.renderers.mitsuba import MitsubaRenderer
from tests.adaptive_runs import PIXELS, RENDERER, SIZE, denoiser, run, same
from tests.mitsuba_scenes import room


def left_half(noisy: Frame, denoised: Frame) -> Pixels:
    """All the error is on the left."""
    error = np.zeros((1, *noisy.size), np.float32)
    error[..., : noisy.size[1] // 2] = 1
    return error


@pytest.mark.parametrize(
    ("budget", "totals"),
    [(100, [16, 32, 64, 100]), (64, [16, 32, 64]), (17, [16, 17]), (16, [16]), (5, [5])],
)
def test_every_pass_doubles_the_total_up_to_the_budget(budget: int, totals: list[int]) -> None:
    steps = list(run(budget))
    assert [step.total for step in steps] == [total * PIXELS for total in totals]
    assert [step.passes for step in steps] == list(range(1, len(totals) + 1))
    assert [step.stop for step in steps] == [None] * (len(totals) - 1) + ["budget"]


def test_every_pass_takes_what_its_map_asks_for() -> None:
    count = np.zeros(SIZE, np.uint32)
    for step in run(64):
        count += step.samples
        assert_array_equal(step.accumulation.count, count)
        assert_array_equal(step.noisy["sample_count"][0], count)
    assert count.max() > 2 * count.min()


def test_samples_go_where_the_guide_says_but_for_the_floor() -> None:
    *_, last = run(32, guide=left_half, floor=0.25)
    assert_array_equal(last.samples[:, SIZE[1] // 2 :], np.full((SIZE[0], SIZE[1] // 2), 4))
    assert_array_equal(last.samples[:, : SIZE[1] // 2], np.full((SIZE[0], SIZE[1] // 2), 28))


def test_the_first_pass_is_uniform_and_can_be_chosen() -> None:
    first = next(run(64, initial=7))
    assert_array_equal(first.samples, np.full(SIZE, 7))


def test_each_step_has_the_denoised_frame_and_what_the_guide_says_of_it() -> None:
    for step in run(32):
        assert_array_equal(step.denoised["color"], denoiser().denoise(step.noisy)["color"])
        assert_array_equal(step.error, guides.variance(step.noisy, step.denoised))
        assert step.mean_error == pytest.approx(step.error.mean(), rel=1e-5)


def test_the_error_falls() -> None:
    errors = [step.mean_error for step in run(128)]
    assert errors == sorted(errors, reverse=True)


def test_a_target_error_stops() -> None:
    wanted = [step.mean_error for step in run(128)][1]
    steps = list(run(128, target_error=wanted))
    assert [step.stop for step in steps] == [None, "target"]


def test_no_time_leaves_one_pass() -> None:
    assert [step.stop for step in run(128, seconds=1e-9)] == ["time"]


def state(seconds: float, spp: int = 16) -> State:
    return State(1, RENDERER.render(spp, 0), np.ones((1, *SIZE), np.float32), seconds)


def test_the_last_pass_fits_the_time_left() -> None:
    at_ten_seconds = state(10.0)
    assert Limits(128, seconds=40.0).next_total(at_ten_seconds) == 16 * PIXELS
    assert Limits(128, seconds=15.0).next_total(at_ten_seconds) == 8 * PIXELS
    assert Limits(128, seconds=10.1).reached(at_ten_seconds) == "time"
    assert Limits(128, seconds=15.0).reached(at_ten_seconds) is None


class Careless:
    """A renderer that leaves out some of the samples that it is asked for."""

    size = SIZE

    def render(self, samples: Any, seed: int, progress: Any = None) -> Accumulation:
        return RENDERER.render((np.asarray(samples) * 0.95).astype(np.uint32), seed)


def test_a_renderer_with_inexact_counts_comes_near_the_budget() -> None:
    *_, last = run(64, renderer=Careless())
    assert last.stop == "budget"
    assert 63 < last.spp <= 64


class Idle:
    """A renderer that takes no samples at all."""

    size = SIZE

    def render(self, samples: Any, seed: int, progress: Any = None) -> Accumulation:
        return RENDERER.render(np.zeros_like(samples), seed)


def test_a_renderer_that_does_nothing_is_an_error() -> None:
    with pytest.raises(RenderFailed, match="took none of the 12288 samples of pass 1"):
        next(run(64, renderer=Idle()))


class Failing:
    """A renderer that breaks down in its third pass."""

    size = SIZE
    passes = 0

    def render(self, samples: Any, seed: int, progress: Any = None) -> Accumulation:
        self.passes += 1
        if self.passes == 3:
            raise RenderFailed("out of licences")
        return RENDERER.render(samples, seed)


def test_a_renderer_that_fails_leaves_the_steps_before() -> None:
    steps = run(128, renderer=Failing())
    good = [next(steps), next(steps)]
    with pytest.raises(RenderFailed, match="out of licences"):
        next(steps)
    assert [step.spp for step in good] == [16, 32]


@pytest.mark.parametrize("after", [1, 2, 3])
def test_continuing_gives_the_same_bits(after: int) -> None:
    whole = list(run())
    rest = list(run(start=whole[after - 1]))
    assert len(rest) == len(whole) - after
    for one, other in zip(whole[after:], rest, strict=True):
        assert same(one, other)
        assert_array_equal(one.denoised["color"], other.denoised["color"])


def test_nothing_is_left_to_do_at_the_end() -> None:
    *_, last = run(32)
    assert list(run(32, start=last)) == []
    assert [step.spp for step in run(64, start=last)] == [64]


def test_seeds_differ_between_passes_and_runs() -> None:
    pairs = [pass_seeds(seed, number) for seed in range(20) for number in range(20)]
    numbers = [number for pair in pairs for number in pair]
    assert len(set(numbers)) == len(numbers)
    assert all(0 <= number < 2**31 for number in numbers)


def test_progress_counts_towards_the_budget() -> None:
    seen: list[tuple[int, int]] = []
    renderer = MitsubaRenderer.from_dict(room())
    height, width = renderer.size
    options: Any = {"guide": "variance", "initial": 4, "progress": lambda *at: seen.append(at)}
    assert len(list(adaptive.run(renderer, denoiser(), budget=8, **options))) == 2
    assert seen == [(4 * height * width, 8 * height * width), (8 * height * width,) * 2]


def test_an_unknown_guide_is_an_error_before_anything_is_rendered() -> None:
    with pytest.raises(UnknownName, match="No guide is called 'psnr'"):
        run(guide="psnr")


def test_mitsuba_continues_with_the_same_bits() -> None:
    def steps(start: State | None = None) -> list[adaptive.Step]:
        renderer = MitsubaRenderer.from_dict(room())
        return list(adaptive.run(renderer, denoiser(), budget=24, guide="variance", start=start))

    whole = steps()
    (rest,) = steps(whole[0])
    assert same(whole[1], rest)
