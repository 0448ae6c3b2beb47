"""Networks that experiments train: each once, kept by what it was made of."""

import argparse
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from kpcn_core.device import choose_device
from kpcn_core.model.network import Network
from training.baselines import DirectNetwork
from training.config import TrainingConfig
from training.dataset import Manifest
from training.fit import CHECKPOINT, fit
from training.release import averaged_network, read_checkpoint, release
from training.schedule import Budget
from training.signals import stop_requests

WEIGHTS = "weights.safetensors"


class Stopped(Exception):
    """Somebody asked to end; the same command goes on."""


@dataclass(frozen=True)
class Run:
    """A training that has ended.

    Attributes:
        folder: of its checkpoint.
    """

    folder: Path

    @property
    def checkpoint(self) -> Path:
        """What baselines go on from."""
        return self.folder / CHECKPOINT

    def network(self) -> Network | DirectNetwork:
        """The network with averaged weights."""
        return averaged_network(read_checkpoint(self.checkpoint))

    def weights(self) -> Path:
        """The same as a file, for other stages to start from."""
        path = self.folder / WEIGHTS
        if not path.exists():
            release(self.checkpoint, path, "training.experiments")
        return path


@dataclass(frozen=True)
class Runs:
    """Trains what is not trained yet.

    Attributes:
        folder: of all runs; experiments may share it, and then train nothing twice.
        device: where to train.
        stop: asked after each step whether to end.
    """

    folder: Path
    device: torch.device
    stop: Callable[[], bool]

    def train(self, name: str, config: TrainingConfig, data: Sequence[Path], steps: int) -> Run:
        """A training of so many steps, or the same one that was made before.

        Args:
            name: for people.
            config: of the training.
            data: folders of data sets that no longer grow.
            steps: how long.

        Raises:
            Stopped: somebody asked to end.
        """
        run = Run(self.folder / f"{name}-{identity(config, data, steps)}")
        if not _is_finished(run, steps):
            print(f"training {name}", flush=True)
            budget = Budget(steps, None)
            fit(
                config, data, run.folder, budget, device=self.device, stop=self.stop, tell=print
            )  # fmt: skip
            if self.stop():
                raise Stopped
        return run


def identity(config: TrainingConfig, data: Sequence[Path], steps: int) -> str:
    """A hash of all that decides what a training leads to."""
    values = asdict(config)
    start = Path(config.run.start)
    if start.is_file():
        # Where the weights lie decides nothing.
        values["run"]["start"] = hashlib.sha256(start.read_bytes()).hexdigest()
    learned = [(folder.name, Manifest.read(folder).digest()) for folder in data]
    text = json.dumps([values, learned, steps], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _is_finished(run: Run, steps: int) -> bool:
    if not run.checkpoint.exists():
        return False
    return bool(read_checkpoint(run.checkpoint)["global_step"] >= steps)


def parser(description: str | None, steps: int, config: str = "tiny") -> argparse.ArgumentParser:
    """What the commands of experiments that train have in common."""
    made = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    made.add_argument("output", type=Path, help="folder of the table, the plot and the runs")
    made.add_argument("--runs", type=Path, help="folder of runs to share  [OUTPUT/runs]")
    made.add_argument("--config", default=config)
    made.add_argument("--steps", type=int, default=steps)
    made.add_argument("--device", default="auto")
    made.add_argument("--threads", type=int)
    return made


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[Runs]:
    """The runs of a command; a stop that is asked for ends it without an error."""
    if options.threads:
        torch.set_num_threads(options.threads)
    folder = options.runs or options.output / "runs"
    with stop_requests() as stop:
        try:
            yield Runs(folder, choose_device(options.device), stop)
        except Stopped:
            print("Stopped. Run the same command again to go on.")
