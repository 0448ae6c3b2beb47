"""A scene for tests: a renderer that adds noise of known size to a pattern, in no time."""

from dataclasses import dataclass, replace

import numpy as np

from kpcn_core.renderers.base import Accumulation, Progress, SamplingMap

SIZE = (48, 64)
# Pixels to the right that everything moves in a frame.
SPEED = 3


@dataclass(frozen=True)
class NoisyScene:
    """Stripes and a disk; each sample's color is its mean times an exponential variable."""

    seed: int
    size: tuple[int, int] = SIZE
    time: int = 0
    gives_variance = True

    def renderer(self, time: int = 0, motion: bool = False) -> "NoisyScene":
        return replace(self, time=time)

    def truth(self) -> dict[str, np.ndarray]:
        """AOV to its mean [3,H,W]."""
        generator = np.random.default_rng([self.seed, 0])
        rows, columns = np.mgrid[: self.size[0], : self.size[1]] - [[[0]], [[SPEED * self.time]]]
        phase, period, turn = generator.uniform([0, 6, 0], [6, 20, np.pi])
        stripes = np.sin((rows * np.sin(turn) + columns * np.cos(turn)) * 6.28 / period + phase) > 0
        disk = np.hypot(rows - self.size[0] / 2, columns - self.size[1] / 2) < self.size[0] / 3
        tint = generator.uniform(0.2, 0.9, (3, 2))
        albedo = np.where(stripes, tint[:, :1, None], tint[:, 1:, None])
        diffuse = albedo * np.where(disk, 2.0, 0.5)
        specular = np.broadcast_to(np.where(disk, 0.3, 0.05), albedo.shape)
        normal = np.stack([disk * 1.0, stripes * 0.0, 1.0 - disk])
        return {
            "color": diffuse + specular,
            "diffuse": diffuse,
            "specular": specular,
            "albedo": albedo,
            "normal": normal,
        }

    def render(
        self, samples: int | SamplingMap, seed: int, progress: Progress | None = None
    ) -> Accumulation:
        generator = np.random.default_rng([self.seed, seed, self.time + 100])
        count = np.broadcast_to(np.asarray(samples, np.uint32), self.size)
        taken = np.maximum(count, 1)
        mean, deviation = {}, {}
        for aov, truth in self.truth().items():
            spread = 0.0 if aov in ("albedo", "normal") else 1.0
            # The mean and the squared deviations of n exponential samples, by their own laws.
            factor = 1 + spread * (generator.gamma(taken, 1 / taken, truth.shape) - 1)
            mean[aov] = truth * factor * (count > 0)
            squares = generator.gamma(np.maximum(taken - 1, 1), 1.0, truth.shape)
            deviation[aov] = spread * truth**2 * squares * (count > 1)
        mean["color"] = mean["diffuse"] + mean["specular"]
        return Accumulation(count.copy(), mean, deviation, self._closest())

    def _closest(self) -> dict[str, np.ndarray]:
        """Depth and motion, without noise."""
        step = np.zeros((2, *self.size), np.float32)
        step[0] = SPEED
        depth = np.ones((1, *self.size), np.float32)
        return {"depth": depth, "forward": step, "backward": -step}


class QuietScene(NoisyScene):
    """The same of a renderer that does not say how noisy it is."""

    gives_variance = False

    def render(
        self, samples: int | SamplingMap, seed: int, progress: Progress | None = None
    ) -> Accumulation:
        return replace(super().render(samples, seed, progress), deviation={})
