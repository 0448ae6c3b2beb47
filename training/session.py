"""The longest useful thing within some minutes: render, train, measure, write weights."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from training.config import TrainingConfig
from training.dataset import Dataset, Manifest, Recipe
from training.fit import CHECKPOINT, Precision, fit
from training.release import averaged_network, read_checkpoint, release
from training.renderers.sources import SceneSource
from training.rendering import ReferenceGoal, render
from training.schedule import Budget
from training.validation import samples, summary

# Parts of the time: rendering only as long as there are few views, and what is kept for the end.
RENDERING = 0.3
ENDING = 0.1
LEAST, ENOUGH = 2, 64  # views


@dataclass(frozen=True)
class Plan:
    """What a session works on.

    Attributes:
        folder: holds `data`, `run` and the weights; an earlier session's are gone on with.
        config: the stage to train.
        recipe: how views are made.
        goal: how long to work on a reference.
        seconds: that the whole session may take.
        decay: whether the learning rate falls at its end, for weights worth releasing.
    """

    folder: Path
    config: TrainingConfig
    recipe: Recipe
    goal: ReferenceGoal
    seconds: float
    decay: bool = True


def session(
    plan: Plan,
    source: SceneSource,
    clock: Callable[[], float],
    *,
    device: torch.device | None = None,
    precision: Precision = "32-true",
    stop: Callable[[], bool] = lambda: False,
    tell: Callable[[str], None] = lambda line: None,
) -> Path:
    """Render views while there are few, train from the last checkpoint, measure, write weights.

    Args:
        plan: what to work on.
        source: renders the views.
        clock: seconds since the session started.
        device: where to train; None is the CPU.
        precision: of the convolutions.
        stop: asked now and then whether to end early; weights are written all the same.
        tell: gets a line about everything that was done.

    Returns:
        The weights file.

    Raises:
        InvalidDataset: no view could be rendered.
    """
    data, run = plan.folder / "data", plan.folder / "run"
    _render(plan, source, data, lambda: stop() or clock() > RENDERING * plan.seconds, tell)
    left = (1 - ENDING) * plan.seconds - clock()
    start = clock()
    budget = Budget(None, max(left, 1.0), plan.decay, lambda: clock() - start)
    fit(
        plan.config, data, run, budget, device=device, precision=precision,
        stop=stop, tell=tell,
    )  # fmt: skip
    return _finish(plan, data, run, clock, tell)


def _render(
    plan: Plan,
    source: SceneSource,
    data: Path,
    over: Callable[[], bool],
    tell: Callable[[str], None],
) -> None:
    """Views until there are enough, or the time is over and there are the fewest that will do."""

    def stop() -> bool:
        known = len(Manifest.read(data).views)
        return known >= ENOUGH or (known >= LEAST and over())

    # Seed 0, the first, is held out: something to measure.
    seeds = range(10 * ENOUGH)
    for seed, entry in render(data, seeds, source.scene, plan.recipe, plan.goal, stop):
        tell(f"seed {seed}: reference {entry.reference_spp} spp, {entry.seconds:.1f} s")


def _finish(
    plan: Plan, data: Path, run: Path, clock: Callable[[], float], tell: Callable[[str], None]
) -> Path:
    """Weights first: there may be no time to measure."""
    output = plan.folder / "weights.safetensors"
    release(run / CHECKPOINT, output, f"kpcn-train session, stage {plan.config.stage}")
    tell(f"{output}, after {clock():.0f} s")
    network = averaged_network(read_checkpoint(run / CHECKPOINT))
    held_out = Dataset(data).validation
    for view in held_out[: plan.config.run.validation_views]:
        if clock() > plan.seconds:
            break
        for line in summary(network, samples([view], (8,))):
            tell(f"seed {view.seed}: {line}")
    return output
