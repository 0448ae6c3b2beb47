"""LuxCore as a source of training data: its own outputs, without variance and motion."""

import sys
from collections.abc import Callable
from importlib.util import find_spec

from kpcn_core.errors import MissingDependency
from training.renderers.program import Program, ProgramScene

NAME = "luxcore"
PROGRAM = "training.renderers.luxcore_program"


def program(threads: int = 0) -> Program:
    """The process that renders, with so many threads; 0 is all.

    Raises:
        MissingDependency: pyluxcore is not installed.
    """
    if find_spec("pyluxcore") is None:
        raise MissingDependency(
            "Rendering with LuxCore needs pyluxcore, which is not installed. "
            "Run: pip install 'kpcn[luxcore]'."
        )
    return Program([sys.executable, "-m", PROGRAM], NAME, threads)


def scenes(program: Program, size: tuple[int, int]) -> Callable[[int], ProgramScene]:
    """Makes the scene of a seed."""
    return lambda seed: ProgramScene(program, seed, size)
