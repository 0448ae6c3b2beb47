"""Mitsuba 3, embedded: any scene rendered with every AOV, by a constant or a map of samples."""

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kpcn_core.errors import InvalidPixels, InvalidScene
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

# Samples traced at once: enough to keep every core busy, within some hundred megabytes.
CHUNK = 1 << 20 if mi.variant().startswith("llvm") else 1 << 22

# Integrators whose image ours reproduces; the second kind only wrap one of the first.
PATH_TRACERS = ("path", "direct", "prb", "prb_basic", "volpath", "volpathmis", "prbvolpath")
WRAPPERS = ("aov", "moment")


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
            aov: Motion(scene, neighbour)
            for aov, neighbour in neighbours.items()
            if neighbour is not None
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
        given = dict(parameters or {})
        merge = previous is None and following is None
        return cls._from_states(
            lambda config, scene: mi.parser.parse_file(config, str(scene), **given),
            path, previous, following, merge,
        )  # fmt: skip

    @classmethod
    def from_dict(
        cls,
        scene: Mapping[str, Any],
        previous: Mapping[str, Any] | None = None,
        following: Mapping[str, Any] | None = None,
    ) -> "MitsubaRenderer":
        """Load a scene as Mitsuba's nested dictionaries; else like `from_file`."""
        merge = previous is None and following is None
        return cls._from_states(
            lambda config, scene: mi.parser.parse_dict(config, dict(scene)),
            scene, previous, following, merge,
        )  # fmt: skip

    @classmethod
    def _from_states(
        cls, parse: Any, scene: Any, previous: Any | None, following: Any | None, merge: bool
    ) -> "MitsubaRenderer":
        # What is left of earlier scenes would be compiled into this scene's kernels.
        gc.collect()
        loaded, limits = _load(parse, scene, merge)
        around = [
            None if neighbour is None else _load(parse, neighbour, merge)[0]
            for neighbour in (previous, following)
        ]
        return cls(loaded, limits, *around)

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
        aovs |= {aov: motion(hits, ray) for aov, motion in self._motions.items()}
        dr.eval(aovs)
        return {aov: np.atleast_2d(value.numpy()) for aov, value in aovs.items()}


def description() -> str:
    """Name, version and variant of the renderer."""
    return f"Mitsuba {mi.__version__} {mi.variant()}"


def _load(parse: Any, scene: Any, merge: bool) -> tuple[Any, Limits]:
    """Parse and build a scene; its integrator only says where paths end."""
    label = str(scene) if isinstance(scene, Path) else "scene"
    config = mi.parser.ParserConfig(mi.variant())
    # Merged meshes lose their ids, by which motion matches them.
    config.merge_meshes = config.merge_equivalent = merge
    try:
        with _resolving(scene):
            state = parse(config, scene)
            mi.parser.transform_all(config, state)
            limits = _limits(state, label)
            loaded = mi.parser.instantiate(config, state)
    except (RuntimeError, TypeError, ValueError) as error:
        raise InvalidScene(f"{label}: Mitsuba cannot load it: {error}") from error
    if not isinstance(loaded, mi.Scene):
        raise InvalidScene(f"{label}: expected a scene; found {type(loaded).__name__}.")
    if not loaded.sensors():
        raise InvalidScene(f"{label}: the scene has no sensor. Add one to render from.")
    return loaded, limits


def _limits(state: Any, label: str) -> Limits:
    """What the scene's integrator says about paths."""
    found = [node.props for node in state.nodes if node.type == mi.ObjectType.Integrator]
    tracers = [props for props in found if props.plugin_name() in PATH_TRACERS]
    strange = [
        props.plugin_name()
        for props in found
        if props.plugin_name() not in (*PATH_TRACERS, *WRAPPERS)
    ]
    media = any(node.type == mi.ObjectType.Medium for node in state.nodes)
    if strange or media:
        what = f"integrator '{strange[0]}'" if strange else "a participating medium"
        raise InvalidScene(
            f"{label}: it asks for {what}, which this path tracer does not reproduce. "
            f"Supported integrators, without media: {', '.join((*PATH_TRACERS, *WRAPPERS))}."
        )
    if not tracers:
        return Limits()
    props = tracers[0]
    default = 2 if props.plugin_name() == "direct" else Limits.max_depth
    return Limits(
        int(props.get("max_depth", default)),
        int(props.get("rr_depth", Limits.rr_depth)),
        bool(props.get("hide_emitters", Limits.hide_emitters)),
    )


@contextmanager
def _resolving(scene: Any) -> Iterator[None]:
    """Let a file's relative paths start from its own folder."""
    if not isinstance(scene, Path):
        yield
        return
    if not scene.is_file():
        raise InvalidScene(f"{scene}: no such scene file.")
    resolver = mi.file_resolver()
    mi.set_file_resolver(mi.FileResolver(resolver))
    mi.file_resolver().prepend(str(scene.resolve().parent))
    try:
        yield
    finally:
        mi.set_file_resolver(resolver)
