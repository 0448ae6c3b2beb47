"""`kpcn merge`: renders by other seeds become one frame that knows how noisy it is."""

from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest
from click.testing import CliRunner, Result
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from kpcn_core import exr
from kpcn_core.cli.main import main
from kpcn_core.denoiser import Denoiser
from kpcn_core.features import available_planes
from kpcn_core.frame import Frame
from tests.exr_files import all_channels, named, rgb, save_exr, save_parts
from tests.noisy_scene import NoisyScene, QuietScene

GOLDEN = Path(__file__).parent / "golden"
COUNTS = (4, 4, 8, 16)


def without(frame: Frame, *aovs: str) -> Frame:
    return Frame({name: pixels for name, pixels in frame.aovs.items() if name not in aovs})


def rendered(folder: Path, *counts: int, number: str = "") -> list[Path]:
    """Renders of one frame that do not say how noisy they are, each by a seed of its own."""
    paths = []
    for seed, spp in enumerate(counts):
        paths.append(folder / f"render{seed}{number}.exr")
        exr.write_frame(paths[-1], QuietScene(3).render(spp, seed).frame())
    return paths


def planes(path: Path) -> dict[str, NDArray[Any]]:
    """Every channel, of whatever part."""
    return {name: pixels for (_, name), pixels in all_channels(path).items()}


def merge(output: Path, *words: object) -> Result:
    return CliRunner().invoke(main, ["merge", *map(str, words), "-o", str(output)])


def merged(output: Path, *words: object) -> Frame:
    result = merge(output, *words)
    assert result.exit_code == 0, result.output
    return exr.read(output)


def refused(output: Path, *words: object) -> str:
    result = merge(output, *words)
    assert result.exit_code != 0
    assert not output.exists()
    return " ".join(result.output.split())


def test_the_mean_has_the_samples_of_all(tmp_path: Path) -> None:
    paths = rendered(tmp_path, *COUNTS)
    found = merged(tmp_path / "merged.exr", *paths)
    frames = [exr.read(path) for path in paths]
    for aov in ("color", "diffuse", "albedo"):
        expected = np.average([frame[aov] for frame in frames], axis=0, weights=COUNTS)
        assert_allclose(found[aov], expected, rtol=1e-5, atol=1e-6)
    assert_array_equal(found["sample_count"], np.full((1, 48, 64), sum(COUNTS)))
    assert_array_equal(found["forward"], frames[0]["forward"])


def test_the_spread_is_the_variance_and_the_network_reads_it(tmp_path: Path) -> None:
    found = merged(tmp_path / "merged.exr", *rendered(tmp_path, *COUNTS))
    truth = np.square(NoisyScene(3).truth()["diffuse"]) / sum(COUNTS)
    assert np.mean(found["diffuse_mse"] / truth) == pytest.approx(1, abs=0.05)
    assert not found["albedo_mse"].any()
    available = available_planes(frozenset(found.aovs), split=True)
    assert set(Denoiser.load("compact").network.config.encoders["kpcn"]) <= available


def test_samples_that_files_do_not_say_are_told(tmp_path: Path) -> None:
    paths = rendered(tmp_path, 4, 4, 4)
    for path in paths:
        exr.write_frame(path, without(exr.read(path), "sample_count"), overwrite=True)
    one, four = tmp_path / "one.exr", tmp_path / "four.exr"
    counted, told = merged(one, *paths), merged(four, *paths, "--spp", 4)
    assert (counted["sample_count"] == 3).all()
    assert (told["sample_count"] == 12).all()
    assert_allclose(counted["color_mse"], told["color_mse"], rtol=1e-5)


def test_motion_without_a_depth_is_the_first_ones(tmp_path: Path) -> None:
    paths = rendered(tmp_path, 4, 4)
    for path in paths:
        exr.write_frame(path, without(exr.read(path), "depth"), overwrite=True)
    found = merged(tmp_path / "merged.exr", *paths)
    assert_array_equal(found["forward"], exr.read(paths[0])["forward"])


def test_renders_that_know_their_variance_merge_exactly(tmp_path: Path) -> None:
    passes = [NoisyScene(3).render(spp, seed) for seed, spp in enumerate((4, 8))]
    paths = [tmp_path / "0.exr", tmp_path / "1.exr"]
    for path, one in zip(paths, passes, strict=True):
        exr.write_frame(path, one.frame())
    found = merged(tmp_path / "merged.exr", *paths)
    expected = passes[0].merged(passes[1]).frame()
    assert_allclose(found["color_mse"], expected["color_mse"], rtol=1e-4)


