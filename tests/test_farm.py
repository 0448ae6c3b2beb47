"""A sequence as a job for a farm: a valid template, whose chunks give the same files."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kpcn_core import exr
from kpcn_core.cli.main import main
from kpcn_core.cli.progress_farm import ReportedLines
from kpcn_core.errors import KpcnError, MissingFrames, UnknownName, UnwritableFile
from kpcn_core.farm import FarmJob, range_text
from kpcn_core.sequence import numbers
from tests.frames import moving_frame
from tests.shots import Shot, make_shot

KPCN = Path(sys.executable).with_name("kpcn")


@pytest.fixture
def shot(tmp_path: Path) -> Shot:
    return make_shot(tmp_path)


def job(shot: Shot, **changes: Any) -> FarmJob:
    return FarmJob(**{"pattern": shot.noisy, "output": str(shot.folder / "c.####.exr"), **changes})


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([5], "5"),
        ([1, 2, 3], "1-3"),
        ([1, 2], "1-2"),
        ([1, 3, 5, 6, 7], "1-5:2,6-7"),
        ([1, 9], "1,9"),
        ([-5, -4, -3], "-5--3"),
        ([-3, 0, 3], "-3-3:3"),
    ],
)
def test_ranges_as_the_standard_writes_them(frames: list[int], expected: str) -> None:
    assert range_text(frames) == expected
    assert numbers(expected) == frames


def openjd(*words: str) -> str:
    pytest.importorskip("openjd.cli")
    command = [sys.executable, "-c", "from openjd.cli import main; main()", *words]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def write(shot: Shot, *options: str) -> Path:
    path = shot.folder / "job.json"
    output = str(shot.folder / "farm.####.exr")
    command = ["farm", shot.noisy, "-o", output, "--template", str(path), *options]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    return path


def test_chunks_give_the_same_bits_as_the_whole(shot: Shot) -> None:
    """With a window, so that every chunk reads beyond its borders."""
    for number, path in enumerate(shot.outputs("noisy")):
        exr.write_frame(path, moving_frame(24, 32, seed=number), overwrite=True)
    options = ("--model", shot.model, "--tile", "16", "--device", "cpu", "--window", "3")
    path = write(shot, "--chunk", "1", "--", *options)
    assert "passes validation" in openjd("check", str(path))
    parameters = ["-p", f"file://{path.with_name('job.values.json')}", "-p", f"Executable={KPCN}"]
    said = openjd("run", str(path), "--step", "Denoise", *parameters)
    assert "Chunks run: 3" in said
    assert "openjd_progress: 100.0" in said
    command = ["denoise", shot.noisy, "-o", str(shot.folder / "whole.####.exr"), *options]
    assert CliRunner().invoke(main, command).exit_code == 0
    for whole, chunk in zip(shot.outputs("whole"), shot.outputs("farm"), strict=True):
        assert whole.read_bytes() == chunk.read_bytes()


@pytest.mark.parametrize("frames", ["1-3", "1-3x2"])
def test_every_kind_of_range_is_a_valid_job(shot: Shot, frames: str) -> None:
    path = write(shot, "--frames", frames, "--gpu", "--memory", "4096")
    summary = openjd("summary", str(path), "-p", f"file://{path.with_name('job.values.json')}")
    assert f"Total tasks: {len(numbers(frames))}" in summary
    step = json.loads(path.read_text())["steps"][0]
    assert step["hostRequirements"]["amounts"] == [
        {"name": "amount.worker.memory", "min": 4096},
        {"name": "amount.worker.gpu", "min": 1},
    ]


@pytest.mark.parametrize(
    ("changes", "error", "expected"),
    [
        ({"frames": "1-9"}, MissingFrames, "6 of 9 frames are missing"),
        ({"pattern": "s_%V.####.exr"}, UnknownName, "a job for each view"),
        ({"options": ("--source", "{{Param.X}}")}, UnknownName, "two braces"),
        ({"output": "/nowhere/c.####.exr"}, UnwritableFile, "does not exist"),
        ({"output": "c.exr"}, UnknownName, "placeholder"),
        (
            {"output": "noisy.####.exr", "options": ("--overwrite", "--window", "3")},
            UnwritableFile,
            "would replace the input",
        ),
    ],
)
def test_what_cannot_be_a_job(
    shot: Shot, changes: dict[str, Any], error: type[KpcnError], expected: str
) -> None:
    if "output" in changes:
        changes = changes | {"output": str(shot.folder / changes["output"])}
    with pytest.raises(error, match=expected):
        job(shot, **changes).template()


def test_scattered_frames_beyond_what_a_parameter_holds(tmp_path: Path) -> None:
    for number in range(2000):
        if number % 7 in (1, 3, 4):
            (tmp_path / f"noisy.{number:04d}.exr").touch()
    pattern = str(tmp_path / "noisy.####.exr")
    with pytest.raises(UnknownName, match="Split the job"):
        FarmJob(pattern, str(tmp_path / "clean.####.exr")).template()


@pytest.mark.parametrize(
    ("options", "expected"),
    [(("--", "--tile", "many"), "neither auto"), (("--", "--frobnicate"), "No such option")],
)
def test_options_are_checked_before_a_machine_is_asked(
    shot: Shot, options: Sequence[str], expected: str
) -> None:
    path = shot.folder / "job.json"
    command = ["farm", shot.noisy, "-o", "c.####.exr", "--template", str(path), *options]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2
    assert expected in result.output
    assert not path.exists()


def test_a_template_is_replaced_on_request_only(shot: Shot) -> None:
    path = write(shot)
    output = str(shot.folder / "farm.####.exr")
    command = ["farm", shot.noisy, "-o", output, "--template", str(path)]
    assert "exists already" in CliRunner().invoke(main, command).output
    assert CliRunner().invoke(main, [*command, "--replace"]).exit_code == 0


def test_a_template_of_a_job_bundle_has_its_values_beside_it(shot: Shot) -> None:
    (shot.folder / "job").mkdir()
    output = str(shot.folder / "farm.####.exr")
    path = str(shot.folder / "job" / "template.json")
    result = CliRunner().invoke(main, ["farm", shot.noisy, "-o", output, "--template", path])
    assert result.exit_code == 0, result.output
    content = json.loads((shot.folder / "job" / "parameter_values.json").read_text())
    folders = {each["name"]: each["value"] for each in content["parameterValues"]}
    assert folders == dict.fromkeys(("InputDir", "OutputDir"), str(shot.folder.resolve()))


def reported(form: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    lines = ReportedLines(form, 2)
    lines.part(1, 2)
    lines.part(1, 2)
    lines.item("a.exr")
    lines.failed("b.exr: broken.\nIndeed.")
    lines.reach(2, "")
    return capsys.readouterr().out.splitlines()


def test_a_farm_reads_progress_and_failures(capsys: pytest.CaptureFixture[str]) -> None:
    assert reported("openjd", capsys) == [
        "openjd_progress: 25.0",
        "openjd_status: a.exr",
        "openjd_progress: 50.0",
        "openjd_fail: b.exr: broken. Indeed.",
        "openjd_progress: 100.0",
    ]


def test_programs_read_percentages(capsys: pytest.CaptureFixture[str]) -> None:
    assert reported("percent", capsys) == ["25%", "a.exr", "50%", "100%"]
