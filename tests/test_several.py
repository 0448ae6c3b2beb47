"""Batches in parts: several devices, accumulated gradients; what else a long training needs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import Callback
from torch.testing import assert_close

from tests.test_batches import tensors
from tests.test_fit import rows, stop_after
from tests.training_data import make_dataset
from training import config as configs
from training.batches import Batches
from training.callbacks import Patience
from training.config import TrainingConfig
from training.dataset import Dataset
from training.errors import InvalidConfig
from training.fit import CHECKPOINT, fit
from training.mixture import Mixture
from training.release import averaged_network, read_checkpoint
from training.schedule import Budget

STEPS = 6
# Every pixel counts the same, so that a mean of parts is the mean of the whole.
CONFIG = """
[network]
trunk = "unet"
channels = [8, 8]
blocks = 1
kernels = { irradiance = 3, specular = 3, emission = 3, albedo = 3 }
neighbours = 3
scales = 2
window_blocks = 1
specialization = 1
[network.encoders]
kpcn = ["irradiance", "specular", "specular_variance", "normal"]
split = ["irradiance", "specular"]
[batches]
size = 4
crop = 32
reference_noise = 0.0
[optimizer]
warmup = 2
"""
RUN = """
[run]
log_steps = 1
validation_views = 1
validation_spp = [4]
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data")).folder


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "small.toml"
    path.write_text(CONFIG + RUN)
    return path


@pytest.fixture(scope="module")
def whole(data: Path, config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training by one process that takes its batches whole."""
    run = tmp_path_factory.mktemp("whole")
    fit(configs.load(str(config)), data, run, Budget(STEPS, None))
    return run


def same_course(run: Path, whole: Path) -> None:
    assert rows(run, "train/loss") == pytest.approx(rows(whole, "train/loss"), rel=1e-4)
    networks = [averaged_network(read_checkpoint(one / CHECKPOINT)) for one in (run, whole)]
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_two_processes_take_the_course_of_one(
    data: Path, config: Path, whole: Path, tmp_path: Path
) -> None:
    program = Path(sys.executable).with_name("kpcn-train")
    words = ["fit", data, tmp_path, "--config", config, "--max-steps", STEPS, "--devices", 2]
    ended = subprocess.run(
        [program, *map(str, words), "--device", "cpu", "--threads", "1"],
        capture_output=True, text=True, check=False, timeout=280,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count(f"{STEPS} steps.") == 1
    same_course(tmp_path, whole)


def test_accumulated_parts_take_the_course_of_the_whole(
    data: Path, config: Path, whole: Path, tmp_path: Path
) -> None:
    path = tmp_path / "parts.toml"
    path.write_text(f"{CONFIG}accumulate = 2\n{RUN}")
    parts = configs.load(str(path))
    fit(parts, data, tmp_path, Budget(STEPS, None), stop=stop_after(5))
    assert read_checkpoint(tmp_path / CHECKPOINT)["global_step"] == 3  # not in the midst of one
    fit(parts, data, tmp_path, Budget(STEPS, None))
    networks = [averaged_network(read_checkpoint(one / CHECKPOINT)) for one in (tmp_path, whole)]
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_parts_of_a_batch_are_its_patches(data: Path, config: Path) -> None:
    loaded = configs.load(str(config))
    batches = Batches(Mixture([Dataset(data)]), loaded.batches, loaded.network.encoders, seed=1)
    for step in range(3):
        parts = [batches.batch(step, part, 2) for part in range(2)]
        for one, *halves in zip(tensors(batches.batch(step)), *map(tensors, parts), strict=True):
            assert_close(torch.cat(halves), one, rtol=0, atol=0)


def test_bfloat16_trains(data: Path, config: Path, tmp_path: Path, whole: Path) -> None:
    fit(configs.load(str(config)), data, tmp_path, Budget(STEPS, None), precision="bf16-mixed")
    losses, expected = rows(tmp_path, "train/loss"), rows(whole, "train/loss")
    assert losses == pytest.approx(expected, rel=0.03)
    assert losses != expected


def test_a_held_out_picture_is_in_the_logs(whole: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (folder,) = whole.glob("logs/version_0")
    events = EventAccumulator(str(folder)).Reload()
    assert events.Tags()["images"] == ["validation/4spp"]
    (shown,) = events.Images("validation/4spp")
    assert (shown.width, shown.height) == (3 * 64, 48)


def test_training_ends_when_held_out_errors_no_longer_fall() -> None:
    patience = Patience(2)
    assert isinstance(patience, Callback)

    class Trainer:
        callback_metrics: dict[str, float]

    ended = []
    for error in (0.5, 0.4, 0.45, 0.39, 0.4, 0.39, 0.39):
        trainer = Trainer()
        trainer.callback_metrics = {"validation/4spp/final/denoised": error, "train/loss": 0.0}
        patience.on_validation_end(trainer, None)  # type: ignore[arg-type]
        ended.append(patience.is_over())
    assert ended == [False, False, False, False, False, True, True]
    resumed = Patience(2)
    resumed.load_state_dict(patience.state_dict())
    assert resumed.is_over()


@pytest.mark.parametrize("change", ["accumulate = 3", "accumulate = 0"])
def test_a_batch_that_cannot_be_parted_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "odd.toml"
    path.write_text(CONFIG + change)
    with pytest.raises(InvalidConfig, match="evenly"):
        configs.load(str(path))


def test_devices_must_share_a_batch_evenly(data: Path, config: Path, tmp_path: Path) -> None:
    loaded: TrainingConfig = configs.load(str(config))
    with pytest.raises(InvalidConfig, match="3 devices"):
        fit(loaded, data, tmp_path, Budget(1, None), devices=3)
