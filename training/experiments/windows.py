"""Windows of frames: kernels or R-DP, and how many frames (paper §7.2, Fig. 15).

Kernel prediction and direct prediction learn from single frames; then, all of that frozen, each
learns to use the three frames before the centre: kernels for every frame, or a recurrent combiner
that predicts colors (R-DP). Kernels for frames on both sides are a third training. All are measured
on the same moving views, which none learned from. Stop it at any time; the same command goes on.

Example:
    python -m training.experiments.windows runs/windows --data mitsuba --moving reach
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kpcn_core.comparison import markdown
from training import config as configs
from training.config import TrainingConfig
from training.dataset import Dataset
from training.experiments import plots
from training.experiments.errors import left
from training.experiments.page import PLOT, write_tables
from training.experiments.runs import Run, Runs, opened, parser
from training.experiments.subsets import apart, part
from training.validation import samples

ENCODER = "kpcn"
BOTH, PAST, RDP = "kernels, both sides", "kernels, past frames", "R-DP, past frames"


@dataclass(frozen=True)
class Way:
    """One way to denoise.

    Attributes:
        kind: what predicts, and which frames it reads.
        run: its training.
        reach: frames on either side, or before the centre.
        future: whether those after it are read.
    """

    kind: str
    run: Run
    reach: int
    future: bool

    @property
    def frames(self) -> int:
        """How many it reads."""
        return 1 + self.reach * (1 + self.future)


def ways(
    runs: Runs,
    config: TrainingConfig,
    still: Path,
    moving: Path,
    steps: tuple[int, int],
    reach: int,
) -> list[Way]:
    """All trainings, and how each is used."""
    windows = replace(config, batches=replace(config.batches, size=2, reach=reach))
    past_only = replace(windows, batches=replace(windows.batches, future=False))
    single = runs.train("kernels", config, [still], steps[0])
    direct = runs.train("direct", replace(config, stage="direct"), [still], steps[0])
    kernels = single.weights()
    past = runs.train("past", _from(past_only, "temporal", kernels), [moving], steps[1])
    recurrent = _from(past_only, "recurrent-direct", direct.checkpoint)
    rdp = runs.train("r-dp", recurrent, [moving], steps[1])
    both = runs.train("both", _from(windows, "temporal", kernels), [moving], steps[1])
    return [
        Way(BOTH, single, 0, future=False),
        *(Way(BOTH, both, frames, future=True) for frames in range(1, reach + 1)),
        Way(PAST, single, 0, future=False),
        Way(PAST, past, reach, future=False),
        Way(RDP, direct, 0, future=False),
        Way(RDP, rdp, reach, future=False),
    ]


def _from(config: TrainingConfig, stage: str, start: Path) -> TrainingConfig:
    return replace(config, stage=stage, run=replace(config.run, start=str(start)))


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, print, write."""
    options = _parser().parse_args(arguments)
    config = configs.load(options.config)
    shares = {name: float(name == ENCODER) for name in config.network.encoders}
    config = replace(config, batches=replace(config.batches, shares=shares))
    dataset = Dataset(options.moving)
    learned, tests = apart(dataset, options.tests)
    moving = part(dataset, learned, options.output / "data" / dataset.name)
    single = Dataset(options.data)
    still = part(single, single.training, options.output / "data" / single.name)
    steps = (options.steps, options.window_steps)
    with opened(options) as runs:
        curves: dict[str, list[tuple[float, float]]] = {}
        for way in ways(runs, config, still, moving, steps, options.reach):
            chosen = samples(tests, options.spp, way.reach, way.future)
            found = left(way.run.network(), chosen, ENCODER, runs.device)
            curves.setdefault(way.kind, []).append((way.frames, found))
        title = f"{len(tests)} moving views, {len(learned)} learned from"
        rows = [
            [kind, str(frames), f"{error:.3f}"]
            for kind, points in curves.items()
            for frames, error in points
        ]
        heading = [title, "frames", "SMAPE left"]
        write_tables(options.output, [markdown([heading, *rows])], runs.device)
        axes = ("frames that are read", "SMAPE left (noisy = 1)")
        plots.draw(options.output / PLOT, plots.Panel(title, axes, curves))


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__, steps=300)
    made.add_argument("--data", type=Path, required=True, help="data set for single frames")
    made.add_argument("--moving", type=Path, required=True, help="data set with --reach 3")
    made.add_argument("--reach", type=int, default=3, help="frames before, and after, the centre")
    made.add_argument("--window-steps", type=int, default=100)
    made.add_argument("--tests", type=int, default=3, help="moving views to test on")
    made.add_argument("--spp", nargs="+", type=int, default=[8], help="of test images")
    return made


if __name__ == "__main__":
    main()
