"""Which renderer makes a data set: opened by name, imported only then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from training.errors import InvalidDataset
from training.rendering import RenderableScene


@dataclass(frozen=True)
class SceneSource:
    """A renderer, ready to render scenes.

    Attributes:
        version: its name and version.
        scene: gives the scene of a seed.
    """

    version: str
    scene: Callable[[int], RenderableScene]


@contextmanager
def opened(
    name: str,
    size: tuple[int, int],
    reach: int = 0,
    threads: int | None = None,
    blender: str | None = None,
) -> Iterator[SceneSource]:
    """A renderer of training data by its name.

    Args:
        name: "mitsuba", "cycles" or "luxcore".
        size: (height, width) of the views.
        reach: frames before and after the centre that will be asked for.
        threads: how many it may use; None is all.
        blender: of Cycles: Blender, or a Python that has bpy.

    Raises:
        RenderFailed: its process cannot be started.
        InvalidDataset: it cannot give what is asked for.
        MissingDependency: its package is not installed.
    """
    if name == "mitsuba":
        from training.renderers import mitsuba

        mitsuba.limit_threads(threads)
        yield SceneSource(mitsuba.describe(), mitsuba.scenes(size))
        return
    if name == "luxcore":
        from training.renderers import luxcore

        if reach:
            raise InvalidDataset("LuxCore gives no motion vectors: render it without --reach.")
        program = luxcore.program(threads or 0)
        make = luxcore.scenes(program, size)
    else:
        from training.renderers import cycles

        program = cycles.program(blender, threads or 0)
        make = cycles.scenes(program, reach, size)
    try:
        yield SceneSource(program.describe(), make)
    finally:
        program.close()
