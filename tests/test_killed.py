"""A process that is killed loses the unit that it worked on, and nothing else."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from torch.testing import assert_close

from tests.noisy_scene import NoisyScene
from tests.test_fit import rows
from tests.test_several import CONFIG, RUN
from tests.training_data import GOAL, RECIPE, make_dataset
from training import config as configs
from training.dataset import Manifest
from training.fit import CHECKPOINT, fit
from training.release import averaged_network, read_checkpoint
from training.rendering import render
from training.schedule import Budget

STEPS = 8
RENDERING = """
import sys
from pathlib import Path
from tests.noisy_scene import NoisyScene
from tests.training_data import GOAL, RECIPE
from training.rendering import render
for seed, entry in render(Path(sys.argv[1]), range(200), NoisyScene, RECIPE, GOAL):
    print(seed, flush=True)
"""


def test_rendering_that_is_killed_goes_on_behind_its_last_view(tmp_path: Path) -> None:
    killed, straight = tmp_path / "killed", tmp_path / "straight"
    words = [sys.executable, "-c", RENDERING, str(killed)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = [process.stdout.readline().strip() for _ in range(2)]
        process.kill()
    assert printed == ["0", "1"]
    known = set(Manifest.read(killed).views)
    assert {0, 1} <= known
    last = max(known) + 3
    resumed = [seed for seed, _ in render(killed, range(last), NoisyScene, RECIPE, GOAL)]
    assert resumed == list(range(max(known) + 1, last))
    make_dataset(straight, range(last))
    assert Manifest.read(killed).digest() == Manifest.read(straight).digest()


def test_training_that_is_killed_goes_on_from_its_last_checkpoint(tmp_path: Path) -> None:
    data, killed, straight = (tmp_path / name for name in ("data", "killed", "straight"))
    make_dataset(data)
    config = tmp_path / "config.toml"
    # A checkpoint after every step.
    config.write_text(f"{CONFIG}{RUN}checkpoint_minutes = 0.0\n")
    program = Path(sys.executable).with_name("kpcn-train")
    words = [program, "fit", data, killed, "--config", config, "--max-steps", STEPS]
    words += ["--device", "cpu", "--threads", "1"]
    checkpoint = killed / CHECKPOINT
    with subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL) as process:
        while process.poll() is None and not checkpoint.exists():
            time.sleep(0.01)
        process.kill()
    step = read_checkpoint(checkpoint)["global_step"]
    if step == STEPS:
        pytest.fail("it had ended before it was killed")
    config.write_text(CONFIG + RUN)
    for run in (killed, straight):
        fit(configs.load(str(config)), data, run, Budget(STEPS, None))
    # A line of the log that was not written yet is lost, no step is.
    logged, expected = (rows(run, "train/loss") for run in (killed, straight))
    assert set(range(step, STEPS)) <= logged.keys()
    assert logged == pytest.approx({step: expected[step] for step in logged}, rel=1e-5)
    networks = [averaged_network(read_checkpoint(run / CHECKPOINT)) for run in (killed, straight)]
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-6)
