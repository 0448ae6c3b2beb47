"""kpcn-husk-postframe.py, run as husk runs it, with real frames and the real worker."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from kpcn_core import exr, weights
from kpcn_core.cli.main import main
from tests.exr_files import Channels, all_channels, rgb, save_parts, xyz
from tests.fakes import husk
from tests.frames import moving_frame
from tests.networks import random_network

PLUGIN = Path(__file__).parent.parent / "plugins" / "houdini"
FRAMES = range(1, 9)
BAD = 4
MOTION: dict[str, Any] = {
    "forward_layer": "next",
    "backward_layer": "last",
    "motion_units": "pixels",
}


def karma_parts(number: int) -> dict[str, Channels]:
    """What husk writes: a part for each layer, the beauty in half."""
    frame = moving_frame(24, 32, seed=number)

    def layer(names: Sequence[str], aov: str, kind: type = np.float32) -> Channels:
        return dict(zip(names, frame.aovs[aov].astype(kind), strict=True))

    alpha = {"C.A": frame.aovs["alpha"][0].astype(np.float16)}
    return {
        "C": {**layer(rgb("C"), "color", np.float16), **alpha},
        "albedodiffuse": layer(rgb("albedodiffuse"), "albedo"),
        "N": layer(xyz("N"), "normal"),
        "combineddiffuse": layer(rgb("combineddiffuse"), "diffuse"),
        "next": layer(("next.X", "next.Y"), "forward"),
        "last": layer(("last.X", "last.Y"), "backward"),
        "primid": {"primid.id": frame.aovs["alpha"][0]},
    }


class Shot:
    """Rendered frames that wait to be written, one of them cut short, and a network."""

    def __init__(self, folder: Path) -> None:
        self.rendered = folder / "rendered"
        self.rendered.mkdir()
        self.model = folder / "small.safetensors"
        weights.save(self.model, random_network(), {})
        for number in FRAMES:
            save_parts(self.rendered / f"{number}.exr", karma_parts(number))
        bad = self.rendered / f"{BAD}.exr"
        bad.write_bytes(bad.read_bytes()[:-500])


@pytest.fixture(scope="module")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Shot:
    return Shot(tmp_path_factory.mktemp("husk"))


class Render:
    """Processes of husk that write into one folder."""

    def __init__(self, shot: Shot, folder: Path) -> None:
        self.shot, self.folder = shot, folder
        self.output = str(folder / "beauty.%04d.exr")

    def start(self, *words: str, **values: object) -> "subprocess.Popen[str]":
        """A husk with its own Python, in which nothing of ours is installed."""
        script = str(PLUGIN / "kpcn-husk-postframe.py")
        variables = {f"KPCN_{name.upper()}": str(value) for name, value in values.items()}
        return subprocess.Popen(
            [sys.executable, "-I", "-S", husk.__file__, str(self.shot.rendered), *words,
             "-o", self.output, "--postframe-script", script],
            env={**os.environ, "KPCN_PYTHON": sys.executable, "KPCN_HOUDINI": str(PLUGIN),
                 "KPCN_MODEL": str(self.shot.model), **variables},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, *words: str, code: int = 0, **values: object) -> str:
        """What it prints."""
        process = self.start(*words, **values)
        printed = process.communicate()[0]
        assert process.returncode == code, printed
        return printed

    def times(self) -> dict[str, int]:
        paths = (self.folder / "denoised").glob("*.exr")
        return {path.name: path.stat().st_mtime_ns for path in paths}

    def resume(self, *words: str) -> None:
        """`kpcn denoise --resume`, with the same settings."""
        conventions = [
            f'{aov}={{ layer = "{layer}", units = "pixels", scale = [1.0, 1.0] }}'
            for aov, layer in (("forward", "next"), ("backward", "last"))
        ]
        command = ["denoise", self.output, "-o", str(self.folder / "denoised" / "beauty.%04d.exr")]
        command += ["--model", str(self.shot.model), "--resume", *words]
        command += [word for one in conventions for word in ("--aov", one)]
        output = CliRunner().invoke(main, command).output
        assert output.endswith("Error: 1 of 8 frames were not written; see above.\n")

    def denoised(self) -> list[int]:
        names = (path.name for path in (self.folder / "denoised").glob("*.exr"))
        return sorted(int(name.split(".")[1]) for name in names)


@pytest.fixture
def render(shot: Shot, tmp_path: Path) -> Render:
    return Render(shot, tmp_path)


def times_denoised(printed: str) -> int:
    """How many frames the log says were denoised, and not found done."""
    lines = [line.split(": ")[-1] for line in printed.splitlines() if " denoised" in line]
    return sum(int(line.split()[0]) for line in lines if line[0].isdigit())


@pytest.mark.parametrize("window", [1, 3])
def test_out_of_order_in_two_processes_every_good_frame_is_denoised_once_and_the_bad_one_told(
    render: Render, window: int
) -> None:
    values = {**MOTION, "window": window, "frame_range": "1-8"}
    halves = ("3 1 4 7", "8 2 6 5")
    processes = [render.start("--frame-list", half, **values) for half in halves]
    printed = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], printed
    assert render.denoised() == [number for number in FRAMES if number != BAD]
    assert sum(map(times_denoised, printed)) == len(FRAMES) - 1, printed
    told = [line for text in printed for line in text.splitlines() if "incomplete" in line]
    assert any(f"beauty.{BAD:04d}.exr: the file is incomplete" in line for line in told)
    assert all(f"beauty.{BAD:04d}.exr" in line for line in told)
    left = {path.name for path in (render.folder / "denoised" / ".kpcn").iterdir()}
    assert left == {f"beauty.{n:04d}.exr.json" for n in FRAMES if n != BAD}
    # Each had its whole window: to the command, they are made of the same.
    before = render.times()
    render.resume("--window", str(window))
    assert render.times() == before


def test_the_frames_are_those_of_the_command_layers_and_all(render: Render) -> None:
    render.run("-f", "1", "-n", "1", overwrite=0, source="karma")
    clean = render.folder / "denoised" / "beauty.0001.exr"
    command = render.folder / "command.exr"
    words = ["denoise", render.output % 1, "-o", str(command), "--model", str(render.shot.model)]
    subprocess.run([sys.executable, "-m", "kpcn_core", *words], check=True, capture_output=True)
    ours, theirs, noisy = map(all_channels, (clean, command, Path(render.output % 1)))
    assert ours.keys() == theirs.keys() == noisy.keys()
    for name in ours:
        pixels = ours[name].astype(np.float64), theirs[name].astype(np.float64)
        np.testing.assert_allclose(*pixels, rtol=1e-3, err_msg=str(name))
    changed = {name for _, name in ours if not np.array_equal(ours[_, name], noisy[_, name])}
    assert changed == set(rgb("C"))
    read = exr.read(Path(render.output % 1))
    assert read.source == "karma"
    assert {"color", "alpha", "albedo", "normal", "diffuse"} <= read.aovs.keys()


def test_a_failure_ends_the_render_only_if_it_is_to(render: Render) -> None:
    printed = render.run("--frame-list", f"{BAD} 5", code=1, strict=1)
    assert "the file is incomplete" in printed
    assert render.denoised() == []
    assert not Path(render.output % 5).exists()


def test_without_the_command_all_frames_on_disk_are_looked_at(render: Render) -> None:
    words = ("--frame-list", "2 1 3", "--tell-command", "no")
    printed = render.run(*words, window=3, frame_range="1-3", **MOTION)
    assert times_denoised(printed) == 3
    assert render.denoised() == [1, 2, 3]


def test_what_is_left_without_a_known_end_is_done_after_the_render(render: Render) -> None:
    script = str(PLUGIN / "kpcn-husk-postrender.py")
    render.run("-f", "1", "-n", "3", "--postrender-script", script, window=3, **MOTION)
    assert render.denoised() == [1, 2, 3]


def test_the_users_own_script_runs_after_ours_and_also_when_ours_is_off(render: Render) -> None:
    own = render.folder / "own.py"
    own.write_text("assert __name__ == 'builtins'\nprint('own', stage.GetTypeName())\n")
    assert "own RenderProduct" in render.run("-f", "1", then_postframe=own)
    printed = render.run("-f", "2", then_postframe=own, enable=0)
    assert printed == "own RenderProduct\n"
    assert render.denoised() == [1]


def test_a_setting_that_cannot_be_meant_is_told_and_the_render_goes_on(render: Render) -> None:
    printed = render.run("-f", "1", "-n", "2", window="4")
    assert "kpcn: Window 4: must be an odd number of frames." in printed
    assert Path(render.output % 2).exists()
