"""`kpcn render`, from scene files to EXR files."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.testing import assert_array_equal

from kpcn_core import exr
from kpcn_core.cli.main import main
from kpcn_core.frame import Window
from kpcn_core.renderers.mitsuba import mi
from tests.exr_files import save_exr

HEIGHT, WIDTH = 12, 16

SCENE = """
<scene version="3.0.0">
  <default name="grey" value="0.5"/>
  <integrator type="path"/>
  <sensor type="perspective">
    <transform name="to_world"><lookat origin="0,0,4" target="0,0,0" up="0,1,0"/></transform>
    <film type="hdrfilm">
      <integer name="width" value="16"/><integer name="height" value="12"/>
      <rfilter type="box"/>{film}
    </film>
  </sensor>
  <emitter type="constant"/>
  <shape type="sphere" id="ball">
    <point name="center" x="{x}" y="0" z="0"/><float name="radius" value="0.8"/>
    <bsdf type="diffuse"><rgb name="reflectance" value="$grey"/></bsdf>
  </shape>
</scene>"""
CROP = "".join(
    f'<integer name="crop_{name}" value="{value}"/>'
    for name, value in {"offset_x": 3, "offset_y": 2, "width": 9, "height": 7}.items()
)


def kpcn(*words: object) -> Result:
    return CliRunner().invoke(main, ["render", *map(str, words)], catch_exceptions=False)


def failed(*words: object) -> str:
    result = kpcn(*words)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.xml"
    path.write_text(SCENE.format(x=0, film=""))
    return path


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ball that moves to the right in three frames, rendered."""
    folder = tmp_path_factory.mktemp("shot")
    for number in (1, 2, 3):
        (folder / f"scene.{number:04}.xml").write_text(SCENE.format(x=0.2 * number, film=""))
    result = kpcn(folder / "scene.####.xml", "-o", folder / "noisy.####.exr", "--spp", 4)
    assert result.exit_code == 0, result.stderr
    return folder


def test_a_sequence_has_motion_where_there_is_a_neighbour(shot: Path) -> None:
    first, middle, last = (exr.read(shot / f"noisy.{number:04}.exr") for number in (1, 2, 3))
    assert "backward" not in first
    assert "forward" not in last
    for frame, aov, sign in (
        (first, "forward", 1), (middle, "forward", 1), (middle, "backward", -1),
        (last, "backward", -1),
    ):  # fmt: skip
        ball = np.isfinite(frame["depth"][0])
        assert (sign * frame[aov][0, ball] > 0.5).all()
        assert not frame[aov][:, ~ball].any()


def test_every_layer_is_there_and_says_what_made_it(shot: Path) -> None:
    frame = exr.read(shot / "noisy.0002.exr")
    twins = {f"{aov}_mse" for aov in ("color", "alpha", "albedo", "normal", "diffuse", "specular")}
    assert twins | {"color", "diffuse", "specular", "depth", "sample_count"} <= frame.aovs.keys()
    assert frame.source == "kpcn"
    assert frame.size == (HEIGHT, WIDTH)
    assert frame.metadata["scene"] == "scene.0002.xml"
    assert frame.metadata["samplesPerPixel"] == 4
    assert str(frame.metadata["renderer"]).startswith("Mitsuba 3.")


def test_frames_have_noise_of_their_own(shot: Path) -> None:
    first, second = (exr.read(shot / f"noisy.{number:04}.exr") for number in (1, 2))
    assert first.metadata["seed"] != second.metadata["seed"]


def test_some_frames_of_a_sequence_still_see_their_neighbours(shot: Path, tmp_path: Path) -> None:
    target = tmp_path / "one.####.exr"
    assert kpcn(shot / "scene.####.xml", "-o", target, "--frames", 2, "--spp", 4).exit_code == 0
    assert [path.name for path in tmp_path.glob("*.exr")] == ["one.0002.exr"]
    again, before = exr.read(tmp_path / "one.0002.exr"), exr.read(shot / "noisy.0002.exr")
    for aov, pixels in before.aovs.items():
        assert_array_equal(again[aov], pixels)


