"""All steps in turn, several times, and the medians; beside them the peers, in the same run."""

import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from kpcn_core import oidn
from kpcn_core.bench.ceilings import Ceilings, Clock
from kpcn_core.bench.stages import (
    ANOTHER_LAMBDA,
    BETTER,
    DENOISE,
    SEQUENCE,
    THROUGH,
    WITHOUT_FILES,
    Case,
    Step,
    files,
    peer,
    stages,
    wholes,
)
from kpcn_core.bench.work import Work
from kpcn_core.exr_file import several_threads

PEER = "OIDN {}"


@dataclass(frozen=True)
class Measured:
    """A step's time.

    Attributes:
        seconds: median.
        work: see `Step`.
    """

    seconds: float
    work: Work | None = None

    def reached(self, roof: Ceilings) -> float | None:
        """How much of what the device could do, 0 to 1; None where the least work is unknown."""
        if self.work is None:
            return None
        return self.work.floor(roof.flops, roof.bandwidth) / self.seconds


Table = dict[str, dict[str, Measured]]  # column, such as a model, to row to its time


def measure(
    cases: Mapping[str, Case],
    peers: Sequence[str],
    rounds: int,
    clock: Clock,
    from_files: bool = True,
) -> Table:
    """Time every step of some denoisers and of OIDN, in turn.

    Files are read and written in as many threads as `kpcn denoise` takes.

    Args:
        cases: a name to each; of the same frames.
        peers: of `stages.PEERS`; left out where OIDN is not installed.
        rounds: that count; one before them warms up.
        clock: measures.
        from_files: whether also from EXR to EXR; peers need that.
    """
    with (
        tempfile.TemporaryDirectory(prefix="kpcn-bench-") as folder,
        several_threads(torch.get_num_threads()),
        torch.inference_mode(),
    ):
        beside = peers if oidn.installed() and from_files else ()
        steps = list(_steps(cases, beside, Path(folder), from_files))
        times = in_turn([step.run for _, step in steps], rounds, clock)
    table: Table = {}
    for (column, step), seconds in zip(steps, times, strict=True):
        table.setdefault(column, {})[step.name] = Measured(seconds / step.frames, step.work)
    return table


def in_turn(works: Sequence[Callable[[], object]], rounds: int, clock: Clock) -> list[float]:
    """Median seconds of each: what disturbs the machine for a while disturbs all of them."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds + 1):
        for each, work in zip(times, works, strict=True):
            each.append(clock(work))
    return [statistics.median(each[1:]) for each in times]


def ratios(table: Table) -> dict[str, dict[str, float]]:
    """Column to what the goals are about: our times by the peers', and a new lambda's by a frame's.

    Where both are beside each other in the table.
    """
    found: dict[str, dict[str, float]] = {}
    for column, times in table.items():
        if column.startswith(PEER.format("")):
            continue
        pairs = {
            f"{row} / {other}": (times[row], rows[theirs])
            for row, theirs in ((DENOISE, DENOISE), (BETTER, DENOISE), (THROUGH, THROUGH))
            for other, rows in table.items()
            if other.startswith(PEER.format("")) and row in times and theirs in rows
        }
        if ANOTHER_LAMBDA in times:
            pairs[f"{ANOTHER_LAMBDA} / {DENOISE}"] = times[ANOTHER_LAMBDA], times[DENOISE]
        if SEQUENCE in times:
            pairs[f"{WITHOUT_FILES} / {SEQUENCE}"] = times[WITHOUT_FILES], times[SEQUENCE]
        found[column] = {name: one.seconds / two.seconds for name, (one, two) in pairs.items()}
    return found


def _steps(
    cases: Mapping[str, Case], peers: Sequence[str], folder: Path, from_files: bool
) -> Iterator[tuple[str, Step]]:
    for column, case in cases.items():
        around = list(files(case, folder)) if from_files else []
        read, written, through = around[:1], around[1:2], around[2:]
        inner = stages(case) if case.in_one_piece else ()
        for step in (*read, *inner, *written, *wholes(case), *through):
            yield column, step
    first = next(iter(cases.values()))
    for name in peers:
        for step in peer(first, name, folder):
            yield PEER.format(name), step
