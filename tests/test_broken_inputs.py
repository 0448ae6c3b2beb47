"""What goes wrong gives one clear line, an exit code that is not 0, and no file."""

import resource
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from kpcn_core import weights
from kpcn_core.cli.main import main
from tests.exr_files import (
    HEIGHT,
    WIDTH,
    Channels,
    deep,
    header_end,
    luminance_chroma,
    mipmapped,
    named,
    rgb,
    save_exr,
    save_parts,
    with_attribute,
    without_channels,
    xyz,
)
from tests.networks import random_network

LAYERS = [*rgb(), *rgb("albedo"), *xyz("normal")]


@dataclass(frozen=True)
class Desk:
    """A folder with a network, a whole file in.exr, and a command that denoises it to out.exr."""

    folder: Path

    @property
    def source(self) -> Path:
        return self.folder / "in.exr"

    @property
    def target(self) -> Path:
        return self.folder / "out.exr"

    @property
    def model(self) -> Path:
        return self.folder / "small.safetensors"

    def denoise(self, *options: str, source: str = "", target: str = "") -> list[str]:
        paths = [source or str(self.source), "-o", target or str(self.target)]
        return ["denoise", *paths, "--model", str(self.model), *options]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    made = Desk(tmp_path)
    save_exr(made.source, named(*LAYERS))
    weights.save(made.model, random_network(), {})
    return made


