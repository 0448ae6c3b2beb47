"""Batches for error predictors: parts of random pairs."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from training.config import BatchConfig
from training.errors import InvalidDataset
from training.mixture import Mixture
from training.pairs import Pair, Pairs
from training.patches import uniform


class ErrorBatches(IterableDataset[Pair]):
    """An endless stream of pairs [B,C,h,w] that depends only on the views, the seed and the step.

    Views that are rendered meanwhile join every so often.
    """

    def __init__(
        self, mixture: Mixture, pairs: Pairs, config: BatchConfig, seed: int, start: int = 0
    ) -> None:
        self.mixture = mixture
        self.pairs = pairs
        self.config = config
        self.seed = seed
        self.start = start

    def __iter__(self) -> Iterator[Pair]:
        step = self.start
        while True:
            if (step - self.start) % self.config.rescan_steps == 0:
                self.mixture.rescan()
            yield self.batch(step)
            step += 1

    def batch(self, step: int) -> Pair:
        """The batch of a step."""
        generator = np.random.default_rng([self.seed, step])
        views = self.mixture.choose(self.mixture.usable(), generator)
        side = self.config.crop
        if side > min(min(view.size) for view in views):
            raise InvalidDataset(
                f"{views[0].path.parent}: no view to train on of {side} pixels or more, which is "
                f"[batches] crop. Render some with `kpcn-train render`."
            )
        found = []
        for index in generator.integers(len(views), size=self.config.size):
            view, draw = views[index], int(generator.integers(self.pairs.config.draws))
            height, width = view.size
            top, left = uniform(height, width, side, generator)
            part = self.pairs.pair(view, draw, slice(top, top + side), slice(left, left + side))
            found.append(varied(part, generator))
        return Pair._make(torch.stack(images) for images in zip(*found, strict=True))


def varied(pair: Pair, generator: np.random.Generator) -> Pair:
    """Flipped, transposed, and with its color channels in another order."""
    flips, transposed = [dim for dim in (-1, -2) if generator.random() < 0.5], generator.random()
    order = torch.from_numpy(generator.permutation(3))

    def turned(image: Tensor) -> Tensor:
        flipped = image.flip(flips)
        return flipped.mT if transposed < 0.5 else flipped

    colors = {name: getattr(pair, name)[order] for name in ("noisy", "denoised")}
    return Pair._make(turned(image) for image in pair._replace(**colors))
