"""Cycles as a source of training data: Blender's own passes, without variance."""

import os
from collections.abc import Callable
from pathlib import Path

from kpcn_core.renderers.cycles import started
from training.renderers.program import Program, ProgramScene
from training.scenes import SIZE

NAME = "cycles"
SCRIPT = Path(__file__).with_name("cycles_program.py")
BLENDER = "KPCN_BLENDER"  # the variable that names Blender


def program(blender: str | None = None, threads: int = 0) -> Program:
    """The process that renders.

    Args:
        blender: Blender, or a Python that has bpy; default what $KPCN_BLENDER names, or `blender`.
        threads: how many it may use; 0 is all.
    """
    chosen = blender or os.environ.get(BLENDER) or "blender"
    return Program(started(chosen, SCRIPT), NAME, threads)


def scenes(
    program: Program, reach: int, size: tuple[int, int] = SIZE
) -> Callable[[int], ProgramScene]:
    """Makes the scene of a seed."""
    return lambda seed: ProgramScene(program, seed, size, reach)
