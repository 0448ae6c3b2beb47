"""`kpcn adaptive`, from a scene file to an image, interrupted and continued."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.testing import assert_allclose, assert_array_equal

from kpcn_core import exr, weights
from kpcn_core.cli.adaptive_options import Duration
from kpcn_core.cli.main import main
from kpcn_core.frame import Frame, Window
from kpcn_core.layer import Channel
from tests.networks import random_network, random_predictor
from tests.test_command import kpcn_render
from tests.test_render import CROP, HEIGHT, SCENE, WIDTH

SIZE = f"{WIDTH}x{HEIGHT}"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "random.safetensors"
    weights.save(path, random_network(), {"steps": "0"})
    weights.save(path.with_stem("random-error"), random_predictor(), {"steps": "0"})
    return path


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.xml"
    path.write_text(SCENE.format(x=0, film=""))
    return path


def words(model: Path, output: Path, *more: object, guide: str = "variance") -> list[str]:
    named = {"--guide": guide, "--model": model, "--device": "cpu", "-o": output}
    flat = [word for pair in named.items() for word in pair]
    return list(map(str, ["adaptive", *flat, *more]))


def kpcn(*given: str) -> Result:
    return CliRunner().invoke(main, list(given), catch_exceptions=False)


def failed(*given: str) -> str:
    result = kpcn(*given)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def log(output: Path) -> Iterator[dict[str, Any]]:
    yield from map(json.loads, output.with_suffix(".log.jsonl").read_text().splitlines())


def test_a_scene_becomes_an_image_with_its_maps(scene: Path, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.exr"
    result = kpcn(*words(model, output, scene, "--budget", 40, "-D", "grey=0.25"))
    assert result.exit_code == 0, result.stderr
    said = result.stdout.splitlines()
    assert [line[:16] for line in said] == [
        "pass 1: 16.0 spp",
        "pass 2: 32.0 spp",
        "pass 3: 40.0 spp",
    ]
    assert "done: the budget is spent" in said[-1]
    names = [Channel(0, name) for name in ("samples.Y", "error.Y", "sampleCount.Y", "noisy.R")]
    samples, error, counts, _ = exr.read_channels(output, names)
    assert samples.sum() == 8 * HEIGHT * WIDTH
    assert counts.sum() == 40 * HEIGHT * WIDTH
    assert error.mean() == pytest.approx(list(log(output))[-1]["error"], rel=1e-5)
    metadata = exr.read(output).metadata
    assert (metadata["guide"], metadata["passes"], metadata["scene"]) == ("variance", 3, scene.name)


def test_a_crop_window_becomes_the_data_window(model: Path, tmp_path: Path) -> None:
    path, output = tmp_path / "crop.xml", tmp_path / "out.exr"
    path.write_text(SCENE.format(x=0, film=CROP))
    assert kpcn(*words(model, output, path, "--budget", 4)).exit_code == 0
    frame = exr.read(output)
    assert frame.data == Window(3, 2, 9, 7)
    assert frame.display == Window(0, 0, WIDTH, HEIGHT)


def test_a_reference_measures_passes_and_guides(scene: Path, model: Path, tmp_path: Path) -> None:
    reference, output = tmp_path / "reference.exr", tmp_path / "out.exr"
    arguments = ["render", str(scene), "-o", str(reference), "--spp", "64"]
    assert kpcn(*arguments).exit_code == 0
    more = (scene, "--budget", 8, "--initial", 4, "--reference", reference)
    assert kpcn(*words(model, output, *more, guide="true-smape")).exit_code == 0
    for line in log(output):
        assert line["error"] == pytest.approx(line["metrics"]["smape"], rel=1e-4)


def test_a_reference_of_another_size_is_an_error_at_once(
    scene: Path, model: Path, tmp_path: Path
) -> None:
    reference = tmp_path / "reference.exr"
    exr.write_frame(reference, Frame({"color": np.ones((3, 4, 5), np.float32)}))
    more = (scene, "--budget", 8, "--reference", reference)
    line = failed(*words(model, tmp_path / "out.exr", *more))
    assert f"the reference is 5x4 pixels; {SIZE} are rendered" in line


def started(output: Path, *given: str) -> subprocess.Popen[str]:
    """A run in a process of its own that has done two passes or more."""
    process = subprocess.Popen(
        [sys.executable, "-m", "kpcn_core", *given], stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None:
        if output.with_suffix(".log.jsonl").is_file() and len(list(log(output))) >= 2:
            return process
        time.sleep(0.01)
    raise AssertionError(process.communicate()[1])


@pytest.mark.parametrize("guide", ["smape", "variance"])
def test_a_killed_render_resumes_to_the_same_image(
    scene: Path, model: Path, tmp_path: Path, guide: str
) -> None:
    output, whole = tmp_path / "killed.exr", tmp_path / "whole.exr"
    process = started(output, *words(model, output, scene, "--budget", 1 << 20, guide=guide))
    process.kill()
    process.communicate()
    budget = 16 << len(list(log(output)))  # one pass more than the log has
    for path, more in ((output, ["--resume"]), (whole, [])):
        result = kpcn(*words(model, path, scene, "--budget", budget, *more, guide=guide))
        assert result.exit_code == 0, result.stderr
    found, expected = exr.read(output), exr.read(whole)
    assert found.metadata["samplesPerPixel"] == budget
    for aov, pixels in expected.aovs.items():
        assert_array_equal(found[aov], pixels)


def test_ctrl_c_leaves_the_best_image_so_far(scene: Path, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.exr"
    process = started(output, *words(model, output, scene, "--budget", 1 << 20))
    process.send_signal(signal.SIGINT)
    message = process.communicate()[1]
    assert process.returncode == 130, message
    assert message == f"Interrupted. {output} is the best so far. Continue with --resume.\n"
    budget = round(float(exr.read(output).metadata["samplesPerPixel"]))
    result = kpcn(*words(model, output, scene, "--budget", budget, "--resume"))
    assert "complete already" in result.stdout


def test_a_command_renders_what_mitsuba_renders_here(
    scene: Path, model: Path, tmp_path: Path
) -> None:
    here, there = tmp_path / "here.exr", tmp_path / "there.exr"
    command = ("--renderer", "command", "--size", SIZE, "--render-command", kpcn_render(scene))
    budget = ("--budget", 8, "--initial", 4, "--floor", 1)
    assert kpcn(*words(model, here, scene, *budget)).exit_code == 0
    assert kpcn(*words(model, there, *command, *budget)).exit_code == 0
    first, second = exr.read(here), exr.read(there)
    assert_array_equal(first["sample_count"], second["sample_count"])
    assert_allclose(first["color"], second["color"], rtol=1e-3, atol=1e-5)


def test_a_command_that_fails_keeps_what_there_was(
    scene: Path, model: Path, tmp_path: Path
) -> None:
    output, licence = tmp_path / "out.exr", tmp_path / "licence"
    check = f'test {{pass}} -lt 1 -o -e {licence} || exit 9; exec "$@"'
    command = f"sh -c '{check}' sh {kpcn_render(scene)}"
    more = ("--renderer", "command", "--size", SIZE, "--render-command", command)
    line = failed(*words(model, output, *more, "--budget", 32))
    assert "exit code 9" in line
    assert exr.read(output).metadata["samplesPerPixel"] == 16
    licence.touch()
    assert kpcn(*words(model, output, *more, "--budget", 32, "--resume")).exit_code == 0
    assert exr.read(output).metadata["samplesPerPixel"] == 32


def test_resuming_nothing_starts_from_the_beginning(
    scene: Path, model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.exr"
    result = kpcn(*words(model, output, scene, "--budget", 2, "--resume"))
    assert result.exit_code == 0
    assert "no such file; starting from the beginning" in result.stderr
    assert output.is_file()


def test_nothing_is_replaced_unless_asked(scene: Path, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.exr"
    output.write_text("precious")
    assert "exists already" in failed(*words(model, output, scene, "--budget", 2))
    assert output.read_text() == "precious"
    assert kpcn(*words(model, output, scene, "--budget", 2, "--overwrite")).exit_code == 0


def test_another_scene_does_not_resume(scene: Path, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.exr"
    assert kpcn(*words(model, output, scene, "--budget", 2)).exit_code == 0
    scene.write_text(SCENE.format(x=1, film=""))
    line = failed(*words(model, output, scene, "--budget", 4, "--resume"))
    assert "made with other settings: scene was" in line


def test_a_guide_that_the_weights_do_not_predict_says_so(
    scene: Path, model: Path, tmp_path: Path
) -> None:
    blind = tmp_path / "blind.safetensors"
    shutil.copy(model, blind)
    line = failed(*words(blind, tmp_path / "out.exr", scene, "--budget", 2, guide="smape"))
    assert "needs a network that predicts its own smape" in line


def test_a_predicted_error_ends_a_run(scene: Path, model: Path, tmp_path: Path) -> None:
    output, more = tmp_path / "out.exr", ("--budget", 64, "--initial", 4, "--target-error", 9)
    result = kpcn(*words(model, output, scene, *more, guide="dssim"))
    assert "dssim" in result.stdout
    assert "done: the error is small" in result.stdout
    (line,) = log(output)
    assert (line["spp"], line["guide"], line["stop"]) == (4, "dssim", "target")


def test_another_predictor_does_not_resume(scene: Path, model: Path, tmp_path: Path) -> None:
    mine, output = tmp_path / "mine.safetensors", tmp_path / "out.exr"
    shutil.copy(model, mine)
    for metrics in ((), ("smape",)):
        weights.save(mine.with_stem("mine-error"), random_predictor(*metrics), {})
        command = words(mine, output, scene, "--budget", 2, "--initial", 2, guide="smape")
        if not metrics:
            assert kpcn(*command).exit_code == 0
    assert "predictor was 'mine-error" in failed(*command, "--resume")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "Name the SCENE to render"),
        (["--renderer", "command"], "needs --render-command"),
        (["--renderer", "command", "--render-command", "a {map} {output}"], "command needs --size"),
        (["--renderer", "cycles", "scene.blend"], "--renderer cycles needs --size"),
        (["--size", "1920"], "'1920' is not a size"),
        (["--time", "soon"], "'soon' is not a time"),
        (["--map-spp", "1,x"], "'1,x' is no list of numbers"),
        (["--guide", "psnr"], "'psnr' is not one of"),
        (["--guide", "uniform", "--target-error", "0.1"], "uniform measures no error"),
    ],
)
def test_wrong_use_is_explained(model: Path, tmp_path: Path, more: list[str], message: str) -> None:
    result = kpcn(*words(model, tmp_path / "out.exr", "--budget", 2, *more))
    assert result.exit_code == 2
    assert message in result.stderr
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1.5m", 90), ("2h", 7200), ("3s", 3)])
def test_times(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds
