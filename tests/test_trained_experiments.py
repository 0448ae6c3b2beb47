"""Experiments that train many networks: each once, on views that are not tested on."""

from pathlib import Path

import numpy as np
import pytest
import torch

from kpcn_core import exr
from tests.frames import random_frame
from tests.training_data import make_dataset, make_quiet_dataset
from training import config as configs
from training.dataset import Dataset
from training.errors import InvalidDataset
from training.experiments import blends, encoders, plots, sources, windows
from training.experiments.runs import Runs, Stopped, identity
from training.experiments.static_shots import measured
from training.experiments.subsets import apart, part

CPU = torch.device("cpu")
SMALL = """
base = "tiny"
[network]
channels = [4, 4, 4]
[batches]
size = 2
crop = 32
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "small.toml"
    path.write_text(SMALL)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("data")
    made = make_dataset(folder / "noisy"), make_quiet_dataset(folder / "quiet", range(4))
    return [str(dataset.folder) for dataset in made]


def test_views_to_test_on_are_those_that_nothing_learns_from(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data", range(6))
    learned, tests = apart(dataset, 3)
    assert [view.seed for view in learned] == [1, 2, 3]
    assert [view.seed for view in tests] == [0, 4, 5]
    folder = part(dataset, learned[:2], tmp_path / "part" / "data")
    found = Dataset(folder)
    assert [view.seed for view in found.training] == [1, 2]
    assert not found.validation
    assert found.manifest.recipe == dataset.manifest.recipe
    with pytest.raises(InvalidDataset, match="too few to test on 6"):
        apart(dataset, 6)


def test_nothing_is_trained_twice_and_a_stopped_training_goes_on(
    data: list[str], config: Path, tmp_path: Path
) -> None:
    loaded, folders = configs.load(str(config)), [Path(data[0])]
    calls: list[int] = []

    def runs(limit: int) -> Runs:
        calls.clear()
        return Runs(tmp_path, CPU, lambda: calls.append(0) or len(calls) > limit)  # type: ignore[func-returns-value]

    with pytest.raises(Stopped):
        runs(1).train("net", loaded, folders, 3)
    made = runs(99).train("net", loaded, folders, 3)
    trained = made.checkpoint.stat().st_mtime_ns
    assert runs(99).train("net", loaded, folders, 3) == made
    assert not calls
    assert made.checkpoint.stat().st_mtime_ns == trained
    assert identity(loaded, folders, 3) != identity(loaded, folders, 4)
    assert identity(loaded, folders, 3) != identity(loaded, [Path(data[1])], 3)


def test_sources_and_encoders_share_their_trainings(
    data: list[str], config: Path, tmp_path: Path
) -> None:
    exr.write_frame(tmp_path / "room_8.exr", random_frame(32, 48, 0))
    exr.write_frame(tmp_path / "room_reference.exr", random_frame(32, 48, 1))
    common = [
        "--data", *data, "--runs", str(tmp_path / "runs"), "--config", str(config), "--steps", "1",
        "--tests", "2", "--spp", "2", "--device", "cpu",
    ]  # fmt: skip
    public = ["--frames", str(tmp_path), "--scenes", "room"]
    sources.main([str(tmp_path / "sources"), *common, *public])
    table = (tmp_path / "sources" / "table.md").read_text()
    lines = ("noisy only", "quiet only", "both", "both, encoders", "both, encoders that read all")
    assert all(f"| {line} " in table for line in lines)
    assert len(list((tmp_path / "runs").iterdir())) == len(lines)
    more = ["--sizes", "1", "--adaptation-steps", "1"]
    encoders.main([str(tmp_path / "encoders"), *common, *more])
    # Of one view and of both of them an encoder each, and from scratch that of one.
    assert len(list((tmp_path / "runs").iterdir())) == len(lines) + 3
    for name in ("sources", "encoders"):
        assert (tmp_path / name / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_an_adapted_network_differs_in_its_new_encoder_alone(
    data: list[str], config: Path, tmp_path: Path
) -> None:
    loaded = sources.shared(configs.load(str(config)))
    runs = Runs(tmp_path, CPU, lambda: False)
    before = runs.train("before", loaded, [Path(data[0])], 1)
    after = encoders.adapted(runs, loaded, before, "quiet", Path(data[1]), 2)
    old, new = (run.network().state_dict() for run in (before, after))
    assert all(torch.equal(new[name], value) for name, value in old.items())
    assert {name for name in new if name not in old} == {
        name for name in new if name.startswith("encoders.quiet.")
    }


def test_windows_are_measured_in_every_way(data: list[str], config: Path, tmp_path: Path) -> None:
    windows.main(
        [
            str(tmp_path / "windows"), "--data", data[0], "--moving", data[0], "--config",
            str(config), "--steps", "1", "--window-steps", "1", "--tests", "1", "--spp", "4",
            "--reach", "1", "--device", "cpu",
        ]
    )  # fmt: skip
    table = (tmp_path / "windows" / "table.md").read_text()
    assert table.count(f"| {windows.BOTH} ") == 2
    assert table.count(f"| {windows.RDP} ") == 2


def test_the_nearest_blend_is_the_one_that_was_made() -> None:
    generator = np.random.default_rng(0)
    denoised, noisy = generator.random((2, 3, 3, 8, 8), np.float32)
    made = denoised * np.float32(0.7) + noisy * np.float32(0.3)
    assert blends.nearest_part(made, denoised, noisy) == pytest.approx(0.3, abs=1e-6)
    assert blends.nearest_part(denoised, denoised, noisy) == 0


def test_outliers_are_told_from_even_noise_whatever_its_size() -> None:
    generator = np.random.default_rng(0)
    clean = np.full((3, 32, 32), 0.5, np.float32)
    even = clean + generator.normal(size=(8, 3, 32, 32)).astype(np.float32)
    fireflies = even + 30 * (generator.random(even.shape, np.float32) > 0.998)
    assert blends.outliers(even, clean) == pytest.approx(4.9, abs=0.5)
    assert blends.outliers(3 * even, clean) == pytest.approx(blends.outliers(even, clean), rel=1e-3)
    assert blends.outliers(fireflies, clean) > 3 * blends.outliers(even, clean)


def test_blends_are_compared_with_every_lambda() -> None:
    generator = np.random.default_rng(0)
    clean = np.full((3, 16, 16), 0.5, np.float32)
    noise = generator.normal(size=(4, 3, 16, 16)).astype(np.float32)
    noisy, denoised = clean + noise, clean + 0.1 * noise
    slopes = {slope: denoised + np.float32(slope / 20) * noise for slope in (1.0, 4.0)}
    found = blends.points("room", slopes, noisy, clean)
    assert len(found) == len(slopes) + len(blends.PARTS) + 1
    (nearest,) = [point for point in found if point.way == blends.NEAREST]
    # Noise of the same shape: the nearest blend is the same image.
    (same,) = [point for point in found if (point.way, point.setting) == (blends.LAMBDA, 4.0)]
    assert nearest.row.variance == pytest.approx(same.row.variance, rel=1e-3)
    assert "λ = 4" in blends.table("room", found)
    assert len(blends.panels({"room": found})) == 3


def test_noise_is_variance_and_blur_is_bias() -> None:
    generator = np.random.default_rng(0)
    clean = np.full((3, 32, 32), 0.5, np.float32)
    noise = [clean + 0.1 * generator.normal(size=clean.shape).astype(np.float32) for _ in range(8)]
    noisy, shifted = (measured("", "", images, clean) for images in (noise, [clean + 0.1] * 8))
    expected = 0.01 / (0.25 + 0.01)
    assert noisy.variance == pytest.approx(expected, rel=0.05)
    assert abs(noisy.bias) < 0.05 * expected
    assert shifted.bias == pytest.approx(expected, rel=0.01)
    assert shifted.variance == pytest.approx(0, abs=1e-9)


def test_a_plot_has_a_panel_for_each_diagram(tmp_path: Path) -> None:
    panel = plots.Panel("title", ("x", "y"), {"curve": [(1, 2), (10, 3)]}, "x")
    for count in (1, 2):
        plots.draw(tmp_path / f"{count}.png", *[panel] * count)
    one, two = ((tmp_path / f"{count}.png").read_bytes()[16:20] for count in (1, 2))
    assert int.from_bytes(two, "big") == pytest.approx(2 * int.from_bytes(one, "big"), abs=2)
