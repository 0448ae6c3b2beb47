"""Files of what was denoised alone: what stays is as in a full file, and nothing else is there."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
import torch
from click.testing import CliRunner
from numpy.testing import assert_array_equal

from kpcn_core import exr, weights
from kpcn_core.cli.main import main
from kpcn_core.denoiser import Denoiser
from kpcn_core.errors import InvalidPixels, UnwritableFile
from kpcn_core.frame import Frame
from kpcn_core.job import Job
from kpcn_core.job_run import JobRun, run
from tests.exr_files import (
    HEIGHT,
    WIDTH,
    Array,
    Channels,
    all_channels,
    named,
    plane,
    raw_headers,
    rgb,
    same_bits,
    save_exr,
    save_parts,
    with_attribute,
    xyz,
)
from tests.frames import random_frame
from tests.moving import moving_frames
from tests.networks import random_network, random_predictor

DATA = ((-3, -2), (WIDTH - 4, HEIGHT - 3))
DISPLAY = ((0, 0), (19, 9))
EVERY_HALF = np.arange(1 << 16, dtype=np.uint16).view(np.float16).reshape(256, 256)
LIGHTS = ("lg_key_diffuse", "lg_fill_diffuse")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "slim.exr"


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    return Denoiser(random_network(), torch.device("cpu"), random_predictor())


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Two frames with the light of two lamps."""
    files = []
    for number, frame in enumerate(moving_frames(2, 12, 15)):
        lights = dict.fromkeys(LIGHTS, np.float32(0.5) * frame["diffuse"])
        path = tmp_path / f"noisy.{number}.exr"
        exr.write_frame(path, replace(frame, metadata={"owner": "me"}), layers=lights)
        files.append((path, tmp_path / f"clean.{number}.exr"))
    return Job(files, overwrite=True)


def brightened(frame: Frame) -> Frame:
    return frame.with_aovs(color=2 * frame["color"])


def names(path: Path) -> set[str]:
    return {name for _, name in all_channels(path)}


def bits(one: Path, other: Path) -> bool:
    """Whether what the first file has, the other has too, bit by bit."""
    found = {name: pixels for (_, name), pixels in all_channels(other).items()}
    return all(same_bits(pixels, found[name]) for (_, name), pixels in all_channels(one).items())


def done(job: Job, denoiser: Denoiser) -> list[bool]:
    """Which outputs were current."""
    return [outcome.current for outcome in run(job, denoiser, lambda done, total: None)]


def test_a_single_part_keeps_header_types_and_alpha(tmp_path: Path, target: Path) -> None:
    half = {name: plane(seed).astype(np.float16) for seed, name in enumerate("RGBA")}
    source = save_exr(
        tmp_path / "in.exr",
        half | named(*rgb("albedo"), *xyz("normal"), "Z", "albedo.A"),
        dataWindow=DATA,
        displayWindow=DISPLAY,
        owner="me",
        compression=OpenEXR.PIZ_COMPRESSION,
    )
    with_attribute(source, "unheard of", "someOnesOwnType", b"\x01\x02\x03")
    exr.write(target, brightened(exr.read(source)), only_denoised=True)
    (before,), (after,) = raw_headers(source), raw_headers(target)
    assert before.pop("channels chlist") != after.pop("channels chlist")
    assert after == before
    found = all_channels(target)
    assert list(found) == [(0, name) for name in "ABGR"]
    assert same_bits(found[0, "A"], half["A"])
    for name in "RGB":
        assert same_bits(found[0, name], 2 * half[name])