def test_other_layers_are_means_and_identities_the_first_ones(tmp_path: Path) -> None:
    paths = []
    for seed in range(2):
        channels = named(*rgb(), *rgb("lg_key"), *rgb("CryptoObject00"), "object_id", "Pref.X")
        channels = {name: pixels + seed for name, pixels in channels.items()}
        half = channels["lg_key.R"].astype(np.float16)
        numbers = np.full(half.shape, 7 + seed, np.uint32)
        paths.append(tmp_path / f"{seed}.exr")
        save_exr(paths[-1], {**channels, "lg_key.R": half, "primitive": numbers})
    assert (
        merge(tmp_path / "merged.exr", *paths, "--keep", "*crypto*", "--keep", "pref").exit_code
        == 0
    )
    first, found = planes(paths[0]), planes(tmp_path / "merged.exr")
    assert_allclose(found["lg_key.G"], first["lg_key.G"] + 0.5, rtol=1e-6)
    assert_allclose(found["object_id"], first["object_id"] + 0.5, rtol=1e-6)
    assert found["lg_key.R"].dtype == np.float16
    assert_allclose(found["lg_key.R"], first["lg_key.R"] + np.float16(0.5), rtol=2e-3)
    for name in ("CryptoObject00.G", "Pref.X", "primitive"):
        assert_array_equal(found[name], first[name])
    assert merge(tmp_path / "again.exr", *paths).exit_code == 0
    assert_array_equal(planes(tmp_path / "again.exr")["object_id"], first["object_id"])


def test_blenders_own_files_keep_what_compositing_needs(tmp_path: Path) -> None:
    first = GOLDEN / "cycles5_multipart.0001.exr"
    file = OpenEXR.File(str(first), separate_channels=True)
    for channel in ("R", "G", "B"):
        file.parts[0].channels[f"ViewLayer.Combined.{channel}"].pixels *= 2
    file = OpenEXR.File([*file.parts[:1], *reversed(file.parts[1:])])  # in another order
    file.write(str(tmp_path / "second.exr"))
    found = merged(tmp_path / "merged.exr", first, tmp_path / "second.exr", "--spp", 8)
    one = exr.read(first)
    assert_allclose(found["color"], 1.5 * one["color"], rtol=1e-5)
    assert_allclose(found["diffuse"], one["diffuse"], rtol=1e-5, atol=1e-6)
    assert_allclose(found["color_mse"], np.square(one["color"]) / 4, rtol=1e-4)
    before, after = planes(first), planes(tmp_path / "merged.exr")
    glossy = "ViewLayer.Glossy Direct.G"
    assert_allclose(after[glossy], before[glossy], rtol=1e-5)
    assert "ViewLayer.Combined.R" not in after  # that is R


def test_a_part_with_another_window_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = [tmp_path / "0.exr", tmp_path / "1.exr"]
    for seed, path in enumerate(paths):
        beauty = {name: plane + seed for name, plane in named(*rgb()).items()}
        parts = {"beauty": beauty, "small": named("mask", height=4)}
        save_parts(path, parts, displayWindow=((0, 0), (11, 9)))
    assert merge(tmp_path / "merged.exr", *paths).exit_code == 0
    assert "part 'small' has another window" in caplog.text


def test_sequences_are_merged_frame_by_frame(tmp_path: Path) -> None:
    for number in (".0007", ".0008"):
        rendered(tmp_path, 4, 4, number=number)
    words = [tmp_path / "render0.####.exr", tmp_path / "render1.####.exr"]
    assert merge(tmp_path / "merged.####.exr", *words).exit_code == 0
    assert (exr.read(tmp_path / "merged.0008.exr")["sample_count"] == 8).all()
    (tmp_path / "render1.0008.exr").unlink()
    text = refused(tmp_path / "again.####.exr", *words)
    assert "render1.####.exr: lacks frames that" in text
    assert not list(tmp_path.glob("again*"))


def test_renders_that_say_nothing_about_noise_are_refused(tmp_path: Path) -> None:
    output, (first, second) = tmp_path / "merged.exr", rendered(tmp_path, 4, 4)
    assert "One render has no spread" in refused(output, first)
    assert "the same image as" in refused(output, first, first)
    second.write_bytes(first.read_bytes())
    assert "the same image as" in refused(output, first, second)
    exr.write_frame(second, QuietScene(3, (48, 60)).render(4, 9).frame(), overwrite=True)
    assert "expected the data window of" in refused(output, first, second)
    broken = exr.read(first)
    broken["color"][0, 5, 5] = np.nan
    exr.write_frame(second, broken, overwrite=True)
    assert "1 of 3072 pixels of 'color' are NaN or Inf" in refused(output, first, second)
    exr.write_frame(second, without(QuietScene(3).render(4, 1).frame(), "normal"), overwrite=True)
    assert "normal is in only one of them" in refused(output, first, second)


def test_a_channel_that_only_the_first_has_is_named(tmp_path: Path) -> None:
    paths = [tmp_path / "0.exr", tmp_path / "1.exr"]
    save_exr(paths[0], named(*rgb(), "mask"))
    save_exr(paths[1], {name: plane + 1 for name, plane in named(*rgb()).items()})
    assert "exr has: mask. Render all" in refused(tmp_path / "merged.exr", *paths)
