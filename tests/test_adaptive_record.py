"""What an adaptive run leaves on disk, and that a killed one continues to the same bits."""

import json
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from kpcn_core import exr
from kpcn_core.adaptive import checkpoint, log
from kpcn_core.adaptive.record import Record
from kpcn_core.errors import InvalidCheckpoint, UnwritableFile
from kpcn_core.frame import Window
from kpcn_core.layer import Channel
from kpcn_core.metrics import METRICS
from tests.adaptive_runs import PIXELS, PLACED, record, recorded, run, same

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    recorded(folder)
    return folder


def channels(path: Path) -> dict[str, np.ndarray]:
    names = exr.contents(path).parts[0].channels
    return dict(zip(names, exr.read_channels(path, [Channel(0, n) for n in names]), strict=True))


def lines(folder: Path) -> list[dict[str, object]]:
    text = record(folder).log.read_text()
    return [{**json.loads(line), "seconds": 0} for line in text.splitlines()]


def test_the_image_has_the_denoised_and_the_noisy_beauty_and_both_maps(tmp_path: Path) -> None:
    *_, last = recorded(tmp_path)
    path = record(tmp_path).image
    frame = exr.read(path)
    assert_array_equal(frame["color"], last.denoised["color"])
    assert_array_equal(exr.read(path, layers={"color": "noisy"})["color"], last.noisy["color"])
    for aov in last.noisy.aovs.keys() - {"color"}:
        assert_array_equal(frame[aov], last.noisy[aov])
    found = channels(path)
    assert_array_equal(found["error.Y"], last.error[0])
    assert_array_equal(found["samples.Y"], last.samples)
    assert frame.data == Window(3, 2, 32, 24)
    assert frame.display == Window(0, 0, 40, 30)
    assert frame.metadata["scene"] == "noisy"
    assert frame.metadata["samplesPerPixel"] == 100
    assert frame.metadata["passes"] == 4


def test_the_log_has_a_line_for_each_pass(whole: Path) -> None:
    found = lines(whole)
    assert [line["spp"] for line in found] == [16, 32, 64, 100]
    assert [line["samples"] for line in found] == [spp * PIXELS for spp in (16, 32, 64, 100)]
    assert [line["stop"] for line in found] == [None, None, None, "budget"]
    assert {line["guide"] for line in found} == {"variance"}
    assert all(line["least"] <= line["spp"] <= line["most"] for line in found)  # type: ignore[operator]


def test_with_a_reference_every_pass_is_measured(tmp_path: Path) -> None:
    steps = list(run(32))
    files = Record(tmp_path / "a.exr", "variance", {}, {}, steps[-1].denoised["color"])
    list(files.steps(steps, PLACED))
    first, last = (json.loads(line)["metrics"] for line in files.log.read_text().splitlines())
    assert first.keys() == METRICS.keys()
    assert first["smape"] > last["smape"] == 0


def test_a_checkpoint_holds_every_bit(tmp_path: Path) -> None:
    step = next(run())
    checkpoint.save(tmp_path / "c", step, {"seed": 5, "floor": 0.1})
    found = checkpoint.load(tmp_path / "c", {"seed": 5, "floor": 0.1})
    assert same(step, found)
    assert found.seconds == step.seconds
    assert found.accumulation.source == step.accumulation.source


def test_a_checkpoint_of_other_settings_is_refused(whole: Path) -> None:
    files = record(whole)
    other = Record(files.image, "uniform", {"seed": 6})
    with pytest.raises(InvalidCheckpoint, match=r"guide was 'variance', is 'uniform'; seed was 5"):
        other.resumed()


@pytest.mark.parametrize("cut", [0, 7, 500, -1])
def test_a_damaged_checkpoint_is_an_error(whole: Path, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "cut"
    path.write_bytes(record(whole).checkpoint.read_bytes()[:cut])
    with pytest.raises(InvalidCheckpoint, match=r"cut: not a readable checkpoint"):
        checkpoint.load(path, record(whole).identity)


def test_other_files_are_no_checkpoint(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3)}, tmp_path / "weights", {"format": "kpcn-1"})
    with pytest.raises(InvalidCheckpoint, match="format 'kpcn-adaptive-1'; found 'kpcn-1'"):
        checkpoint.load(tmp_path / "weights", {})


def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path: Path) -> None:
    assert record(tmp_path).resumed() is None


def test_nothing_is_replaced_unless_asked(whole: Path) -> None:
    with pytest.raises(UnwritableFile, match=r"image\.exr: exists already"):
        record(whole).check_writable(overwrite=False)
    record(whole).check_writable(overwrite=True)


def test_a_larger_budget_continues_a_finished_run(tmp_path: Path) -> None:
    recorded(tmp_path, budget=64)
    recorded(tmp_path, budget=100, resume=True)
    assert [line["spp"] for line in lines(tmp_path)] == [16, 32, 64, 100]


def test_a_new_run_forgets_the_old_one(tmp_path: Path) -> None:
    recorded(tmp_path, budget=64)
    steps = record(tmp_path).steps(run(64), PLACED)
    next(steps)
    assert len(lines(tmp_path)) == 1
    resumed = record(tmp_path).resumed()
    assert resumed is not None
    assert resumed.passes == 1


def test_ctrl_c_waits_until_the_files_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path, entry: Mapping[str, object]) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(log, "append", interrupted)
    with pytest.raises(KeyboardInterrupt):
        recorded(tmp_path)
    state = record(tmp_path).resumed()
    assert state is not None
    assert state.passes == 1


def killed(folder: Path, where: str, calls: int) -> None:
    words = [sys.executable, "-m", "tests.adaptive_runs", str(folder), where, str(calls)]
    run = subprocess.run(words, cwd=ROOT, check=False)
    assert run.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("where", "passes", "kept"),
    [("render", 1, 0), ("render", 3, 2), ("image", 2, 1), ("log", 4, 3)],
)
def test_a_killed_run_continues_to_the_same_bits(
    whole: Path, tmp_path: Path, where: str, passes: int, kept: int
) -> None:
    killed(tmp_path, where, passes)
    state = record(tmp_path).resumed()
    assert (state.passes if state else 0) == kept
    recorded(tmp_path, resume=True)
    expected, found = channels(record(whole).image), channels(record(tmp_path).image)
    assert expected.keys() == found.keys()
    for name, plane in expected.items():
        assert_array_equal(found[name], plane)
    assert lines(tmp_path) == lines(whole)
    first, second = record(whole).resumed(), record(tmp_path).resumed()
    assert first is not None
    assert second is not None
    assert same(first, second)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_torn_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text('{"pass": 1}\n{"pass": 2}\n{"pa')
    log.trim(path, 2)
    assert path.read_text() == '{"pass": 1}\n{"pass": 2}\n'
