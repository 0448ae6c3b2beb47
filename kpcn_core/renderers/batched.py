"""Variance for renderers that give none: from the spread of several renders."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from kpcn_core.renderers.base import (
    Accumulation,
    PlacedRenderer,
    Progress,
    SamplingMap,
)


class Batched:
    """A renderer that takes the samples of each pass in some independent renders.

    The means of renders with n samples scatter by the variance of one sample divided by n; so their
    spread gives the AOVs a variance that the renderer itself does not give.

    Args:
        renderer: takes the samples; different seeds must be independent.
        batches: how many renders; 4 know the variance of a pass to a factor of about 2.
    """

    def __init__(self, renderer: PlacedRenderer, batches: int) -> None:
        self._renderer = renderer
        self._batches = batches

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self._renderer.size

    @property
    def origin(self) -> tuple[int, int]:
        """(x, y) of the first pixel on the film."""
        return self._renderer.origin

    @property
    def film_size(self) -> tuple[int, int]:
        """(height, width) of the whole film."""
        return self._renderer.film_size

    def render(
        self, samples: int | SamplingMap, seed: int, progress: Progress | None = None
    ) -> Accumulation:
        """Take this many new samples in each pixel; errors as the renderer's own."""
        counts = np.broadcast_to(np.asarray(samples, np.uint32), self.size)
        total, done, parts = int(counts.sum(dtype=np.int64)), 0, []
        seeds = np.random.SeedSequence([seed, self._batches]).generate_state(self._batches)
        for share, part_seed in zip(shares(counts, self._batches), seeds >> 1, strict=True):
            if share.any():
                parts.append(self._renderer.render(share, int(part_seed)))
            done += int(share.sum(dtype=np.int64))
            if progress:
                progress(done, total)
        return with_spread(parts)


def shares(counts: SamplingMap, batches: int) -> list[SamplingMap]:
    """Split a sampling map into maps that differ by one sample at most, and sum to it."""
    return [(counts + np.uint32(index)) // np.uint32(batches) for index in range(batches)]


def with_spread(parts: Iterable[Accumulation]) -> Accumulation:
    """Renders together; AOVs without a variance get it from the spread of the renders.

    With n_i samples of variance s² each, Σ n_i (m_i - m)² is (renders - 1) s² in expectation. The
    deviation of all n samples is (n - 1) s².

    Args:
        parts: at least one; one at a time is in memory, if they are made one by one.
    """
    whole: Accumulation | None = None
    renders, unknown = np.zeros(1, np.int64), set[str]()
    for part in parts:
        if whole is None:
            unknown = part.mean.keys() - part.deviation.keys()
        # Merged as if each render were without noise, they differ by what lies between them.
        still = {aov: np.zeros_like(part.mean[aov]) for aov in unknown & part.mean.keys()}
        part = replace(part, deviation={**part.deviation, **still})
        whole = part if whole is None else whole.merged(part)
        renders = renders + (part.count > 0)
    assert whole is not None
    samples = whole.count.astype(np.float64)
    share = np.maximum(samples - 1, 0) / np.maximum(renders - 1, 1)
    found = {aov: whole.deviation[aov] * share for aov in sorted(unknown)}
    return replace(whole, deviation={**whole.deviation, **found})
