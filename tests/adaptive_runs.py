"""Adaptive runs on a scene that renders in no time, denoised by a small network; for tests.

As a program it makes a run that kills itself, see `main`.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kpcn_core import adaptive, exr
from kpcn_core.adaptive import State, Step, checkpoint, log
from kpcn_core.adaptive.record import Record
from kpcn_core.denoiser import Denoiser
from tests.networks import random_network
from tests.noisy_scene import NoisyScene

SIZE = (24, 32)
PIXELS = SIZE[0] * SIZE[1]
RENDERER = NoisyScene(0, SIZE)


class Placed(NoisyScene):
    """The scene on a larger film."""

    origin = (3, 2)
    film_size = (30, 40)


PLACED = Placed(0, SIZE)


def denoiser() -> Denoiser:
    return Denoiser(random_network(), torch.device("cpu"))


def run(budget: int = 100, **options: Any) -> Iterator[Step]:
    options = {"renderer": RENDERER, "guide": "variance", "seed": 5, **options}
    return adaptive.run(options.pop("renderer"), denoiser(), budget=budget, **options)


def record(folder: Path) -> Record:
    return Record(folder / "image.exr", "variance", {"seed": 5}, {"scene": "noisy"})


def recorded(folder: Path, *, resume: bool = False, budget: int = 100) -> list[Step]:
    files = record(folder)
    start: State | None = files.resumed() if resume else None
    return list(files.steps(run(budget, start=start), PLACED, start))


def same(first: State, second: State) -> bool:
    """Whether all bits are the same, but for the time."""
    one, other = first.accumulation, second.accumulation
    groups = ((one.mean, other.mean), (one.deviation, other.deviation))
    return (
        first.passes == second.passes
        and np.array_equal(one.count, other.count)
        and np.array_equal(first.error, second.error)
        and all(a.keys() == b.keys() for a, b in groups)
        and all(np.array_equal(a[aov], b[aov]) for a, b in groups for aov in a)
    )


def kill_after(function: Callable[..., Any], calls: int) -> Callable[..., Any]:
    """The function, which ends this process without mercy when it has run so often."""
    done = 0

    def killing(*words: Any, **named: Any) -> Any:
        nonlocal done
        result = function(*words, **named)
        done += 1
        if done == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return killing


def main() -> None:
    """Arguments: folder, what to kill after (render, image, log or checkpoint), in which pass."""
    folder, where, calls = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    owner, name = {
        "render": (NoisyScene, "render"),
        "image": (exr, "write_frame"),
        "log": (log, "append"),
        "checkpoint": (checkpoint, "save"),
    }[where]
    setattr(owner, name, kill_after(getattr(owner, name), calls))
    recorded(folder)


if __name__ == "__main__":
    main()
