"""A short noisy sequence with a small network, and the worker that may denoise it."""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from kpcn_core import exr, weights
from kpcn_core.cli.main import main
from kpcn_core.protocol import Denoise
from tests.frames import random_frame
from tests.networks import random_network

FRAMES = (1, 2, 3)
WORKER = [sys.executable, "-P", "-m", "kpcn_core", "worker"]


@dataclass(frozen=True)
class Shot:
    """A folder with a network, noisy.0001.exr … and what becomes of them."""

    folder: Path

    @property
    def model(self) -> str:
        return str(self.folder / "small.safetensors")

    @property
    def noisy(self) -> str:
        return str(self.folder / "noisy.####.exr")

    def outputs(self, name: str) -> list[Path]:
        return [self.folder / f"{name}.{number:04d}.exr" for number in FRAMES]

    def request(self, name: str, tile: int = 16) -> Denoise:
        output = str(self.folder / f"{name}.####.exr")
        return Denoise(self.noisy, output, model=self.model, tile=tile)

    def long_request(self, name: str) -> Denoise:
        """One frame in so many tiles that it takes about a minute."""
        paths = str(self.folder / "large.exr"), str(self.folder / f"{name}.exr")
        return Denoise(*paths, model=self.model, tile=1)

    def by_command(self, name: str) -> list[Path]:
        """What `kpcn denoise` makes of the sequence."""
        output = str(self.folder / f"{name}.####.exr")
        command = ["denoise", self.noisy, "-o", output, "--model", self.model, "--tile", "16"]
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
        return self.outputs(name)


def make_shot(folder: Path) -> Shot:
    shot = Shot(folder)
    weights.save(Path(shot.model), random_network(), {})
    for number, path in zip(FRAMES, shot.outputs("noisy"), strict=True):
        exr.write_frame(path, random_frame(40, 48, seed=number))
    exr.write_frame(folder / "large.exr", random_frame(128, 128))
    return shot


def is_running(pid: int) -> bool:
    """Whether a process is there, and is no zombie."""
    state = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


def wait_for_end(pid: int) -> None:
    """Wait until a process that is no child of ours has ended."""
    for _ in range(1000):
        if not is_running(pid):
            return
        time.sleep(0.1)
    pytest.fail(f"process {pid} still runs")
