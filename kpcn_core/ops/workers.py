"""Parts of an image in as many threads as torch uses."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from multiprocessing.util import register_after_fork
from queue import SimpleQueue
from threading import Barrier
from typing import TypeVarTuple

import torch

Part = TypeVarTuple("Part")

ROWS = 32  # that a thread does at a time
PARTS = 16  # of a small image: of fewer, the last ones would be waited for


def each(work: Callable[[*Part], None], parts: Sequence[tuple[*Part]]) -> None:
    """Do work for every part of an image: in `torch.get_num_threads` threads, one a part.

    For work that leaves Python's lock to others most of the time, and needs no gradients. What
    torch does within a part is done by one thread.
    """
    threads = torch.get_num_threads()
    if threads == 1:
        for one in parts:
            work(*one)
        return

    left = SimpleQueue[slice | None]()
    for share in (*shares(len(parts), threads), *[None] * threads):
        left.put(share)

    @torch.inference_mode()
    def run(_: int) -> None:
        for share in iter(left.get, None):
            for one in parts[share]:
                work(*one)

    list(_pool(threads).map(run, range(threads)))


def shares(count: int, threads: int) -> Iterator[slice]:
    """Parts that a thread takes at once: many at first, one by one in the end.

    So none waits for another's last ones, and Python's lock is seldom asked for (guided
    self-scheduling: Polychronopoulos and Kuck 1987).
    """
    first = 0
    while first < count:
        last = first + max(1, (count - first) // (2 * threads))
        yield slice(first, last)
        first = last


def in_rows(work: Callable[[int, int], None], height: int) -> None:
    """Do work for all rows of an image; given are the first of ROWS, and the one after them."""
    each(work, [(first, min(first + ROWS, height)) for first in range(0, height, ROWS)])


def in_strips(work: Callable[[int, int], None], height: int, most: int, multiple: int = 1) -> None:
    """The same a few rows at a time, as many with any number of threads.

    What libraries make of a strip may depend on its height.

    Args:
        work: what is done.
        height: of the image.
        most: rows at a time; of small images fewer.
        multiple: the first of them is always one of it.
    """
    few = height // PARTS // multiple * multiple
    step = max(min(few, most), multiple)
    each(work, [(first, min(first + step, height)) for first in range(0, height, step)])


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads whose torch computes by itself; kept for the life of the process."""
    pool = ThreadPoolExecutor(threads, "kpcn")
    together = Barrier(threads)

    def alone() -> None:
        # Asked first: at its first use a thread takes over what was set last, by whomever.
        torch.get_num_threads()
        torch.set_num_threads(1)
        together.wait()

    for started in [pool.submit(alone) for _ in range(threads)]:
        started.result()
    torch.set_num_threads(threads)
    return pool


# A forked process has none of its parent's threads.
register_after_fork(_pool, lambda pool: pool.cache_clear())
