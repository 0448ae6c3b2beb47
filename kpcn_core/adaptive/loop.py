"""The loop of paper §5: render, denoise, predict the error, send samples where it is large."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from kpcn_core.adaptive import guides
from kpcn_core.adaptive.allocation import FLOOR, allocate
from kpcn_core.adaptive.guides import Guide
from kpcn_core.adaptive.limits import Limits
from kpcn_core.adaptive.state import State, Step
from kpcn_core.errors import RenderFailed
from kpcn_core.frame import Frame
from kpcn_core.renderers.base import Renderer, SamplingMap

INITIAL = 16  # paper §5
SEEDS = 1 << 31  # what every renderer takes for a seed

Progress = Callable[[int, int], None]  # samples done, samples in the budget


class Denoises(Protocol):
    """What the loop asks of a denoiser."""

    def denoise(self, frame: Frame, /) -> Frame:
        """The same frame with its color denoised."""
        ...


def run(
    renderer: Renderer,
    denoiser: Denoises,
    *,
    budget: int,
    guide: str | Guide = guides.DEFAULT,
    initial: int = INITIAL,
    floor: float = FLOOR,
    seed: int = 0,
    target_error: float | None = None,
    seconds: float | None = None,
    start: State | None = None,
    progress: Progress | None = None,
) -> Iterator[Step]:
    """Render an image pass by pass, each with as many samples as all before it.

    The same scene, settings and seed give the same bits, in one go or continued; unless `seconds`
    ends it, because no two runs take the same time.

    Args:
        renderer: takes the samples.
        denoiser: shows after each pass what is still wrong.
        budget: samples per pixel in all, on average.
        guide: name of a guide (`guides.NAMES`), or a function like one.
        initial: samples of each pixel in the first pass.
        floor: part of each further pass that is spread evenly, 0 to 1.
        seed: of all random numbers.
        target_error: stop when the mean of the error map is this small.
        seconds: stop in time; the last pass is made as small as it must be.
        start: continue after this state, of an earlier run with the same arguments.
        progress: called while a pass is rendered with (samples done, samples in the budget).

    Yields:
        A step after each pass; the last one says why it is the last. None if `start` was the last.

    Raises:
        UnknownName: no such guide, or this denoiser does not predict it.
        RenderFailed: the renderer takes no samples.
        KpcnError: whatever else the renderer or the denoiser raises; steps before it stay valid.
    """
    chosen = guides.choose(guide, denoiser) if isinstance(guide, str) else guide
    limits = Limits(budget, target_error, seconds)
    loop = _Loop(renderer, denoiser, chosen, limits, min(initial, budget), floor, seed, progress)
    return loop.steps(start)


@dataclass(frozen=True)
class _Loop:
    renderer: Renderer
    denoiser: Denoises
    guide: Guide
    limits: Limits
    initial: int
    floor: float
    seed: int
    progress: Progress | None

    def steps(self, state: State | None) -> Iterator[Step]:
        while state is None or self.limits.reached(state) is None:
            state = self._step(state)
            yield state

    def _step(self, before: State | None) -> Step:
        began = time.perf_counter()
        passes = before.passes if before else 0
        render_seed, map_seed = pass_seeds(self.seed, passes)
        samples = self._samples(before, map_seed)
        taken = self.renderer.render(samples, render_seed, self._report(before))
        if not taken.count.any():
            raise RenderFailed(
                f"The renderer took none of the {samples.sum(dtype=np.int64)} samples of pass "
                f"{passes + 1}. Does it read the sampling map?"
            )
        accumulation = before.accumulation.merged(taken) if before else taken
        noisy = accumulation.frame()
        denoised = self.denoiser.denoise(noisy)
        error = self.guide(noisy, denoised)
        seconds = time.perf_counter() - began + (before.seconds if before else 0.0)
        state = State(passes + 1, accumulation, error, seconds)
        stop = self.limits.reached(state)
        return Step(passes + 1, accumulation, error, seconds, samples, noisy, denoised, stop)

    def _samples(self, before: State | None, seed: int) -> SamplingMap:
        if before is None:
            return np.full(self.renderer.size, self.initial, np.uint32)
        return allocate(before.error, self.limits.next_total(before), self.floor, seed)

    def _report(self, before: State | None) -> Progress | None:
        """Progress of a pass as progress of the whole."""
        if self.progress is None:
            return None
        report, done = self.progress, before.total if before else 0
        height, width = self.renderer.size
        budget = self.limits.budget * height * width
        return lambda now, _: report(done + now, budget)


def pass_seeds(seed: int, number: int) -> tuple[int, int]:
    """Seeds of a pass, for the renderer and for the sampling map: independent of all others."""
    first, second = np.random.SeedSequence([seed, number]).generate_state(2) % SEEDS
    return int(first), int(second)