def test_parameters_reach_the_scene(scene: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.exr"
    assert kpcn(scene, "-o", target, "-D", "grey=0.25", "--spp", 1).exit_code == 0
    albedo = exr.read(target)["albedo"]
    assert_array_equal(np.unique(albedo), [0, 0.25])
    assert "unused parameters: - $gray=1" in failed(scene, "-o", tmp_path / "b.exr", "-D", "gray=1")
    assert not (tmp_path / "b.exr").exists()


def test_a_map_sets_the_samples_of_each_pixel(scene: Path, tmp_path: Path) -> None:
    wanted = np.random.default_rng(0).integers(0, 5, (HEIGHT, WIDTH)).astype(np.float32)
    path = save_exr(tmp_path / "map.exr", {"samples.Y": wanted})
    target = tmp_path / "out.exr"
    assert kpcn(scene, "-o", target, "--spp-map", path).exit_code == 0
    assert_array_equal(exr.read(target)["sample_count"][0], wanted)


def test_a_map_of_another_size_is_an_error(scene: Path, tmp_path: Path) -> None:
    path = save_exr(tmp_path / "map.exr", {"samples.Y": np.ones((3, 4), np.float32)})
    line = failed(scene, "-o", tmp_path / "out.exr", "--spp-map", path)
    assert "expected [12, 16] like the film; it is [3, 4]" in line
    assert not (tmp_path / "out.exr").exists()


def test_a_crop_window_becomes_the_data_window(tmp_path: Path) -> None:
    path, target = tmp_path / "crop.xml", tmp_path / "out.exr"
    path.write_text(SCENE.format(x=0, film=CROP))
    assert kpcn(path, "-o", target, "--spp", 1).exit_code == 0
    frame = exr.read(target)
    assert frame.data == Window(3, 2, 9, 7)
    assert frame.display == Window(0, 0, WIDTH, HEIGHT)


def test_nothing_is_replaced_unless_asked(scene: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.exr"
    target.write_text("precious")
    assert "exists already. Use --overwrite" in failed(scene, "-o", target, "--spp", 1)
    assert target.read_text() == "precious"
    assert kpcn(scene, "-o", target, "--spp", 1, "--overwrite").exit_code == 0
    assert exr.read(target).size == (HEIGHT, WIDTH)


def test_a_seed_repeats_and_another_does_not(scene: Path, tmp_path: Path) -> None:
    def color(seed: int) -> object:
        target = tmp_path / "out.exr"
        words = ("--spp", 2, "--seed", seed, "--overwrite")
        assert kpcn(scene, "-o", target, *words).exit_code == 0
        return exr.read(target)["color"].tolist()

    assert color(1) == color(1) != color(2)


def test_half_keeps_counts_and_motion_exact(shot: Path, tmp_path: Path) -> None:
    words = ("-o", tmp_path / "half.####.exr", "--frames", 2, "--spp", 4, "--half")
    assert kpcn(shot / "scene.####.xml", *words).exit_code == 0
    half, full = exr.read(tmp_path / "half.0002.exr"), exr.read(shot / "noisy.0002.exr")
    for aov in ("depth", "sample_count", "forward", "backward"):
        assert_array_equal(half[aov], full[aov])
    assert_array_equal(half["color"], full["color"].astype(np.float16))


def test_a_broken_scene_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "scene.xml"
    path.write_text("<scene")
    assert "scene.xml: Mitsuba cannot load it" in failed(path, "-o", tmp_path / "out.exr")


def test_a_missing_scene_is_one_line(tmp_path: Path) -> None:
    assert "no such file" in failed(tmp_path / "no.xml", "-o", tmp_path / "out.exr")


def in_a_new_process(before: str, *words: object, **environment: str) -> str:
    """The error of `kpcn render` in a Python that first runs something else."""
    script = f"import sys; {before}; from kpcn_core.cli.main import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", script, "render", *map(str, words)],
        capture_output=True, text=True, env={**os.environ, **environment}, check=False,
    )  # fmt: skip
    assert run.returncode == 1
    return run.stderr.splitlines()[-1]


def test_a_missing_mitsuba_is_one_line_with_the_fix(scene: Path, tmp_path: Path) -> None:
    line = in_a_new_process("sys.modules['mitsuba'] = None", scene, "-o", tmp_path / "out.exr")
    assert line == (
        "Error: Rendering needs Mitsuba 3, which is not installed. "
        "Run: pip install 'kpcn[mitsuba]'."
    )


@pytest.mark.skipif(mi.variant().startswith("cuda"), reason="a GPU needs no LLVM")
@pytest.mark.parametrize("content", [None, "no library"])
def test_a_missing_llvm_is_one_line_with_the_fix(
    scene: Path, tmp_path: Path, content: str | None
) -> None:
    library = tmp_path / "libLLVM.so"
    if content is not None:
        library.write_text(content)
    target = tmp_path / "out.exr"
    line = in_a_new_process("pass", scene, "-o", target, DRJIT_LIBLLVM_PATH=str(library))
    assert line.startswith("Error: Mitsuba finds neither a usable GPU nor LLVM (")
    assert "pip install 'kpcn[mitsuba]' brings one (karellen-llvm-core)" in line
    assert not target.exists()
