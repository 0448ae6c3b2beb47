"""Experiments: their updates are those of the paper, and a stopped one goes on."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from kpcn_core import exr, weights
from tests.frames import random_frame
from tests.networks import small_config
from tests.training_data import make_dataset
from training.config import BatchConfig, TrainingConfig
from training.errors import InvalidDataset
from training.experiments import convergence, mirror_descent, scales
from training.experiments.convergence import Row, Stopwatch, curves, held_out, table

CPU = torch.device("cpu")
SHALLOW = """
base = "shallow"
[network]
channels = [4]
[batches]
size = 1
crop = 32
[run]
validation_views = 0
"""
COLORS, CENTRED = mirror_descent.PIXELS.values()


def random_logits() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(2)
    return generator.normal(size=(9, 2)), generator.normal(size=(9, 2))


def test_a_step_of_mirror_descent_multiplies_the_weights() -> None:
    logits, gradient = random_logits()
    weights = mirror_descent.softmax(logits)
    step = mirror_descent.METHODS["mirror descent"][1](weights, gradient)
    multiplied = weights * np.exp(-0.3 * gradient)
    assert_allclose(
        mirror_descent.softmax(logits - 0.3 * step), multiplied / multiplied.sum(axis=0)
    )


def test_the_gradient_through_softmax_is_that_of_autograd() -> None:
    logits, gradient = random_logits()
    twin = torch.from_numpy(logits).requires_grad_()
    (torch.from_numpy(gradient) * twin.softmax(dim=0)).sum().backward()  # type: ignore[no-untyped-call]
    found = mirror_descent.through_softmax(mirror_descent.softmax(logits), gradient)
    assert twin.grad is not None
    assert_allclose(found, twin.grad.numpy())


def test_brightness_changes_nothing_for_kernels_but_slows_direct_prediction() -> None:
    def left(method: str, pixels: tuple[float, float]) -> float:
        points, colors = mirror_descent.problem(25, pixels, seed=0)
        return mirror_descent.error_left(method, points, colors, 64)

    # Half the contrast is half the gradient, for which another step size of the grid makes up.
    assert left("mirror descent", COLORS) == pytest.approx(
        left("mirror descent", CENTRED), rel=1e-3
    )
    assert left("direct", COLORS) > 3 * left("direct", CENTRED)


def config() -> TrainingConfig:
    return TrainingConfig(network=small_config(fold=2), batches=BatchConfig(size=1, crop=32))


def test_curves_go_on_where_they_were_stopped(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", range(2)).folder
    chosen = held_out(data, 1, [2])

    def run(folder: str, points: range, limit: int = 99) -> list[Row]:
        steps = iter(range(1, limit))
        return curves(
            data, tmp_path / folder, config(), chosen, points, CPU,
            lambda: next(steps, None) is None, lambda line: None,
        )  # fmt: skip

    whole = run("whole", range(2, 5, 2))
    assert [(row.method, row.step) for row in whole] == [
        ("kernels", 2), ("direct", 2), ("kernels", 4), ("direct", 4),
    ]  # fmt: skip
    stopped = run("parts", range(2, 5, 2), limit=4)
    assert [row.step for row in stopped] == [2]
    again = run("parts", range(2, 5, 2))
    assert [replace(row, pace=0) for row in again] == [replace(row, pace=0) for row in whole]
    with (tmp_path / "parts" / convergence.CURVES).open() as file:
        assert len(list(csv.DictReader(file))) == 4
    # All is trained, but the last point was lost before it was measured.
    convergence.write(tmp_path / "parts" / convergence.CURVES, again[:-1])
    assert run("parts", range(2, 5, 2))[-1].denoised == whole[-1].denoised


def test_a_table_has_a_line_for_every_step() -> None:
    rows = [
        Row("kernels", 100, 0.6, "4spp", 0.5, 0.25),
        Row("direct", 100, float("nan"), "4spp", 0.5, 0.4),
        Row("kernels", 200, 1.2, "4spp", 0.5, 0.2),
    ]
    heading, _, first, second = table(rows, "4spp").splitlines()
    assert "4spp, noisy 0.5000" in heading
    assert [cell.strip() for cell in first.split("|")[1:6]] == [
        "100",
        "0.2500",
        "1.5",
        "0.4000",
        "nan",
    ]
    assert [cell.strip() for cell in second.split("|")[1:6]] == ["200", "0.2000", "3.0", "", ""]


def test_a_stopwatch_knows_no_pace_from_one_step() -> None:
    watch = Stopwatch(lambda: False)
    assert not watch()
    assert np.isnan(watch.pace)
    watch()
    assert watch.pace >= 0


def test_data_without_held_out_views_are_refused(tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", range(1, 2)).folder
    with pytest.raises(InvalidDataset, match="no held-out view"):
        held_out(data, 1, [2])


def test_a_low_pass_keeps_blotches_and_removes_noise() -> None:
    torch.manual_seed(0)
    flat = torch.full((1, 3, 64, 64), 0.5)
    noise = flat + 0.2 * torch.randn_like(flat)
    blotch = flat.clone()
    blotch[..., 16:48, 16:48] *= 1.4
    reference = flat
    noisy, noisy_coarse = scales.errors(noise, reference)
    blotchy, blotchy_coarse = scales.errors(blotch, reference)
    assert noisy_coarse < 0.15 * noisy
    assert blotchy_coarse > 0.8 * blotchy
    assert scales.errors(reference, reference) == (0, 0)


def test_depth_and_scales_are_trained_in_parts_and_measured_on_every_frame(tmp_path: Path) -> None:
    make_dataset(tmp_path / "data")
    for seed, name in ((0, "room_8"), (1, "room_reference")):
        exr.write_frame(tmp_path / f"{name}.exr", random_frame(32, 48, seed))
    (tmp_path / "small.toml").write_text(SHALLOW)
    words = [str(tmp_path / name) for name in ("data", "run", ".")]
    more = ["--scenes", "room", "--blocks", "1", "2", "--steps", "2", "1", "--device", "cpu"]
    scales.main([*words, *more, "--config", str(tmp_path / "small.toml")])
    text = (tmp_path / "run" / "table.md").read_text()
    assert "| 1 blocks" in text
    assert "| 2 blocks" in text
    # Frozen: what the first stage learned is in the second as it was.
    first, second = (
        weights.load(tmp_path / "run" / "blocks-1" / f"{stage}.safetensors").state_dict()
        for stage in ("single-frame", "multi-scale")
    )
    changed = {name for name in first if not torch.equal(first[name], second[name])}
    assert changed
    assert all(name.startswith("alpha.") for name in changed)
