"""The benchmark of docs/results.md, on small frames and a random network."""

import json
from pathlib import Path
from shutil import copy

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import provenance, quality, quality_cases, quality_tables
from benchmarks.quality_cache import Cache, Measurement
from benchmarks.quality_cases import Case
from kpcn_core import exr, weights
from kpcn_core.errors import UnreadableFile
from kpcn_core.frame import Frame
from kpcn_core.metrics import METRICS
from tests.frames import random_frame
from tests.networks import random_network


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two scenes at two sample counts, their references, and weights."""
    for seed, scene in enumerate(("room", "yard")):
        frame = random_frame(24, 40, seed)
        exr.write_frame(tmp_path / f"{scene}_reference.exr", Frame({"color": frame["color"]}))
        for spp in (8, 32):
            exr.write_frame(tmp_path / f"{scene}_{spp}.exr", random_frame(24, 40, seed + spp))
    weights.save(tmp_path / "random.safetensors", random_network(), {"steps": "0"})
    return tmp_path


def words(folder: Path, *more: str) -> list[str]:
    """The command line of a small run."""
    return [
        *(str(folder), "--scenes", "room", "yard", "--spp", "8", "32", "--rounds", "1"),
        *("--models", str(folder / "random.safetensors"), "--json", str(folder / "q.json")),
        *("--cache", str(folder / "cache.json"), *more),
    ]


def test_every_scene_by_every_method_with_every_metric_and_a_time(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quality.main(words(folder, "--frames", "--asymmetry", "4", "--sheet", str(folder / "q.png")))
    found = json.loads((folder / "q.json").read_text())
    frames = [(frame["scene"], frame["spp"]) for frame in found["frames"]]
    assert frames == [("room", 8), ("room", 32), ("yard", 8), ("yard", 32)]
    for frame in found["frames"]:
        assert next(iter(frame["images"])) == "noisy"
        assert "kpcn random, λ = 4" in frame["images"]
        for name, image in frame["images"].items():
            assert METRICS.keys() <= image["metrics"].keys()
            assert (image["seconds"] is None) == (name == "noisy")
            assert image["brightness"] > 0
    assert {"commit", "command", "date", "processor", "device", "weights", "pyoidn"} <= found[
        "provenance"
    ].keys()
    printed = capsys.readouterr().out
    assert "### yard, 32 spp" in printed
    assert "| relative to noisy" in printed
    assert "| kpcn random / OIDN high" in printed
    with Image.open(folder / "q.png") as sheet:
        assert sheet.width > sheet.height > 4 * 24


def test_a_second_run_measures_only_what_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quality.main(words(folder))
    before = json.loads((folder / "cache.json").read_text())
    exr.write_frame(folder / "yard_8.exr", random_frame(24, 40, 77), overwrite=True)
    measured = []

    def measure(*given: object) -> Measurement:
        measured.append(given)
        return Measurement({}, 1.0)

    monkeypatch.setattr(quality, "_of", measure)
    with pytest.raises(KeyError):  # of the empty measurement, when the tables are made
        quality.main(words(folder))
    assert len(measured) == len(before) // 4  # the methods of one frame of four


def test_a_cache_tells_settings_apart_and_survives_the_process(tmp_path: Path) -> None:
    file = tmp_path / "frame"
    file.write_text("pixels")
    first = Measurement({"smape": 0.1}, 1.0, 2.0)
    Cache(tmp_path / "cache.json").get((file,), "ours", lambda: first)
    again = Cache(tmp_path / "cache.json")
    assert again.get((file,), "ours", lambda: pytest.fail("measured again")) == first
    other = Measurement({"smape": 0.2}, 1.0)
    assert again.get((file,), "theirs", lambda: other) == other


def test_files_can_be_named_one_by_one(folder: Path) -> None:
    named = {"room:8": folder / "yard_8.exr", "room:reference": folder / "yard_reference.exr"}
    (case,) = quality_cases.cases(folder / "elsewhere", ["room"], [8], named)
    assert (case.noisy, case.reference) == (named["room:8"], named["room:reference"])


def test_without_names_everything_that_is_there_is_measured(folder: Path) -> None:
    (folder / "cycles").mkdir()
    for what in ("reference", "16"):
        copy(folder / "room_reference.exr", folder / "cycles" / f"hall_{what}.exr")
    names = quality_cases.scenes(folder)
    found = quality_cases.cases(folder, names, None, {})
    assert [(case.scene, case.spp) for case in found] == [
        ("cycles/hall", 16), ("room", 8), ("room", 32), ("yard", 8), ("yard", 32),
    ]  # fmt: skip


def test_shots_are_measured_in_time_and_the_page_tells_everything(folder: Path) -> None:
    still = np.zeros((2, 24, 40), np.float32)
    for index in range(8):
        frame = random_frame(24, 40, 50 + index).with_aovs(forward=still, backward=still)
        exr.write_frame(folder / f"room_8.{index:04d}.exr", frame)
    page, results = folder / "q.html", folder / "results.md"
    results.write_text(
        "# R\n<!-- facts of summary -->\nwhat was there before\n<!-- end of facts -->\nprose\n"
    )
    quality.main(
        words(
            folder, "--asymmetry", "4", "--page", str(page), "--page-spp", "8",
            "--results", str(results),
        )
    )  # fmt: skip
    room, *others = json.loads((folder / "q.json").read_text())["frames"]
    assert all(not each["shot"] for each in others)
    assert {
        "noisy", "OIDN high", "kpcn random, window 1", "kpcn random, window 7",
        "kpcn random, window 7, λ = 4",
    } <= room["shot"].keys()  # fmt: skip
    for one in room["shot"].values():
        assert METRICS.keys() <= one["metrics"].keys()
        assert one["instability"] > 0
        assert one["variance"] > 0
    document = results.read_text()
    assert document.startswith("# R\n<!-- facts of summary -->\n\n`python -m benchmarks.quality")
    assert document.endswith("<!-- end of facts -->\nprose\n")
    assert "**Shot of 8 frames, room, 8 spp**" in document
    assert "what was there before" not in document
    text = page.read_text()
    for heading in ("Everything", "Consistency, kpcn random", "Shot of 8 frames, room, 8 spp"):
        assert f"<h3>{heading}</h3>" in text
    assert "room, 32 spp" not in text  # whose images were not asked for


def test_consistency_tells_where_an_error_rises_and_light_is_lost() -> None:
    def table(ours: float, light: float) -> quality_tables.Table:
        return {
            name: Measurement(dict.fromkeys(METRICS, value), brightness)
            for name, value, brightness in (("noisy", 0.2, 1.0), ("kpcn", ours, light))
        }

    found = [Case("room", spp, Path(), Path()) for spp in (8, 128, 512)]
    tables = [table(0.1, 0.98), table(0.05, 1.001), table(0.3, 1.0)]
    _, row = quality_tables.consistency(found, tables, "kpcn")
    assert row[2] == "no"
    assert row[3] == "1.500, 1.500"
    assert row[4] == "8: -2.00% 128: +0.10% 512: +0.00%"
    _, row = quality_tables.consistency(found[:2], tables[:2], "kpcn")
    assert row[2:4] == ["yes", "not rendered"]


def test_all_missing_files_are_named_at_once(folder: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"room_64\.exr.*attic_8\.exr.*attic_reference\.exr"):
        quality_cases.cases(folder, ["room", "attic"], [8, 64], {})


def test_the_summary_is_the_geometric_mean_of_ratios() -> None:
    def table(noisy: float, ours: float) -> quality_tables.Table:
        values = {"noisy": noisy, "OIDN high": noisy, "kpcn": ours}
        return {
            name: Measurement(dict.fromkeys(METRICS, value), 1.0) for name, value in values.items()
        }

    rows = quality_tables.summary([table(1.0, 0.5), table(0.8, 0.1)])
    assert rows[2] == ["kpcn", *["0.250"] * len(METRICS), ""]


def test_provenance_names_the_commit_and_versions() -> None:
    found = provenance.collect("benchmarks.quality", torch.device("cpu"), ["torch", "no-x"])
    assert found["command"].startswith("python -m benchmarks.quality")
    assert found["no-x"] == "not installed"
    assert found["commit"]
