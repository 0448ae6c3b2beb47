"""The benchmark of docs/results.md, on small frames and a random network."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from benchmarks import provenance, results
from kpcn_core import exr, weights
from kpcn_core.comparison import Comparison, Entry
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


def test_every_scene_by_every_method_with_every_metric_and_a_time(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = str(folder / "random.safetensors")
    words = [str(folder), "--scenes", "room", "yard", "--spp", "8", "32", "--device", "cpu"]
    outputs = ["--json", str(folder / "r.json"), "--sheet", str(folder / "r.png")]
    results.main([*words, "--model", model, *outputs])
    found = json.loads((folder / "r.json").read_text())
    frames = [(frame["scene"], frame["spp"]) for frame in found["frames"]]
    assert frames == [("room", 8), ("room", 32), ("yard", 8), ("yard", 32)]
    for frame in found["frames"]:
        noisy, *denoised = frame["images"]
        assert len(denoised) == 3
        assert noisy["seconds"] is None
        assert all(image["seconds"] > 0 for image in denoised)
        assert all(METRICS.keys() <= image.keys() for image in frame["images"])
    assert {"commit", "command", "date", "processor", "device", "weights", "pyoidn"} <= found[
        "provenance"
    ].keys()
    printed = capsys.readouterr().out
    assert "### yard, 32 spp" in printed
    assert "| relative to noisy" in printed
    with Image.open(folder / "r.png") as sheet:
        assert sheet.width > sheet.height > 4 * 24


def test_files_can_be_named_one_by_one(folder: Path) -> None:
    named = {"room:8": folder / "yard_8.exr", "room:reference": folder / "yard_reference.exr"}
    (case,) = results.cases(folder / "elsewhere", ["room"], [8], named)
    assert (case.noisy, case.reference) == (named["room:8"], named["room:reference"])


def test_all_missing_files_are_named_at_once(folder: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"room_64\.exr.*attic_8\.exr.*attic_reference\.exr"):
        results.cases(folder, ["room", "attic"], [8, 64], {})


def test_the_summary_is_the_geometric_mean_of_ratios() -> None:
    color = random_frame(8, 8)["color"]

    def comparison(noisy: float, ours: float) -> Comparison:
        values = ((name, value) for name, value in (("noisy", noisy), ("kpcn", ours)))
        return Comparison("", [Entry(n, color, None, dict.fromkeys(METRICS, v)) for n, v in values])

    table = results.summary([comparison(1.0, 0.5), comparison(0.8, 0.1)])
    assert table[1] == ["kpcn"] + ["0.250"] * len(METRICS)


def test_provenance_names_the_commit_and_versions() -> None:
    found = provenance.collect("benchmarks.results", torch.device("cpu"), ["torch", "no-x"])
    assert found["command"].startswith("python -m benchmarks.results")
    assert found["no-x"] == "not installed"
    assert found["commit"]
