"""Threads that share an image: all of it is done, once, and none waits long for another."""

from threading import Lock

import pytest
import torch

from kpcn_core.ops.workers import each, in_rows, shares


@pytest.mark.parametrize("count", [0, 1, 5, 17, 34, 1000])
@pytest.mark.parametrize("threads", [2, 3, 16])
def test_shares_are_all_parts_once_and_single_ones_last(count: int, threads: int) -> None:
    found = list(shares(count, threads))
    assert [part for share in found for part in range(count)[share]] == list(range(count))
    sizes = [share.stop - share.start for share in found]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-threads:] == [1] * min(threads, count)
    # Threads that take the next share when they are done: none has more than one part too many.
    done = [0] * threads
    for size in sizes:
        done[done.index(min(done))] += size
    assert max(done) - min(done) <= 1


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_row_is_done_once(threads: int) -> None:
    before, lock, rows = torch.get_num_threads(), Lock(), list[int]()

    def work(first: int, last: int) -> None:
        with lock:
            rows.extend(range(first, last))

    try:
        torch.set_num_threads(threads)
        in_rows(work, 1081)
        each(work, [(2000, 2001)])
    finally:
        torch.set_num_threads(before)
    assert sorted(rows) == [*range(1081), 2000]
