"""How this process gets its memory from the system."""

import ctypes
import sys

# Of glibc's mallopt (malloc.h).
TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
LARGEST = 2**31 - 1


def reuse_memory() -> None:
    """Keep large blocks that are freed, for the next ones; for processes of our own only.

    By default glibc gives each back to the system, which clears all of its pages for the next: a
    sixth of the time of a frame on the CPU. Threads share what is kept. Elsewhere nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, LARGEST)
        mallopt(TRIM_THRESHOLD, LARGEST)
        mallopt(ARENA_MAX, 1)