def test_parts_keep_names_windows_and_headers_or_go(tmp_path: Path, target: Path) -> None:
    color = {name: plane(seed) for seed, name in enumerate("RGBA")}
    thumbnail = ((0, 0), (WIDTH - 1, 2))
    parts: list[tuple[str, Channels, object, dict[str, object]]] = [
        ("guides", named(*xyz("normal")), DATA, {}),
        ("beauty", color, DATA, {"owner": "me"}),
        ("light", {**named(*rgb("lg")), "lg.id": plane(1).astype(np.uint32)}, DATA, {"of": "key"}),
        ("thumbnail", named("small.R", height=3), thumbnail, {}),
    ]
    tiles = {"type": OpenEXR.tiledimage, "tiles": OpenEXR.TileDescription()}
    made = [
        OpenEXR.Part(
            {"dataWindow": data, "displayWindow": DISPLAY, **more, **tiles}, dict(channels), name
        )
        for name, channels, data, more in parts
    ]
    source = tmp_path / "in.exr"
    OpenEXR.File(made).write(str(source))
    frame = exr.read(source, layers={"color": "beauty"})
    (lamp,) = [layer for layer in exr.contents(source).layers if layer.name == "lg"]
    chosen = tuple(lamp.channels[suffix] for suffix in "RGB")
    lit = replace(
        frame,
        layers={"lg": 3 * exr.read_channels(source, chosen)},
        layer_channels={"lg": chosen},
    ).with_layers(error=np.ones((1, *frame.size), np.float32))
    exr.write(target, brightened(lit), only_denoised=True)
    before, after = raw_headers(source)[1:3], raw_headers(target)
    for one in (*before, *after):
        del one["channels chlist"]
    assert after == before
    found = all_channels(target)
    assert set(found) == {
        *((0, name) for name in ("A", "B", "G", "R", "error.Y")),
        *((1, name) for name in rgb("lg")),
    }
    assert same_bits(found[0, "A"], color["A"])
    assert_array_equal(found[1, "lg.R"], 3 * plane(0))


def test_a_part_that_is_left_alone_is_read_as_a_plain_file(tmp_path: Path, target: Path) -> None:
    parts = {"rgba": named(*rgb(), "A"), "albedo": named(*rgb()), "depth": named("Z")}
    source = save_parts(tmp_path / "in.exr", parts, owner="me")
    exr.write(target, brightened(exr.read(source)), only_denoised=True)
    frame = exr.read(target)
    assert frame.aovs.keys() == {"color", "alpha"}
    assert frame.source == "generic"
    assert frame.metadata["owner"] == "me"
    assert_array_equal(frame["color"], 2 * exr.read(source)["color"])
    assert [part.name for part in exr.contents(target).parts] == ["rgba"]


@pytest.mark.parametrize("pixels", [EVERY_HALF, EVERY_HALF.astype(np.float32)])
def test_alpha_is_kept_whatever_its_bits(tmp_path: Path, target: Path, pixels: Array) -> None:
    color = dict.fromkeys("RGB", np.ones((256, 256), np.float16))
    source = save_exr(tmp_path / "in.exr", {**color, "A": pixels})
    exr.write(target, exr.read(source), only_denoised=True)
    assert same_bits(all_channels(target)[0, "A"], pixels)


def test_alpha_is_that_of_the_beauty_that_was_read(tmp_path: Path, target: Path) -> None:
    channels = named(*rgb(), "A", *rgb("hero"), "hero.A")
    source = save_exr(tmp_path / "in.exr", channels)
    exr.write(target, exr.read(source, layers={"color": "hero"}), only_denoised=True)
    found = all_channels(target)
    assert {name for _, name in found} == {*rgb("hero"), "hero.A"}
    assert same_bits(found[0, "hero.A"], channels["hero.A"])
    source = save_exr(tmp_path / "other.exr", named(*rgb("Ci"), "a", "z"))
    exr.write(target, exr.read(source), only_denoised=True, overwrite=True)
    assert names(target) == {*rgb("Ci"), "a"}


def test_alpha_that_is_denoised_is_written_denoised(tmp_path: Path, target: Path) -> None:
    source = save_exr(tmp_path / "in.exr", named(*rgb(), "A"))
    frame = exr.read(source)
    clean = frame.with_aovs(alpha=2 * frame["alpha"])
    exr.write(target, clean, ("color", "alpha"), only_denoised=True)
    assert_array_equal(exr.read(target)["alpha"], 2 * frame["alpha"])


def test_a_lossy_codec_gives_way_here_too(tmp_path: Path, target: Path) -> None:
    source = save_exr(tmp_path / "in.exr", named(*rgb(), "A"), compression=OpenEXR.DWAA_COMPRESSION)
    frame = exr.read(source)
    exr.write(target, frame, only_denoised=True)
    for aov in ("color", "alpha"):
        assert same_bits(exr.read(target)[aov], frame[aov])