def refused(command: Sequence[str], folder: Path) -> str:
    """Run a command that must fail; its message."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    result = CliRunner().invoke(main, list(command))
    assert result.exit_code in (1, 2), result.output
    assert not result.stdout
    assert result.exception is None or isinstance(result.exception, SystemExit)
    *usage, message = result.stderr.splitlines()
    assert message.startswith("Error: ")
    assert all(line.startswith(("Usage:", "Try ")) or not line for line in usage)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    return message


def test_what_is_not_broken_is_denoised(desk: Desk) -> None:
    result = CliRunner().invoke(main, desk.denoise())
    assert result.exit_code == 0, result.output
    assert desk.target.exists()


def cut(path: Path, size: float) -> None:
    """Keep the first bytes: a number, a share, or all but some."""
    data = path.read_bytes()
    path.write_bytes(data[: int(size if abs(size) > 1 else size * len(data))])


def interrupted(path: Path) -> None:
    """As a renderer leaves a file that is stopped: the table of blocks is not filled in."""
    data = bytearray(path.read_bytes())
    table = header_end(data) + 1
    data[table : table + 8] = bytes(8)
    path.write_bytes(data)


def empty_header(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:8] + b"\0" + data[header_end(data) + 1 :])


def taller(path: Path) -> None:
    """Its header promises more lines than it has."""
    data = bytearray(path.read_bytes())
    start = data.index(b"dataWindow\0box2i\0") + len(b"dataWindow\0box2i\0") + 4
    data[start + 12 : start + 16] = (100_000).to_bytes(4, "little")
    path.write_bytes(data)


def not_a_number(path: Path) -> None:
    nothing = np.full((HEIGHT, WIDTH), np.nan, dtype=np.float32)
    save_exr(path, {**named(*LAYERS), "R": nothing, "G": nothing, "B": nothing})


def two_sizes(path: Path) -> None:
    parts: dict[str, Channels] = {"rgba": named(*rgb()), "albedo": named(*rgb(), height=4)}
    save_parts(path, parts, displayWindow=((0, 0), (11, 9)))


# What is done to in.exr, and what the message says of it.
BROKEN_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "it is empty"),
    "text": (lambda path: path.write_text("not an image"), "expected an EXR file; it begins with"),
    "a picture of another kind": (
        lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(64)),
        "expected an EXR file; it begins with",
    ),
    "cut in its first bytes": (lambda path: cut(path, 6), "incomplete"),
    "cut in its header": (lambda path: cut(path, 200), "incomplete"),
    "cut in half": (lambda path: cut(path, 0.5), "incomplete"),
    "cut at its end": (lambda path: cut(path, -3), "last block of pixels is cut off"),
    "an interrupted render": (interrupted, "blocks of pixels are missing"),
    "nothing in its header": (empty_header, "there is nothing in it"),
    "a size that it has not": (taller, "blocks of pixels, and its size asks for 6251"),
    "text that is not UTF-8": (
        lambda path: with_attribute(path, "owner", "string", b"Ren\xe9"),
        "not UTF-8",
    ),
    "deep": (deep, "deep pixels"),
    "mipmaps": (mipmapped, "mipmap levels"),
    "luminance-chroma": (luminance_chroma, "luminance-chroma"),
    "no channels": (without_channels, "in.exr"),
    "parts of two sizes": (two_sizes, "AOV 'albedo' in part 'albedo' has the data window"),
}


@pytest.mark.parametrize("name", BROKEN_FILES)
def test_a_broken_file(desk: Desk, name: str) -> None:
    damage, expected = BROKEN_FILES[name]
    damage(desk.source)
    message = refused(desk.denoise(), desk.folder)
    assert expected in message
    assert str(desk.source) in message


@pytest.mark.parametrize("name", set(BROKEN_FILES) - {"parts of two sizes"})
def test_a_broken_file_is_not_inspected(desk: Desk, name: str) -> None:
    damage, expected = BROKEN_FILES[name]
    damage(desk.source)
    assert expected in refused(["inspect", str(desk.source)], desk.folder)


def test_damage_amid_the_pixels(desk: Desk) -> None:
    ramp = np.add.outer(np.arange(64), np.arange(64)).astype(np.float32)
    save_exr(desk.source, dict.fromkeys(LAYERS, ramp))
    data = bytearray(desk.source.read_bytes())
    middle = (header_end(data) + len(data)) // 2
    data[middle : middle + 50] = b"\xff" * 50
    desk.source.write_bytes(data)
    assert "damaged" in refused(desk.denoise(), desk.folder)


def test_pixels_of_no_number(desk: Desk) -> None:
    not_a_number(desk.source)
    assert "NaN or Inf" in refused(desk.denoise(), desk.folder)


def test_a_file_without_a_beauty(desk: Desk) -> None:
    save_exr(desk.source, named(*rgb("albedo")))
    assert "no layer for AOV 'color'" in refused(desk.denoise(), desk.folder)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--aov", "albedo=none"], "no layer 'none'"),
        (["--aov", "depth=normal"], "does not fit AOV 'depth'"),
        (["--aov", "colour=R"], "'colour' is unknown; there are color"),
        (["--aov", "albedo"], "must be NAME=LAYER"),
        (["--source", "povray"], "No source is called 'povray'"),
        (["--source", "nowhere.toml"], "cannot be read"),
        (["--source", "{model}.toml"], "cannot be read"),
        (["--aovs", "normal"], "cannot be denoised"),
        (["--aovs", "albedo"], "needs the AOVs"),
        (["--device", "abacus"], "abacus"),
        (["--frames", "1-5"], "no placeholder"),
        (["--tile", "many"], "neither auto nor a number"),
    ],
)
def test_an_option_that_cannot_be_met(desk: Desk, options: list[str], expected: str) -> None:
    assert expected in refused(desk.denoise(*options), desk.folder)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"", "damaged"), (b"not safetensors", "damaged"), (None, "no such weights file")],
)
def test_weights_that_cannot_be_used(desk: Desk, content: bytes | None, expected: str) -> None:
    desk.model.unlink()
    if content is not None:
        desk.model.write_bytes(content)
    assert expected in refused(desk.denoise(), desk.folder)


def test_weights_that_were_changed(desk: Desk) -> None:
    data = bytearray(desk.model.read_bytes())
    data[-1] ^= 1
    desk.model.write_bytes(data)
    assert "hash" in refused(desk.denoise(), desk.folder)


def test_a_network_that_does_not_ship(desk: Desk) -> None:
    command = desk.denoise("--model", "no-such-network")
    assert "No network is called" in refused(command, desk.folder)


def test_an_input_that_is_missing_or_a_folder(desk: Desk) -> None:
    missing = desk.denoise(source=str(desk.folder / "none.exr"))
    assert "no such file" in refused(missing, desk.folder)
    folder = desk.folder / "folder.exr"
    folder.mkdir()
    assert "it is a folder" in refused(desk.denoise(source=str(folder)), desk.folder)
    assert "it is a folder" in refused(["inspect", str(folder)], desk.folder)


@pytest.mark.parametrize(
    ("frames", "expected"),
    [("1-4", "1 of 4 frames are missing: 3"), ("one", "no range of frames"), ("9", "are missing")],
)
def test_a_range_with_missing_frames(desk: Desk, frames: str, expected: str) -> None:
    for number in (1, 2, 4):
        save_exr(desk.folder / f"shot.{number:04d}.exr", named(*LAYERS))
    shot, clean = (str(desk.folder / f"{name}.####.exr") for name in ("shot", "clean"))
    message = refused(desk.denoise("--frames", frames, source=shot, target=clean), desk.folder)
    assert expected in message


def test_many_frames_and_one_output(desk: Desk) -> None:
    for number in (1, 2):
        save_exr(desk.folder / f"shot.{number:04d}.exr", named(*LAYERS))
    command = desk.denoise(source=str(desk.folder / "shot.####.exr"))
    assert "2 frames need a placeholder" in refused(command, desk.folder)


def test_one_broken_frame_does_not_stop_the_others(desk: Desk) -> None:
    for number in (1, 2, 3):
        save_exr(desk.folder / f"shot.{number:04d}.exr", named(*LAYERS))
    cut(desk.folder / "shot.0002.exr", 0.5)
    shot, clean = (str(desk.folder / f"{name}.####.exr") for name in ("shot", "clean"))
    result = CliRunner().invoke(main, desk.denoise(source=shot, target=clean))
    assert result.exit_code == 1
    assert "shot.0002.exr: the file is incomplete" in result.stderr
    assert "1 of 3 frames were not written" in result.stderr
    written = sorted(path.name for path in desk.folder.glob("*clean*"))
    assert written == ["clean.0001.exr", "clean.0003.exr"]


def test_a_target_that_may_not_be_written(desk: Desk) -> None:
    nowhere = str(desk.folder / "nowhere" / "out.exr")
    assert "does not exist" in refused(desk.denoise(target=nowhere), desk.folder)
    assert "replace the input" in refused(desk.denoise(target=str(desk.source)), desk.folder)
    desk.target.touch()
    assert "exists already" in refused(desk.denoise(), desk.folder)
    desk.target.chmod(0o444)
    assert "read-only" in refused(desk.denoise("--overwrite"), desk.folder)
    desk.target.unlink()
    desk.target.mkdir()
    assert "it is a folder" in refused(desk.denoise("--overwrite"), desk.folder)


def test_a_full_disk(desk: Desk) -> None:
    save_exr(desk.source, named(*LAYERS, height=64, width=64))
    before = set(desk.folder.iterdir())

    def no_more_than_a_little() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    run = subprocess.run(
        [sys.executable, "-c", "from kpcn_core.cli.main import main; main()", *desk.denoise()],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=no_more_than_a_little,
    )
    assert run.returncode == 1
    assert not run.stdout
    assert run.stderr.splitlines()[-1].startswith(f"Error: {desk.target}: cannot be written: ")
    assert len(run.stderr.splitlines()) == 1
    assert set(desk.folder.iterdir()) == before
