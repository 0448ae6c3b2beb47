"""The benchmark of docs/results.md, on small frames and a random network."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks import provenance, quality
from benchmarks.quality_cache import Cache, Measurement
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
    (case,) = quality.cases(folder / "elsewhere", ["room"], [8], named)
    assert (case.noisy, case.reference) == (named["room:8"], named["room:reference"])


def test_all_missing_files_are_named_at_once(folder: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"room_64\.exr.*attic_8\.exr.*attic_reference\.exr"):
        quality.cases(folder, ["room", "attic"], [8, 64], {})


def test_the_summary_is_the_geometric_mean_of_ratios() -> None:
    def table(noisy: float, ours: float) -> quality.Table:
        values = {"noisy": noisy, "OIDN high": noisy, "kpcn": ours}
        return {
            name: Measurement(dict.fromkeys(METRICS, value), 1.0) for name, value in values.items()
        }

    rows = quality.summary([table(1.0, 0.5), table(0.8, 0.1)])
    assert rows[2] == ["kpcn", *["0.250"] * len(METRICS), ""]


def test_provenance_names_the_commit_and_versions() -> None:
    found = provenance.collect("benchmarks.quality", torch.device("cpu"), ["torch", "no-x"])
    assert found["command"].startswith("python -m benchmarks.quality")
    assert found["no-x"] == "not installed"
    assert found["commit"]
