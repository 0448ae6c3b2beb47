"""Cycles, in a process of Blender's own."""

import shlex
from pathlib import Path

from kpcn_core.errors import InvalidScene
from kpcn_core.renderers.batched import Batched
from kpcn_core.renderers.regions import SIDE, RegionRenderer

SCRIPT = Path(__file__).with_name("cycles_script.py")
BATCHES = 4  # Cycles gives no variance


def cycles_renderer(
    scene: Path,
    size: tuple[int, int],
    program: str = "blender",
    batches: int = BATCHES,
    *,
    side: int = SIDE,
    seconds: float | None = None,
) -> Batched:
    """A renderer of a .blend file.

    Cycles takes the same number of samples in all pixels of a render, so that the sampling map
    becomes squares, each rendered by border with the mean of its pixels.

    Args:
        scene: the .blend file.
        size: (height, width) to render it at.
        program: Blender, or a Python that has bpy.
        batches: renders that a pass is split into, whose spread is the variance.
        side: of a square in pixels.
        seconds: how long one render may take; None is forever.

    Raises:
        InvalidScene: there is no such file.
    """
    if not scene.is_file():
        raise InvalidScene(f"{scene}: no such scene file.")
    words = [*started(program, SCRIPT), str(scene.resolve())]
    command = f"{shlex.join(words)} {{map}}"
    renderer = RegionRenderer(command, size, side=side, seconds=seconds, source="cycles")
    return Batched(renderer, batches)


def started(program: str, script: Path) -> list[str]:
    """The words that run a script in Blender, or in a Python that has bpy; its own may follow."""
    if Path(program).name.startswith("python"):
        return [program, "-P", str(script)]  # or this module would be taken for Blender's `cycles`
    return [program, "-b", "-noaudio", "--python-exit-code", "1", "-P", str(script), "--"]
