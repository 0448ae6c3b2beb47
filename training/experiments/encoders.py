"""An encoder for a trained network, or a network from scratch (paper §7.1, Fig. 11).

A network that learned from one source gets an encoder for another, trained on few or many views,
and all else of it stays as it is; beside it, a network learns from the same views alone. With the
runs of `training.experiments.sources` what was trained there is not trained again. Stop it at any
time; the same command goes on.

Example:
    python -m training.experiments.encoders runs/encoders --runs runs/sources/runs
        --data mitsuba cycles --sizes 2 5 10
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kpcn_core.comparison import markdown
from training import config as configs
from training.adaptation import adaptation
from training.config import TrainingConfig
from training.dataset import Dataset
from training.experiments import plots
from training.experiments.errors import left
from training.experiments.page import PLOT, write_tables
from training.experiments.runs import Run, Runs, opened, parser
from training.experiments.sources import SHARED, Source, shared, source_of
from training.experiments.subsets import part

ADAPTED, SCRATCH = "encoder for trained weights", "from scratch"


def adapted(
    runs: Runs, config: TrainingConfig, trained: Run, source: str, data: Path, steps: int
) -> Run:
    """A new encoder for a trained network, which is otherwise frozen."""
    optimizer = configs.load("adaptation").optimizer
    base = replace(config, optimizer=optimizer, batches=replace(config.batches, shares={}))
    start = str(trained.weights())
    chosen = adaptation(base, start, source, Dataset(data).aovs)
    return runs.train(f"adapted-{data.name}", chosen, [data], steps)


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, print, write."""
    options = _parser().parse_args(arguments)
    config = configs.load(options.config)
    old, new = (
        source_of(folder, options.output, options.tests, options.spp, config)
        for folder in options.data
    )
    sizes = _sizes(options.sizes, new)
    with opened(options) as runs:
        before = runs.train(f"{old.name}-only", shared(config), [old.learned], options.steps)
        unchanged = left(before.network(), new.tests, SHARED, runs.device)
        curves: dict[str, list[tuple[float, float]]] = {ADAPTED: [], SCRATCH: []}
        for size, data in sizes.items():
            one = adapted(runs, config, before, new.name, data, options.adaptation_steps)
            other = runs.train(f"{new.name}-only", shared(config), [data], options.steps)
            for title, run, encoder in ((ADAPTED, one, new.name), (SCRATCH, other, SHARED)):
                found = left(run.network(), new.tests, encoder, runs.device)
                curves[title].append((size, found))
        heading = [f"views of {new.name}", *curves]
        rows = [["0", f"{unchanged:.3f}", ""]]
        for size, *points in zip(sizes, *curves.values(), strict=True):
            rows.append([str(size), *(f"{error:.3f}" for _, error in points)])
        write_tables(options.output, [markdown([heading, *rows])], runs.device)
        curves["trained weights as they are"] = [(size, unchanged) for size in sizes]
        panel = plots.Panel(
            f"{new.name}, {len(new.tests)} test images",
            (f"views of {new.name}", "SMAPE left (noisy = 1)"),
            curves,
        )
        plots.draw(options.output / PLOT, panel)


def _sizes(wanted: Sequence[int], source: Source) -> dict[int, Path]:
    """Data sets of the first views, each size within the next; the last one has all."""
    whole = Dataset(source.learned)
    views = whole.training
    found = {
        size: part(whole, views[:size], source.learned.parent / str(size) / source.name)
        for size in sorted(wanted)
        if size < len(views)
    }
    return {**found, len(views): source.learned}


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__, steps=300)
    made.add_argument("--data", nargs=2, type=Path, required=True, help="trained on, adapted to")
    made.add_argument("--sizes", nargs="+", type=int, default=[2, 5, 10], help="views to adapt to")
    made.add_argument("--adaptation-steps", type=int, default=150)
    made.add_argument("--tests", type=int, default=5, help="views of each to test on")
    made.add_argument("--spp", nargs="+", type=int, default=[4, 16], help="of test images")
    return made


if __name__ == "__main__":
    main()
