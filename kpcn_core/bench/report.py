"""A whole run: tables for a person, JSON with where the figures come from."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from kpcn_core import provenance
from kpcn_core.atomic import replaced
from kpcn_core.bench.ceilings import Clock, ceilings
from kpcn_core.bench.run import measure
from kpcn_core.bench.stages import FRAMES, Case
from kpcn_core.bench.sweep import sweep
from kpcn_core.bench.tables import content, growth, text
from kpcn_core.denoiser import Denoiser
from kpcn_core.settings import DEFAULT_MEMORY


@dataclass(frozen=True)
class Plan:
    """What is measured; see `Case` and `run.measure`.

    Attributes:
        size: height and width, pixels.
        sweeps: of `sweep.SWEEPS`; of the first denoiser.
        cpu_time: CPU seconds instead of wall time.
        files: whether also from EXR to EXR.
        only_denoised: see `Case`, like frames and emission.
    """

    size: tuple[int, int]
    window: int = 1
    layers: int = 0
    max_memory: int = DEFAULT_MEMORY
    peers: Sequence[str] = ("high", "fast")
    sweeps: Sequence[str] = ()
    rounds: int = 5
    cpu_time: bool = False
    files: bool = True
    only_denoised: bool = False
    frames: int = FRAMES
    emission: bool = True

    def case(self, denoiser: Denoiser) -> Case:
        """What of a denoiser is measured."""
        return Case(
            denoiser, *self.size, self.window, self.layers, self.max_memory, self.only_denoised,
            self.frames, self.emission,
        )  # fmt: skip


def report(
    denoisers: Mapping[str, Denoiser], plan: Plan, tell: Callable[[str], object]
) -> dict[str, Any]:
    """Measure one plan and tell; what was measured, on what and when, as JSON has it.

    Args:
        denoisers: a name to each, all on one device; the roof is for the precision of the first.
        plan: what is measured.
        tell: gets lines for a person.
    """
    first = next(iter(denoisers.values()))
    clock = Clock(first.device, time.process_time if plan.cpu_time else time.perf_counter)
    where = _where(clock, plan)
    tell(_headline(where, plan))
    precision = first.network.precision
    roof = ceilings(clock, precision, min(2 * plan.rounds, 10))
    tell(f"roof: {roof.flops / 1e9:.0f} GFLOP/s, {roof.bandwidth / 1e9:.1f} GB/s\n")
    cases = {name: plan.case(denoiser) for name, denoiser in denoisers.items()}
    table = measure(cases, plan.peers, plan.rounds, clock, plan.files)
    tell(text(table, roof))
    grown = {}
    for over in plan.sweeps:
        grown[over] = sweep(plan.case(first), over, plan.rounds, clock)
        tell(f"\n{growth(over, grown[over])}")
    return {
        **where, **asdict(plan), "precision": str(precision).removeprefix("torch."),
        "roof": asdict(roof), **content(table, roof), "growth": grown,
    }  # fmt: skip


def write(output: Path, found: Mapping[str, Any]) -> None:
    """Write what was measured as JSON; raises UnwritableFile."""
    with replaced(output, overwrite=True) as temporary:
        temporary.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def _where(clock: Clock, plan: Plan) -> dict[str, Any]:
    return {
        **provenance.collect(clock.device),
        "clock": "CPU" if plan.cpu_time else "wall",
        "threads": torch.get_num_threads(),
        "load": [round(load, 1) for load in os.getloadavg()],
    }


def _headline(where: Mapping[str, Any], plan: Plan) -> str:
    height, width = plan.size
    layers = f", {plan.layers} further layers" if plan.layers else ""
    files = ", files of what was denoised alone" if plan.only_denoised else ""
    return (
        f"{width}x{height}, window {plan.window}{layers}{files}: "
        f"{where['device']}; {where['processor']}; "
        f"load {where['load'][0]}; {where['clock']} seconds, medians of {plan.rounds}"
    )
