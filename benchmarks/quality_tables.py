"""Measurements -> the tables of `benchmarks.quality`."""

import statistics
from collections.abc import Sequence
from itertools import pairwise

from benchmarks.quality_cache import Measurement
from benchmarks.quality_cases import Case
from benchmarks.quality_methods import NOISY, PEER
from kpcn_core.metrics import METRICS

Table = dict[str, Measurement]  # of one frame, by method
Rows = list[list[str]]

HIGH = 512  # samples a pixel from which on denoising must not hurt
# A rise by less than this share is none.
TOLERANCE = 0.01


def relative(tables: Sequence[Table], method: str, metric: str, base: str = NOISY) -> float:
    """Geometric mean over frames of a metric, as a part of what another method leaves."""
    return statistics.geometric_mean(
        max(each[method].metrics[metric], 1e-9) / max(each[base].metrics[metric], 1e-9)
        for each in tables
    )


def summary(tables: Sequence[Table]) -> Rows:
    """Every method, as a part of the noisy image's error, over all frames."""
    lines = [
        [name, *_relative(tables, name), _seconds(tables, name)]
        for name in tables[0]
        if name != NOISY
    ]
    return [["relative to noisy", *_titles(), f"time, {PEER} = 1"], *lines]


def by_samples(found: Sequence[Case], tables: Sequence[Table], method: str) -> Rows:
    """One method at every sample count, as a part of the peer's error; below 1 it is ahead."""
    lines = []
    for spp in sorted({case.spp for case in found}):
        chosen = [each for case, each in zip(found, tables, strict=True) if case.spp == spp]
        lines.append([f"{spp} spp", *_relative(chosen, method, PEER)])
    return [[f"{method} / {PEER}", *_titles()], *lines]


def frame_rows(measurements: Table) -> Rows:
    """One frame: every method, every metric."""
    return [["image", *_columns()], *([name, *_cells(one)] for name, one in measurements.items())]


def whole(found: Sequence[Case], tables: Sequence[Table], shots: Sequence[Table]) -> Rows:
    """Everything: scenes, sample counts and methods; a shot's rows come after its frame's."""
    lines = []
    for case, table, shot in zip(found, tables, shots, strict=True):
        for kind, measurements in (("frame", table), ("shot", shot)):
            for name, one in measurements.items():
                lines.append([case.scene, str(case.spp), kind, name, *_cells(one)])
    return [["scene", "spp", "of", "image", *_columns()], *lines]


def shot_rows(case: Case, measurements: Table) -> Rows:
    """One shot: what is left of its noise and what was lost, method by method."""
    lines = [
        [name, *(f"{one.metrics[each]:.4f}" for each in METRICS), *_temporal(one)]
        for name, one in measurements.items()
    ]
    return [[case.title, *_titles(), "instability", "variance", "bias²"], *lines]


def consistency(found: Sequence[Case], tables: Sequence[Table], method: str) -> Rows:
    """What must hold for every scene (see docs/results.md), and by how much it does or not."""
    lines = []
    for scene in dict.fromkeys(case.scene for case in found):
        chosen = {
            case.spp: each for case, each in zip(found, tables, strict=True) if case.scene == scene
        }
        lines.append([scene, *_consistent(chosen, method)])
    high = f"SMAPE, MrSE at {HIGH} spp, noisy = 1"
    return [[method, "SMAPE by spp", "falls", high, "brightness by spp, noisy = 0"], *lines]


def _consistent(chosen: dict[int, Table], method: str) -> list[str]:
    counts = sorted(chosen)
    errors = [chosen[spp][method].metrics["smape"] for spp in counts]
    falls = all(after <= before * (1 + TOLERANCE) for before, after in pairwise(errors))
    high = [spp for spp in counts if spp >= HIGH]
    left = [
        f"{chosen[spp][method].metrics[each] / chosen[spp][NOISY].metrics[each]:.3f}"
        for spp in high
        for each in ("smape", "mrse")
    ]
    light = [f"{chosen[spp][method].brightness - 1:+.2%}" for spp in counts]
    return [
        " ".join(f"{spp}: {error:.4f}" for spp, error in zip(counts, errors, strict=True)),
        "yes" if falls else "no",
        ", ".join(left) or "not rendered",
        " ".join(f"{spp}: {one}" for spp, one in zip(counts, light, strict=True)),
    ]


def _cells(one: Measurement) -> list[str]:
    return [
        *(f"{one.metrics[metric]:.4f}" for metric in METRICS),
        f"{one.brightness:.4f}",
        "" if one.instability is None else f"{one.instability:.4f}",
        "" if one.seconds is None else f"{one.seconds:.2f}",
    ]


def _columns() -> list[str]:
    return [*_titles(), "brightness", "instability", "seconds"]


def _temporal(one: Measurement) -> list[str]:
    values = (one.instability, one.variance, one.bias)
    return ["" if value is None else f"{value:.4f}" for value in values]


def _relative(tables: Sequence[Table], method: str, base: str = NOISY) -> list[str]:
    return [f"{relative(tables, method, metric, base):.3f}" for metric in METRICS]


def _titles() -> list[str]:
    return [metric.title for metric in METRICS.values()]


def _seconds(tables: Sequence[Table], method: str) -> str:
    ratios = [
        mine / peer
        for each in tables
        if (mine := each[method].seconds) and (peer := each[PEER].seconds)
    ]
    return f"{statistics.median(ratios):.2f}" if ratios else ""
