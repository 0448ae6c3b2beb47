"""Kernel against direct prediction: the error of held-out views over steps and time (paper §8).

Both networks begin with the same encoders and trunk and learn from the same batches, in turn, so
that a busy machine slows both. The learning rate does not decay: every point of a curve is one of
the same training. Stop it at any time; the same command goes on.

Example:
    python -m training.experiments.convergence data runs/convergence --steps 2000 --every 100
"""

import argparse
import csv
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from statistics import fmean, median

import torch

from kpcn_core.atomic import replaced
from kpcn_core.comparison import markdown
from kpcn_core.device import choose_device
from training import config as configs
from training import validation
from training.config import TrainingConfig
from training.dataset import Dataset
from training.errors import InvalidDataset
from training.experiments import plots
from training.experiments.page import PLOT, write_tables
from training.fit import CHECKPOINT, fit
from training.release import averaged_network, read_checkpoint
from training.schedule import Budget
from training.signals import stop_requests
from training.validation import FINAL, Sample

METHODS = {"kernels": "single-frame", "direct": "direct"}  # and their stages
CURVES = "curves.csv"


@dataclass(frozen=True)
class Row:
    """A point of a curve.

    Attributes:
        method: one of `METHODS`.
        step: how many were trained.
        pace: seconds a step since the point before; NaN where fewer than two were trained.
        label: sample count of the noisy images.
        noisy: mean SMAPE of their color.
        denoised: the same after denoising, with the averaged weights.
    """

    method: str
    step: int
    pace: float
    label: str
    noisy: float
    denoised: float


class Stopwatch:
    """Asked after every step whether to stop, it learns how long a step takes."""

    def __init__(self, stop: Callable[[], bool]) -> None:
        self.stop = stop
        self.times: list[float] = []

    def __call__(self) -> bool:
        """Whether to stop."""
        self.times.append(time.perf_counter())
        return self.stop()

    @property
    def pace(self) -> float:
        """Mean seconds from one step to the next."""
        steps = len(self.times) - 1
        return (self.times[-1] - self.times[0]) / steps if steps > 0 else math.nan


def curves(
    data: Path,
    output: Path,
    config: TrainingConfig,
    chosen: Sequence[Sample],
    points: Sequence[int],
    device: torch.device,
    stop: Callable[[], bool],
    tell: Callable[[str], None],
) -> list[Row]:
    """Train both networks from point to point, and measure them there.

    Args:
        data: folder of a data set; render nothing into it meanwhile.
        output: folder of both runs and of what was measured, which is not measured again.
        config: of both.
        chosen: held-out images.
        points: steps at which to measure, rising.
        device: where to train and measure.
        stop: asked after each step whether to end.
        tell: gets lines about the training.
    """
    path = output / CURVES
    rows = read(path)
    for step in points:
        for method, stage in METHODS.items():
            if any((row.method, row.step) == (method, step) for row in rows):
                continue
            run, watch = output / method, Stopwatch(stop)
            budget = Budget(step, None, decay=False)
            staged = replace(config, stage=stage)
            fit(staged, data, run, budget, device=device, stop=watch, tell=tell)
            if stop():
                return rows
            for label, noisy, denoised in errors(run, chosen, device):
                rows.append(Row(method, step, watch.pace, label, noisy, denoised))
            write(path, rows)
    return rows


def errors(
    run: Path, chosen: Sequence[Sample], device: torch.device
) -> Iterator[tuple[str, float, float]]:
    """Each sample count with the mean SMAPE of the color before and after."""
    network = averaged_network(read_checkpoint(run / CHECKPOINT)).to(device)
    encoder = next(iter(network.config.encoders))
    for label in dict.fromkeys(sample.label for sample in chosen):
        found = [
            validation.measure(network, sample, encoder, device)[FINAL]
            for sample in chosen
            if sample.label == label
        ]
        noisy, denoised = zip(*found, strict=True)
        yield label, fmean(noisy), fmean(denoised)


def read(path: Path) -> list[Row]:
    """What `write` wrote; nothing if there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Row(**{item.name: item.type(line[item.name]) for item in fields(Row)})  # type: ignore[operator]
            for line in csv.DictReader(file)
        ]


def write(path: Path, rows: Sequence[Row]) -> None:
    """All rows as CSV; replaces an older file."""
    with (
        replaced(path, overwrite=True) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, [item.name for item in fields(Row)])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def table(rows: Sequence[Row], label: str) -> str:
    """Error over steps and minutes for one sample count, as Markdown."""
    found = {(row.step, row.method): row for row in rows if row.label == label}
    noisy = next(iter(found.values())).noisy
    heading = [f"{label}, noisy {noisy:.4f}"]
    for method in METHODS:
        heading += [f"{method}, SMAPE", f"{method}, minutes"]
    lines = []
    for step in sorted({step for step, _ in found}):
        cells = [str(step)]
        for method in METHODS:
            row = found.get((step, method))
            minutes = step * pace(rows, method) / 60
            cells += [f"{row.denoised:.4f}", f"{minutes:.1f}"] if row else ["", ""]
        lines.append(cells)
    return markdown([heading, *lines])


def panels(rows: Sequence[Row]) -> Iterator[plots.Panel]:
    """Error over steps, a panel for each sample count."""
    for label in dict.fromkeys(row.label for row in rows):
        found = [row for row in rows if row.label == label]
        curves = {
            method: [(row.step, row.denoised) for row in found if row.method == method]
            for method in METHODS
        }
        noisy = f"{label}, noisy {found[0].noisy:.3f}"
        yield plots.Panel(noisy, ("steps", "SMAPE"), {k: v for k, v in curves.items() if v})


def pace(rows: Sequence[Row], method: str) -> float:
    """Seconds a step: the median, which a busy hour of the machine does not change."""
    found = [row.pace for row in rows if row.method == method and math.isfinite(row.pace)]
    return median(found) if found else math.nan


def held_out(data: Path, views: int, counts: Sequence[int]) -> list[Sample]:
    """The first held-out views of a data set at some sample counts.

    Raises:
        InvalidDataset: it has none.
    """
    chosen = validation.samples(Dataset(data).validation[:views], counts)
    if not chosen:
        raise InvalidDataset(f"{data}: no held-out view. Render some with `kpcn-train render`.")
    return chosen


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, print, write."""
    options = _parser().parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    device = choose_device(options.device)
    config = configs.load(options.config)
    # Held-out views are measured here, at steps instead of minutes.
    config = replace(config, run=replace(config.run, validation_views=0))
    chosen = held_out(options.data, options.views, options.spp)
    points = range(options.every, options.steps + 1, options.every)
    with stop_requests() as stop:
        rows = curves(options.data, options.output, config, chosen, points, device, stop, print)
        if stop():
            print("Stopped. Run the same command again to go on.")
    tables = [table(rows, label) for label in dict.fromkeys(row.label for row in rows)]
    write_tables(options.output, tables, device)
    plots.draw(options.output / PLOT, *panels(rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="a data set of `kpcn-train render`")
    parser.add_argument("output", type=Path, help="folder of the runs, the curves and the table")
    parser.add_argument("--config", default="compact", help="of kernel prediction")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--every", type=int, default=100, help="steps from point to point")
    parser.add_argument("--views", type=int, default=8, help="held-out views to measure")
    parser.add_argument("--spp", nargs="+", type=int, default=[4, 32])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int)
    return parser


if __name__ == "__main__":
    main()
