"""How this process gets its memory from the system."""

import ctypes
import sys
from collections.abc import Callable

# Of glibc's mallopt (malloc.h).
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
LARGEST = 2**31 - 1
NEVER = -1  # a larger number than that would be: frames of 4K free more at once


def reuse_memory() -> None:
    """Keep large blocks that are freed, for the next ones; for processes of our own only.

    By default glibc gives each back to the system, which clears all of its pages for the next: a
    sixth of the time of a frame on the CPU. Threads share what is kept. Elsewhere nothing happens.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, LARGEST)
        mallopt(TRIM_THRESHOLD, NEVER)
        mallopt(ARENA_MAX, 1)


def give_back() -> None:
    """Give the system what is kept: between two uses whose blocks differ, it only adds up."""
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_glibc(name: str) -> Callable[..., int] | None:
    """A function of it; None elsewhere."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None