def test_a_file_that_changed_its_size_meanwhile_is_not_written(
    tmp_path: Path, target: Path
) -> None:
    source = save_exr(tmp_path / "in.exr", named(*rgb()))
    frame = exr.read(source)
    save_exr(source, named(*rgb(), height=3))
    with pytest.raises(InvalidPixels, match="by now"):
        exr.write(target, frame, only_denoised=True)
    assert not target.exists()


@pytest.mark.parametrize("window", [1, 3])
def test_a_job_writes_what_it_denoised_as_a_full_file_has_it(
    job: Job, denoiser: Denoiser, window: int
) -> None:
    job = replace(
        job, window=window, aovs=("color", "diffuse"), extra={"lg_key*": "diffuse"}, error_map=True
    )
    slim = replace(
        job,
        files=[(noisy, clean.with_name(f"slim.{clean.name}")) for noisy, clean in job.files],
        only_denoised=True,
    )
    done(job, denoiser)
    done(slim, denoiser)
    for (_, full), (_, found) in zip(job.files, slim.files, strict=True):
        expected = {*"RGBA", *rgb("diffuse"), *rgb("lg_key_diffuse"), "error.Y"}
        assert names(found) == expected
        assert bits(found, full)
        assert exr.read(found).metadata["owner"] == "me"


def test_a_job_whose_outputs_are_inputs_is_refused(job: Job, denoiser: Denoiser) -> None:
    first, second = (noisy for noisy, _ in job.files)
    before = [path.read_bytes() for path in (first, second)]
    for files, shot in (([(first, first)], []), ([(first, second)], [first, second])):
        slim = replace(job, files=files, shot=shot, only_denoised=True)
        for one in (slim, replace(slim, overwrite=False, resume=True)):
            with pytest.raises(UnwritableFile, match="without its other layers: they would be lo"):
                done(one, denoiser)
    assert [path.read_bytes() for path in (first, second)] == before


def test_a_full_file_is_not_current_for_a_slim_job_nor_the_reverse(
    job: Job, denoiser: Denoiser
) -> None:
    job = replace(job, overwrite=False, resume=True)
    slim = replace(job, only_denoised=True)
    counts = []
    for one, current in ((job, False), (slim, False), (slim, True), (job, False), (job, True)):
        assert done(one, denoiser) == [current] * 2
        counts.append(len(names(job.files[0][1])))
    assert counts[1] == counts[2] == 4
    assert counts[0] == counts[3] == counts[4] > 4


def test_what_full_files_are_made_of_is_as_before(job: Job, denoiser: Denoiser) -> None:
    full, slim = (
        JobRun(replace(job, only_denoised=only), denoiser)._identity for only in (False, True)
    )
    assert "only_denoised" not in full
    assert slim == full | {"only_denoised": True}


def test_another_lambda_may_come_with_fewer_layers(job: Job, denoiser: Denoiser) -> None:
    job = replace(job, files=job.files[:1])
    kept = JobRun(job, denoiser, keep=True)
    kept.denoise(job.files[0][0], lambda done, total: None)
    assert kept.repeats(replace(job, only_denoised=True, asymmetry=4.0))


def test_the_command_leaves_them_out_and_spares_the_input(tmp_path: Path) -> None:
    model, noisy, clean = (tmp_path / name for name in ("small.safetensors", "in.exr", "out.exr"))
    weights.save(model, random_network(), {})
    exr.write_frame(noisy, random_frame(12, 15))
    words = ["denoise", str(noisy), "--model", str(model), "--only-denoised", "-o"]
    result = CliRunner().invoke(main, [*words, str(clean)])
    assert result.exit_code == 0, result.output
    assert names(clean) == {*"RGBA"}
    before = noisy.read_bytes()
    result = CliRunner().invoke(main, [*words, str(noisy), "--overwrite"])
    assert result.exit_code == 1
    assert "Leave out --only-denoised" in result.output
    assert noisy.read_bytes() == before
