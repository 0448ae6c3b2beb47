"""Renderers behind a command line: Mitsuba in a child process, and children that misbehave."""

import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from kpcn_core import exr
from kpcn_core.errors import (
    InvalidPixels,
    MissingAov,
    RenderFailed,
    UnknownName,
    UnreadableFile,
)
from kpcn_core.frame import Frame, Window
from kpcn_core.renderers.command import CommandRenderer
from kpcn_core.renderers.mitsuba import MitsubaRenderer
from kpcn_core.renderers.rendered import accumulated
from tests.frames import random_frame
from tests.test_render import CROP, HEIGHT, SCENE, WIDTH

PYTHON = shlex.quote(sys.executable)
ROOT = Path(__file__).parent.parent
SIZE = (HEIGHT, WIDTH)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.xml"
    path.write_text(SCENE.format(x=0, film=""))
    return path


def kpcn_render(scene: Path) -> str:
    words = "-m kpcn_core render {} -o {{output}} --spp-map {{map}} --seed {{seed}}"
    return f"{PYTHON} {words.format(shlex.quote(str(scene)))}"


def script(tmp_path: Path, code: str) -> str:
    """A command that runs some Python with the paths of map and output."""
    path = tmp_path / "renderer.py"
    path.write_text(f"import sys, os, time\nmap, output = sys.argv[1:3]\n{code}\n")
    return f"{PYTHON} {shlex.quote(str(path))} {{map}} {{output}}"


def copying(tmp_path: Path, frame: Frame) -> str:
    """A command whose image is always this frame."""
    image = tmp_path / "image.exr"
    exr.write_frame(image, frame)
    return script(tmp_path, f"import shutil; shutil.copy({str(image)!r}, output)")


def kept_folder() -> list[Path]:
    return sorted(Path(tempfile.gettempdir()).glob("kpcn-*"))


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))


def test_mitsuba_in_a_child_process_gives_what_it_gives_here(scene: Path) -> None:
    samples = np.random.default_rng(0).integers(0, 9, SIZE).astype(np.uint32)
    child = CommandRenderer(kpcn_render(scene), SIZE).render(samples, 7)
    here = MitsubaRenderer.from_file(scene).render(samples, 7)
    assert_array_equal(child.count, samples)
    assert child.mean.keys() == here.mean.keys()
    for aov in here.mean:
        assert_allclose(child.mean[aov], here.mean[aov], rtol=1e-6, atol=1e-7)
        known = np.broadcast_to(samples > 1, here.deviation[aov].shape)
        assert_allclose(
            child.deviation[aov][known], here.deviation[aov][known], rtol=1e-5, atol=1e-6
        )
    assert_array_equal(child.closest["depth"], here.closest["depth"])
    assert not kept_folder()


def test_masks_of_many_renders_merge_to_the_counts(scene: Path) -> None:
    samples = np.random.default_rng(1).integers(0, 13, SIZE).astype(np.uint32)
    program = shlex.quote(str(ROOT / "tests" / "mask_renderer.py"))
    command = f"{PYTHON} {program} {shlex.quote(str(scene))} {{map}} {{output}} {{seed}} {{spp}}"
    renderer = CommandRenderer(command, SIZE, "masks", sizes=(2, 8))
    seen: list[tuple[int, int]] = []
    found = renderer.render(samples, 7, lambda *at: seen.append(at))
    total = int(samples.sum())
    assert int(found.count.sum()) == pytest.approx(total, abs=2)
    assert (np.abs(found.count.astype(int) - samples) < 2).all()
    assert len(seen) == 4  # 8, 2, 2, 2
    assert seen[-1][0] == int(found.count.sum())
    reference = MitsubaRenderer.from_file(scene).render(256, 3).mean["color"]
    assert abs(found.mean["color"][:, found.count > 0].mean() - reference.mean()) < 0.1


def test_a_crop_is_placed_on_its_film(tmp_path: Path) -> None:
    path = tmp_path / "crop.xml"
    path.write_text(SCENE.format(x=0, film=CROP))
    renderer = CommandRenderer(kpcn_render(path), (7, 9))
    renderer.render(1, 0)
    assert renderer.origin == (3, 2)
    assert renderer.film_size == SIZE


def test_every_placeholder_is_filled_in(tmp_path: Path) -> None:
    image = tmp_path / "image.exr"
    exr.write_frame(image, random_frame(2, 3))
    said = tmp_path / "said.txt"
    command = script(
        tmp_path,
        f"open({str(said)!r}, 'a').write(' '.join(sys.argv[3:]) + '\\n')\n"
        f"import shutil; shutil.copy({str(image)!r}, output)",
    )
    words = "{seed} {pass} {render} {spp} {min} {max} {width} {height} '{\"a\":1}' '{spp} a'"
    renderer = CommandRenderer(f"{command} {words}", (2, 3), passes=4)
    renderer.render(np.array([[1, 2, 3], [4, 5, 9]], np.uint32), 11)
    renderer.render(6, 12)
    assert said.read_text().splitlines() == [
        '11 4 0 4 1 9 3 2 {"a":1} 4 a',
        '12 5 0 6 6 6 3 2 {"a":1} 6 a',
    ]


def test_counts_in_the_image_are_believed(tmp_path: Path) -> None:
    counts = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    frame = random_frame(2, 3).with_aovs(sample_count=counts)
    found = CommandRenderer(copying(tmp_path, frame), (2, 3)).render(4, 0)
    assert_array_equal(found.count, counts[0])


