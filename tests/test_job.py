"""Jobs: files in, files out; windows, lambda layers and further layers of files."""

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from kpcn_core import exr
from kpcn_core.denoiser import Denoiser
from kpcn_core.errors import (
    InvalidAsymmetry,
    KpcnError,
    MissingAov,
    UnknownName,
    UnreadableFile,
    UnwritableFile,
)
from kpcn_core.exr_file import layer_set, open_header
from kpcn_core.frame import Frame, Pixels
from kpcn_core.job import Job, Outcome
from kpcn_core.job_run import JobRun, run
from kpcn_core.settings import HIGH
from tests.moving import moving_frames
from tests.networks import random_network, random_predictor

SIZE = (12, 15)
FRAMES = (1, 2, 3)


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    return Denoiser(random_network(), torch.device("cpu"), random_predictor())


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Three frames with the light of two lamps, a mask of each value of lambda, and a matte."""
    files = []
    for number, frame in zip(FRAMES, moving_frames(len(FRAMES), *SIZE), strict=True):
        share = np.random.default_rng(number).random(frame["diffuse"].shape, dtype=np.float32)
        layers = {
            "lg_key_diffuse": frame["diffuse"] * share,
            "lg_fill_diffuse": frame["diffuse"] * (1 - share),
            "none": np.zeros((1, *SIZE), np.float32),
            "all": np.ones((1, *SIZE), np.float32),
            "half": np.full((1, *SIZE), 0.5, np.float32),
            "holes": np.full((1, *SIZE), np.nan, np.float32),
            "matte": share[:1],
        }
        path = tmp_path / f"noisy.{number}.exr"
        exr.write_frame(path, frame, layers=layers)
        files.append((path, tmp_path / f"clean.{number}.exr"))
    return Job(files, overwrite=True)


def outcomes(job: Job, denoiser: Denoiser) -> list[Outcome]:
    return list(run(job, denoiser, lambda done, total: None))


def colors(job: Job, denoiser: Denoiser) -> list[Pixels]:
    """The color of every output."""
    assert not any(outcome.error for outcome in outcomes(job, denoiser))
    return [exr.read(target)["color"] for _, target in job.files]


def layer(path: Path, name: str) -> Pixels:
    found = layer_set(open_header(path)).find(name)
    assert found is not None
    colors = [found.channels[suffix] for suffix in "RGB" if suffix in found.channels]
    return exr.read_channels(path, colors or list(found.channels.values()))


def break_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-500])


def test_a_window_looks_at_the_frames_around_each(job: Job, denoiser: Denoiser) -> None:
    alone, window = (colors(replace(job, window=frames), denoiser) for frames in (1, 3))
    frames = [exr.read(source) for source, _ in job.files]
    for index, (one, other) in enumerate(zip(alone, window, strict=True)):
        assert_allclose(one, denoiser.denoise(frames[index])["color"], rtol=1e-6)
        assert np.abs(one - other).max() > 1e-3
    assert_array_equal(colors(replace(job, window=5), denoiser)[1], window[1])


def test_no_window_looks_beyond_the_shot(job: Job, denoiser: Denoiser) -> None:
    paths = [source for source, _ in job.files]
    one = replace(job, files=job.files[1:2], window=3)
    (whole,) = colors(replace(one, shot=paths), denoiser)
    (cut,) = colors(replace(one, shot=paths[:2]), denoiser)
    (lone,) = colors(one, denoiser)
    encoded = [denoiser.encode(exr.read(path)) for path in paths[:2]]
    expected = denoiser.render(denoiser.window(encoded, 1))
    assert_allclose(cut, expected["color"], rtol=1e-6)
    assert_allclose(lone, denoiser.denoise(exr.read(paths[1]))["color"], rtol=1e-6)
    assert np.abs(whole - cut).max() > 1e-3


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize(
    ("mask", "equal"), [("none", 1.0), ("all", 4.0), ("half", 2.0), ("holes", 1.0)]
)
def test_an_asymmetry_layer_says_how_much_of_lambda_counts_where(
    job: Job, denoiser: Denoiser, window: int, mask: str, equal: float
) -> None:
    one = replace(job, files=job.files[:1], window=window)
    painted = colors(replace(one, asymmetry=4.0, asymmetry_layer=mask), denoiser)
    number = colors(replace(one, asymmetry=equal), denoiser)
    assert_allclose(painted, number, rtol=1e-4, atol=1e-6)


def test_an_asymmetry_layer_may_lie_in_another_file(
    job: Job, denoiser: Denoiser, tmp_path: Path
) -> None:
    source = job.files[0][0]
    mask = tmp_path / "painted.exr"
    exr.write_frame(mask, exr.read(source), layers={"hero": np.ones((1, *SIZE), np.float32)})
    one = replace(job, files=job.files[:1], asymmetry=4.0)
    found = replace(one, asymmetry_layer="hero.Y", masks={source: mask})
    assert_allclose(colors(found, denoiser), colors(one, denoiser), rtol=1e-5)


def test_an_asymmetry_layer_that_is_not_there_or_does_nothing_is_refused(
    job: Job, denoiser: Denoiser
) -> None:
    one = replace(job, files=job.files[:1])
    with pytest.raises(InvalidAsymmetry, match="has no effect with an asymmetry of 1"):
        outcomes(replace(one, asymmetry_layer="all"), denoiser)
    with pytest.raises(MissingAov, match=r"no channel 'mask\.R'.*the file has .*all\.Y"):
        outcomes(replace(one, asymmetry=4.0, asymmetry_layer="mask.R"), denoiser)


@pytest.mark.parametrize("window", [1, 3])
def test_further_layers_are_written_and_add_up(job: Job, denoiser: Denoiser, window: int) -> None:
    further = replace(
        job, aovs=("color", "diffuse"), extra={"LG_*_Diffuse": "diffuse"}, window=window
    )
    plain = colors(replace(job, window=window), denoiser)
    assert_allclose(colors(further, denoiser), plain, rtol=1e-5)
    for source, target in job.files:
        lights = [layer(target, name) for name in ("lg_key_diffuse", "lg_fill_diffuse")]
        assert_allclose(sum(lights), exr.read(target)["diffuse"], rtol=1e-4, atol=1e-6)
        assert_array_equal(layer(target, "matte"), layer(source, "matte"))


def test_the_first_pattern_that_fits_a_layer_counts(job: Job, denoiser: Denoiser) -> None:
    one = replace(job, files=job.files[:1])
    found = []
    for extra in ({"lg_key*": "specular", "lg_*": "diffuse"}, {"lg_key*": "specular"}):
        outcomes(replace(one, extra=extra), denoiser)
        found.append(layer(job.files[0][1], "lg_key_diffuse"))
    assert_allclose(found[0], found[1], rtol=1e-6)


@pytest.mark.parametrize(
    ("extra", "error", "message"),
    [
        ({"sss_*": "diffuse"}, MissingAov, r"no layer fits 'sss_\*'; the file has .*lg_key"),
        ({"diffuse": "diffuse"}, MissingAov, "What is an AOV is denoised by --aovs"),
        ({"lg_*": "sparkle"}, UnknownName, "cannot be filtered like 'sparkle'"),
    ],
)
def test_further_layers_that_cannot_be_are_refused_by_name(
    job: Job, denoiser: Denoiser, extra: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        outcomes(replace(job, files=job.files[:1], extra=extra), denoiser)


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("extra", [{}, {"lg_*": "diffuse"}])
def test_a_broken_file_stops_no_other_also_if_it_is_the_first(
    job: Job, denoiser: Denoiser, window: int, extra: dict[str, str]
) -> None:
    break_off(job.files[0][0])
    working = run(replace(job, window=window, extra=extra), denoiser, lambda *_: None)
    found = [next(working) for _ in job.files]
    with pytest.raises(KpcnError, match="1 of 3 frames were not written"):
        next(working)
    assert [type(outcome.error) for outcome in found] == [UnreadableFile, type(None), type(None)]
    assert [target.is_file() for _, target in job.files] == [False, True, True]


def test_a_window_ends_with_a_warning_at_a_frame_that_lacks_a_layer(
    job: Job, denoiser: Denoiser, caplog: pytest.LogCaptureFixture
) -> None:
    source = job.files[2][0]
    kept = {"lg_fill_diffuse": layer(source, "lg_fill_diffuse")}
    exr.write_frame(source, exr.read(source), overwrite=True, layers=kept)
    two = replace(job, files=job.files[:2], window=3, shot=[path for path, _ in job.files])
    short = replace(two, shot=two.shot[:2])
    expected = colors(replace(short, extra={"lg_*": "diffuse"}), denoiser)
    with caplog.at_level(logging.WARNING):
        found = colors(replace(two, extra={"lg_*": "diffuse"}), denoiser)
    assert_allclose(found, expected, rtol=1e-6)
    assert "no layer 'lg_key_diffuse' to denoise" in caplog.text


def test_an_even_window_is_refused(job: Job, denoiser: Denoiser) -> None:
    with pytest.raises(UnknownName, match="odd number of frames"):
        outcomes(replace(job, window=4), denoiser)


@pytest.mark.parametrize("window", [1, 3])
def test_an_input_that_is_replaced_meanwhile_is_an_error_and_no_file(
    job: Job, denoiser: Denoiser, window: int
) -> None:
    """Of the frame itself or, in a window, of its neighbour."""
    (source, target), (neighbour, _), _ = job.files
    replaced = neighbour if window > 1 else source

    def replace_it(done: int, total: int) -> None:
        os.utime(replaced, (1, 1))

    one = replace(job, files=job.files[:1], shot=job.frames, window=window)
    with pytest.raises(UnreadableFile, match="was replaced while it was denoised"):
        list(run(one, denoiser, replace_it))
    assert not target.exists()


def in_place(job: Job, **changes: Any) -> Job:
    files = [(source, source) for source, _ in job.files]
    return replace(job, files=files, shot=[source for source, _ in files], **changes)


def test_in_place_a_window_sees_no_frame_that_was_denoised_before(
    job: Job, denoiser: Denoiser
) -> None:
    expected = colors(replace(job, window=3), denoiser)
    for ours, other in zip(colors(in_place(job, window=3), denoiser), expected, strict=True):
        assert_array_equal(ours, other)


@pytest.mark.parametrize("order", [[0, 1], [1], [2, 1, 0]])
def test_in_place_a_window_over_a_part_of_a_shot_is_refused(
    job: Job, denoiser: Denoiser, order: list[int]
) -> None:
    whole = in_place(job, window=3)
    part = replace(whole, files=[whole.files[index] for index in order])
    before = [source.read_bytes() for source, _ in whole.files]
    with pytest.raises(UnwritableFile, match="a window needs the whole shot in one run"):
        outcomes(part, denoiser)
    assert [source.read_bytes() for source, _ in whole.files] == before
    assert not any(one.error for one in outcomes(replace(part, window=1), denoiser))


@pytest.mark.parametrize("window", [1, 3])
def test_a_high_quality_reaches_every_frame(job: Job, denoiser: Denoiser, window: int) -> None:
    normal = replace(job, window=window)
    high = replace(normal, quality=HIGH)
    source, _ = job.files[0]
    assert JobRun(high, denoiser).made_of(source) != JobRun(normal, denoiser).made_of(source)
    before = colors(normal, denoiser)
    for better, one in zip(colors(high, denoiser), before, strict=True):
        assert np.abs(better - one).max() > 1e-3


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("asymmetry", [1.0, 4.0])
def test_an_error_map_is_a_layer_of_its_own(
    job: Job, denoiser: Denoiser, window: int, asymmetry: float
) -> None:
    job = replace(job, window=window, asymmetry=asymmetry)
    clean = colors(job, denoiser)
    assert outcomes(replace(job, error_map=True), denoiser)
    for (source, target), color in zip(job.files, clean, strict=True):
        written = exr.read(target)
        assert_array_equal(written["color"], color)
        expected = denoiser.predict_error(exr.read(source), written, "smape")
        assert_allclose(layer(target, "error"), expected, rtol=1e-5)
        for name in ("matte", "lg_key_diffuse"):
            assert_array_equal(layer(target, name), layer(source, name))


def test_error_maps_in_tiles_equal_the_whole(job: Job, denoiser: Denoiser) -> None:
    found = []
    for tile in (None, 8):
        assert outcomes(replace(job, error_map=True, window=3, tile=tile), denoiser)
        found.append([layer(target, "error") for _, target in job.files])
    assert_allclose(found[1], found[0], rtol=1e-3, atol=1e-6)


def test_an_error_map_replaces_one_that_is_there(job: Job, denoiser: Denoiser) -> None:
    job = replace(job, error_map=True)
    assert outcomes(job, denoiser)
    again = replace(job, files=[(target, target) for _, target in job.files])
    assert outcomes(again, denoiser)
    names = [one.name for one in layer_set(open_header(job.files[0][1]))]
    assert names.count("error") == 1


def test_an_error_map_costs_no_second_denoising(job: Job, denoiser: Denoiser) -> None:
    one = replace(job, files=job.files[:1])
    kept = JobRun(one, denoiser, keep=True)
    kept.denoise(one.files[0][0], lambda done, total: None)
    assert kept.repeats(replace(one, error_map=True))


def test_an_error_map_needs_weights_that_predict_it(job: Job) -> None:
    blind = Denoiser(random_network(), torch.device("cpu"))
    with pytest.raises(UnknownName, match="no error predictor"):
        outcomes(replace(job, error_map=True), blind)
    assert not any(target.exists() for _, target in job.files)


def test_motion_is_estimated_beside_a_frame_that_cannot_be_read(
    job: Job, denoiser: Denoiser, tmp_path: Path
) -> None:
    pytest.importorskip("cv2")
    moving = moving_frames(1, *SIZE)[0]
    still = Frame({name: moving[name] for name in ("color", "albedo", "normal")})
    files = [(tmp_path / f"still.{n}.exr", tmp_path / f"still_clean.{n}.exr") for n in range(4)]
    for path, _ in files:
        exr.write_frame(path, still)
    files[2][0].write_bytes(b"no picture")
    with pytest.raises(KpcnError, match="1 of 4 frames were not written"):
        outcomes(replace(job, files=files, window=3, flow=True), denoiser)
    assert [target.exists() for _, target in files] == [True, True, False, True]
