"""Functions compiled for the processor at hand by numba (extra "cpu"); without it, torch serves."""

import logging
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

log = logging.getLogger(__name__)

Function = TypeVar("Function", bound=Callable[..., Any])
# Other threads run meanwhile; divisions by 0 are not looked for. Sums keep their order: a process
# that compiles and one that finds the code on disk link other copies of the inner functions; an
# order of its own in each made their pixels differ.
OPTIONS = {
    "nogil": True,
    "fastmath": {"contract", "nnan", "ninf", "nsz"},
    "error_model": "numpy",
}


def installed() -> bool:
    """Whether numba can be imported."""
    return find_spec("numba") is not None


def usable(image: Tensor) -> bool:
    """Whether compiled functions can do what is asked: of float32 images on a CPU."""
    return image.device.type == "cpu" and image.dtype == torch.float32 and installed()


def planes(image: Tensor) -> tuple[NDArray[np.float32], ...]:
    """The channels of the one image in a batch [1,C,h,w], each contiguous by itself."""
    return tuple(plane.contiguous().numpy() for plane in image[0])


def compiled(function: Function) -> Function:
    """A function of numbers and arrays, compiled at its first call.

    What was compiled is kept on disk, beside the source or in the user's cache folder; where
    neither can be written, for the life of the process. What it calls must be in the same file:
    changes elsewhere would not be noticed.
    """
    import numba

    _announce()
    try:
        made = numba.njit(cache=True, **OPTIONS)(function)
    except RuntimeError as error:
        log.info("%s is compiled anew by every process: %s", function.__name__, error)
        made = numba.njit(**OPTIONS)(function)
    return cast(Function, made)


@cache
def _announce() -> None:
    """Say it, once, when a function is compiled that no one has compiled here before."""
    from numba.core import event

    class Notice(event.Listener):  # type: ignore[misc]
        said = False

        def on_start(self, event: object) -> None:
            if not self.said:
                log.warning(
                    "Compiling for this processor: about half a minute of one core, once for a "
                    "machine"
                )
            self.said = True

        def on_end(self, event: object) -> None:
            pass

    event.register("numba:compile", Notice())


def part(function: Function) -> Function:
    """A function that only compiled ones call; it takes no memory.

    So numba need not count who uses an array: for each that is passed on or sliced it would call a
    function, twice, which in loops over some pixels takes longer than the pixels do.
    """
    import numba

    return cast(Function, numba.njit(_nrt=False, **OPTIONS)(function))


def memory(function: Function) -> Function:
    """A function that only compiled ones call, and that takes memory for them."""
    import numba

    return cast(Function, numba.njit(**OPTIONS)(function))
