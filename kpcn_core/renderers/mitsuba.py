"""Mitsuba 3, embedded: any scene rendered with every AOV, by a constant or a map of samples."""

import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kpcn_core.errors import InvalidPixels
from kpcn_core.interrupt import held_back
from kpcn_core.renderers.base import Accumulation, Progress, SamplingMap
from kpcn_core.renderers.mitsuba_variant import load_mitsuba

mi: Any = load_mitsuba()

import drjit as dr  # noqa: E402  (after the variant is chosen)

from kpcn_core.renderers.mitsuba_film import (  # noqa: E402
    Chunk,
    PixelFilter,
    Statistics,
    Values,
    chunks,
)
from kpcn_core.renderers.mitsuba_motion import Motion  # noqa: E402
from kpcn_core.renderers.mitsuba_path import Limits, trace  # noqa: E402
from kpcn_core.renderers.mitsuba_scene import Description, load  # noqa: E402

# Samples traced at once: enough to keep every core busy, within some hundred megabytes.
CHUNK = 1 << 20 if mi.variant().startswith("llvm") else 1 << 22


class MitsubaRenderer:
    """A scene, and for motion the same scene one frame earlier and later.

    Example:
        >>> renderer = MitsubaRenderer.from_file(Path("scene.xml"))
        >>> frame = renderer.render(32, seed=0).frame()
    """

    def __init__(
        self,
        scene: Any,
        limits: Limits,
        previous: Any | None = None,
        following: Any | None = None,
    ) -> None:
        self._scene = scene
        self._sensor = scene.sensors()[0]
        self._limits = limits
        self._filter = PixelFilter(self._sensor.film().rfilter())
        neighbours = {"backward": previous, "forward": following}
        self._motions = {
            aov: motion
            for aov, neighbour in neighbours.items()
            if neighbour is not None and (motion := Motion.between(scene, neighbour))
        }

    @classmethod
    def from_file(
        cls,
        path: Path,
        parameters: Mapping[str, str] | None = None,
        previous: Path | None = None,
        following: Path | None = None,
    ) -> "MitsubaRenderer":
        """Load a scene in Mitsuba's XML format.

        Args:
            path: the scene.
            parameters: values for the scene's `$name` parameters.
            previous: the scene one frame earlier, for the `backward` motion.
            following: the scene one frame later, for the `forward` motion.

        Raises:
            InvalidScene: a file cannot be loaded, or asks for what this renderer does not do.
        """
        return cls._from_states(path, (previous, following), parameters)

    @classmethod
    def from_dict(
        cls,
        scene: Mapping[str, Any],
        previous: Mapping[str, Any] | None = None,
        following: Mapping[str, Any] | None = None,
    ) -> "MitsubaRenderer":
        """Load a scene as Mitsuba's nested dictionaries; else like `from_file`."""
        return cls._from_states(scene, (previous, following))

    @classmethod
    def _from_states(
        cls,
        scene: Description,
        around: tuple[Description | None, Description | None],
        parameters: Mapping[str, str] | None = None,
    ) -> "MitsubaRenderer":
        # What is left of earlier scenes would be compiled into this scene's kernels.
        gc.collect()
        given, merge = parameters or {}, around == (None, None)
        loaded, limits = load(scene, given, merge)
        neighbours = [None if other is None else load(other, given, merge)[0] for other in around]
        return cls(loaded, limits, *neighbours)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the film's crop window in pixels."""
        width, height = self._sensor.film().crop_size()
        return int(height), int(width)

    @property
    def origin(self) -> tuple[int, int]:
        """(x, y) of the crop window within the film."""
        x, y = self._sensor.film().crop_offset()
        return int(x), int(y)

    @property
    def film_size(self) -> tuple[int, int]:
        """(height, width) of the whole film in pixels."""
        width, height = self._sensor.film().size()
        return int(height), int(width)

    def render(
        self, samples: int | SamplingMap, seed: int, progress: Progress | None = None
    ) -> Accumulation:
        """Take this many new samples in each pixel.

        Args:
            samples: a number, or a map [H,W] of numbers; 0 leaves a pixel out.
            seed: of the random numbers; different seeds are independent.
            progress: called after each chunk with (samples done, samples in all).

        Raises:
            InvalidPixels: the map's size is not the film's.
        """
        counts = self._sampling_map(samples)
        total, done = int(counts.sum(dtype=np.int64)), 0
        statistics = Statistics(*self.size, self._motions)
        pieces = -(-total // CHUNK)
        seeds = np.random.SeedSequence(seed).generate_state(max(pieces, 1))
        for chunk, chunk_seed in zip(chunks(counts, CHUNK), seeds, strict=False):
            # The tracer would make an error of its own of a Ctrl-C.
            with held_back():
                statistics.add(chunk, self._trace(chunk, int(chunk_seed)))
            done += chunk.size
            if progress:
                progress(done, total)
        return statistics.accumulation()

    def _sampling_map(self, samples: int | SamplingMap) -> SamplingMap:
        if isinstance(samples, int):
            return np.full(self.size, samples, np.uint32)
        if samples.shape != self.size:
            raise InvalidPixels(
                f"sampling map: expected {list(self.size)} like the film; "
                f"it is {list(samples.shape)}."
            )
        return samples.astype(np.uint32)

    def _trace(self, chunk: Chunk, seed: int) -> dict[str, Values]:
        """AOV name to [C,N] of every sample of a chunk."""
        height, width = self.size
        pixels = mi.UInt32(np.repeat(chunk.pixels, chunk.counts))
        sampler = mi.load_dict({"type": "independent"})
        sampler.seed(seed, chunk.size)
        offset, filter_weight = self._filter.sample(sampler.next_2d())
        corner = mi.Vector2f(mi.Float(pixels % width), mi.Float(pixels // width))
        film = (corner + 0.5 + offset) / mi.Vector2f(width, height)
        ray, weight = self._sensor.sample_ray(
            sampler.next_1d(), sampler.next_1d(), mi.Point2f(film), sampler.next_2d()
        )
        aovs, hits = trace(self._scene, sampler, ray, weight * filter_weight, self._limits)
        aovs["depth"] += self._to_near_plane(ray)
        aovs |= {aov: motion(hits, ray) for aov, motion in self._motions.items()}
        dr.eval(aovs)
        return {aov: np.atleast_2d(value.numpy()) for aov, value in aovs.items()}

    def _to_near_plane(self, ray: Any) -> Any:
        """Distance from a pinhole or lens to where Mitsuba starts the ray."""
        parameters = mi.traverse(self._sensor)
        if "x_fov" not in parameters:
            return mi.Float(0)
        forward = parameters["to_world"] @ mi.Vector3f(0, 0, 1)
        return mi.Float(parameters["near_clip"]) / dr.dot(ray.d, forward)


def description() -> str:
    """Name, version and variant of the renderer."""
    return f"Mitsuba {mi.__version__} {mi.variant()}"