def test_an_image_without_variance_gives_none(tmp_path: Path) -> None:
    color = random_frame(2, 3)["color"]
    command = copying(tmp_path, Frame({"color": color}))
    found = CommandRenderer(command, (2, 3), source="generic").render(4, 0)
    both = found.merged(found)
    assert both.frame().aovs.keys() == {"color", "sample_count"}
    assert both.frame().source == "generic"
    assert_allclose(both.mean["color"], color)


def test_layers_can_be_named(tmp_path: Path) -> None:
    frame = random_frame(2, 3)
    renderer = CommandRenderer(copying(tmp_path, frame), (2, 3), layers={"color": "albedo"})
    assert_allclose(renderer.render(4, 0).mean["color"], frame["albedo"])


def failure(kind: type[Exception], command: str, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        CommandRenderer(command, (2, 3), **options).render(4, 0)
    return str(caught.value)


def test_a_command_that_fails_says_what_it_printed(tmp_path: Path) -> None:
    code = "print('loading'); print('no licence', file=sys.stderr); sys.exit(3)"
    message = failure(RenderFailed, script(tmp_path, code))
    assert "ended with exit code 3" in message
    assert "no licence" in message
    assert "renderer.py" in message


def test_a_command_that_crashes_names_the_signal(tmp_path: Path) -> None:
    assert "SIGKILL" in failure(RenderFailed, script(tmp_path, "os.kill(os.getpid(), 9)"))


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    code = (
        f"import subprocess; child = subprocess.Popen(['sleep', '60'])\n"
        f"open({str(alive)!r}, 'w').write(str(child.pid)); child.wait()"
    )
    message = failure(RenderFailed, script(tmp_path, code), seconds=2.0)
    assert "took longer than 2 s" in message
    while runs(int(alive.read_text())):
        time.sleep(0.01)  # or the test's own time is up


def runs(process: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False


def test_a_command_that_does_not_exist(tmp_path: Path) -> None:
    message = failure(RenderFailed, "no-such-renderer {map} {output}")
    assert "cannot be started" in message


def test_a_command_that_leaves_no_image(tmp_path: Path) -> None:
    assert "left no image" in failure(RenderFailed, script(tmp_path, "pass"))


def test_a_command_that_leaves_half_an_image(tmp_path: Path) -> None:
    command = copying(tmp_path, random_frame(2, 3))
    path = tmp_path / "image.exr"
    path.write_bytes(path.read_bytes()[:-40])
    failure(UnreadableFile, command)
    (folder,) = kept_folder()
    assert (folder / "output.exr").is_file()


def test_an_image_of_another_size(tmp_path: Path) -> None:
    message = failure(InvalidPixels, copying(tmp_path, random_frame(3, 2)))
    assert "expected 3x2 pixels; the renderer wrote 2x3" in message


@pytest.mark.parametrize(("aov", "value"), [("color", np.nan), ("albedo_mse", np.inf)])
def test_pixels_that_are_not_finite(tmp_path: Path, aov: str, value: float) -> None:
    frame = random_frame(2, 3)
    pixels = frame[aov].copy()
    pixels[1, 0, 2] = value
    message = failure(InvalidPixels, copying(tmp_path, frame.with_aovs(**{aov: pixels})))
    assert "1 of 6 pixels of" in message


@pytest.mark.parametrize("value", [-1, np.nan])
def test_a_sample_count_that_is_none(tmp_path: Path, value: float) -> None:
    counts = np.full((1, 2, 3), 4, np.float32)
    counts[0, 1, 1] = value
    frame = random_frame(2, 3).with_aovs(sample_count=counts)
    assert "sample count has negative" in failure(InvalidPixels, copying(tmp_path, frame))


def test_pixels_without_samples_may_hold_anything() -> None:
    frame = random_frame(2, 3)
    color, asked = frame["color"].copy(), np.full((2, 3), 4, np.uint32)
    color[:, 0, 0], asked[0, 0] = np.nan, 0
    found = accumulated(frame.with_aovs(color=color), asked)
    assert not found.mean["color"][:, 0, 0].any()
    assert found.count[0, 0] == 0


def test_passes_with_other_layers_do_not_merge() -> None:
    asked = np.full((2, 3), 4, np.uint32)
    frame = random_frame(2, 3)
    some = Frame({aov: frame[aov] for aov in ("color", "color_mse")})
    with pytest.raises(MissingAov, match="albedo, alpha, diffuse, normal, specular is in only one"):
        accumulated(frame, asked).merged(accumulated(some, asked))


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("render {output}", r"it needs \{map\}, \{output\}"),
        ("render {map} {output} {frame}", r"placeholders \{frame\}, \{map\}, \{output\}"),
        ("render '{map} {output}", "cannot be split into words"),
    ],
)
def test_a_template_that_lacks_something(command: str, message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        CommandRenderer(command, (2, 3))


def test_without_a_map_none_is_needed() -> None:
    CommandRenderer("render {output} {spp}", (2, 3), "even")


def test_an_unknown_encoding() -> None:
    with pytest.raises(UnknownName, match=r"called 'dots'\. There are counts, multiplier"):
        CommandRenderer("a {map} {output}", (2, 3), "dots")


def test_a_frame_goes_to_an_accumulation_and_back() -> None:
    counts = np.full((1, 2, 3), 8, np.float32)
    depth = np.array([[[1, 2, np.inf], [4, 5, 6]]], np.float32)
    motion = np.ones((2, 2, 3), np.float32)
    frame = random_frame(2, 3).with_aovs(sample_count=counts, depth=depth, forward=motion)
    again = accumulated(frame, counts[0].astype(np.uint32)).frame()
    assert again.aovs.keys() == frame.aovs.keys()
    for aov, pixels in frame.aovs.items():
        assert_allclose(again[aov], pixels, rtol=1e-6)
    assert again.data == Window(0, 0, 3, 2)
