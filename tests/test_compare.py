"""`kpcn compare`: what it prints, what it writes, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from kpcn_core import exr, weights
from kpcn_core.cli.main import main
from kpcn_core.frame import Frame
from kpcn_core.metrics import METRICS
from tests.frames import random_frame
from tests.networks import random_network


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A reference, a noisy image with guides, and a clean one."""
    frame = random_frame(40, 50)
    reference = frame["color"]
    grain = np.random.default_rng(1).normal(1.0, 0.4, reference.shape).astype(np.float32)
    save(tmp_path / "ref.exr", Frame({"color": reference}))
    save(tmp_path / "noisy.exr", frame.with_aovs(color=reference * grain))
    save(tmp_path / "clean.exr", Frame({"color": reference * np.float32(1.01)}))
    return tmp_path


def save(path: Path, frame: Frame) -> None:
    exr.write_frame(path, frame)


def compare(folder: Path, *arguments: str) -> Result:
    """Run the command; names of EXR files and outputs are within the folder."""
    words = [str(folder / word) if "." in word else word for word in arguments]
    return CliRunner().invoke(main, ["compare", *words])


def test_one_row_an_image_with_every_metric(folder: Path) -> None:
    result = compare(folder, "noisy.exr", "clean.exr", "--reference", "ref.exr")
    assert result.exit_code == 0, result.output
    heading, _, noisy, clean = (line.split("|")[1:-1] for line in result.stdout.splitlines())
    assert [cell.strip() for cell in heading[1:]] == [m.title for m in METRICS.values()]
    assert noisy[0].strip() == str(folder / "noisy.exr")
    assert all(float(a) > float(b) for a, b in zip(noisy[1:], clean[1:], strict=True))


def test_oidn_adds_a_row_with_its_guides_and_seconds(folder: Path) -> None:
    result = compare(folder, "noisy.exr", "--reference", "ref.exr", "--oidn")
    assert result.exit_code == 0, result.output
    heading, _, _, oidn = result.stdout.splitlines()
    assert "OIDN" in oidn
    assert "(color, albedo, normal)" in oidn
    assert heading.rstrip("| ").endswith("seconds")


def test_json_and_page_hold_the_figures(folder: Path) -> None:
    result = compare(
        folder, "noisy.exr", "--reference", "ref.exr", "--json", "m.json", "--report", "p.html"
    )
    assert result.exit_code == 0, result.output
    figures = json.loads((folder / "m.json").read_text())
    (noisy,) = figures["images"]
    assert noisy["metrics"].keys() == METRICS.keys()
    assert {"command", "date", "kpcn", "processor"} <= figures["provenance"].keys()
    page = (folder / "p.html").read_text()
    assert all(f"{value:.4f}" in page for value in noisy["metrics"].values())


def test_lambdas_add_a_row_each_and_keep_more_as_they_rise(folder: Path) -> None:
    weights.save(folder / "random.safetensors", random_network(), {"steps": "0"})
    words = ("noisy.exr", "--reference", "ref.exr", "--asymmetry", "1,10", "--label", "noisy")
    result = compare(folder, *words, "--model", "random.safetensors", "--report", "p.html")
    assert result.exit_code == 0, result.output
    names = [line.split("|")[1].strip() for line in result.stdout.splitlines()[2:]]
    assert names == ["noisy", "kpcn, λ = 1", "kpcn, λ = 10"]
    labels = [layer["label"] for layer in page_layers(folder / "p.html") if not layer["unit"]]
    assert labels == [*names, "reference"]


def test_images_alone_make_a_page_without_figures(folder: Path) -> None:
    result = compare(folder, "noisy.exr", "clean.exr", "--report", "p.html")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert len(page_layers(folder / "p.html")) == 2
    assert "<table>" not in (folder / "p.html").read_text()


def test_the_maps_of_a_file_are_on_the_page(folder: Path) -> None:
    counts = np.full((1, 40, 50), 16, dtype=np.float32)
    frame = exr.read(folder / "noisy.exr").with_aovs(sample_count=counts)
    maps = {name: np.full((1, 40, 50), 2, np.float32) for name in ("error", "samples")}
    exr.write_frame(folder / "adaptive.exr", frame, layers=maps)
    result = compare(folder, "adaptive.exr", "--reference", "ref.exr", "--report", "p.html")
    assert result.exit_code == 0, result.output
    units = [layer["unit"] for layer in page_layers(folder / "p.html") if layer["unit"]]
    assert units == ["SMAPE", "error in the file", "samples", "samples in all"]


def test_a_part_of_the_images_makes_a_smaller_page_with_the_figures_of_all(folder: Path) -> None:
    words = ("noisy.exr", "--reference", "ref.exr", "--report")
    whole = compare(folder, *words, "p.html")
    part = compare(folder, *words, "q.html", "--crop", "10,20,8,12")
    assert part.exit_code == 0, part.output
    assert part.stdout == whole.stdout
    frame = page_frame(folder / "q.html")
    assert (frame["width"], frame["height"]) == (8, 12)
    assert (folder / "q.html").stat().st_size < (folder / "p.html").stat().st_size


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["noisy.exr", "--report", "p.html", "--crop", "45,0,10,10"], "not within the images"),
        (["noisy.exr", "--report", "p.html", "--crop", "0,0,0,5"], "is no rectangle"),
        (["noisy.exr"], "nothing can be measured"),
        (["noisy.exr", "--json", "m.json", "--report", "p.html"], "nothing can be measured"),
        (["noisy.exr", "--report", "p.html", "--label", "a", "--label", "b"], "2 times --label"),
        (["noisy.exr", "noisy.exr", "--report", "p.html"], "Two images have one name"),
        (["noisy.exr", "--report", "p.html", "--asymmetry", "1;2"], "no list of numbers"),
        (["noisy.exr", "small.exr", "--report", "p.html"], "found 50x20"),
    ],
)
def test_what_cannot_be_compared_is_refused(folder: Path, words: list[str], message: str) -> None:
    save(folder / "small.exr", random_frame(20, 50))
    result = compare(folder, *words)
    assert result.exit_code != 0
    assert message in result.stderr
    assert not (folder / "p.html").exists()


def page_layers(page: Path) -> Any:
    """What the page shows of its frame."""
    return page_frame(page)["layers"]


def page_frame(page: Path) -> Any:
    """The first frame of the page."""
    text = page.read_text(encoding="utf-8").partition('id="data">')[2].partition("</script>")[0]
    return json.loads(text)["frames"][0]


def test_existing_files_are_replaced_only_on_request(folder: Path) -> None:
    (folder / "p.html").write_text("mine")
    words = ("noisy.exr", "--reference", "ref.exr", "--report", "p.html")
    refused = compare(folder, *words)
    assert refused.exit_code == 1
    assert refused.stdout == ""
    assert "exists already" in refused.stderr
    assert (folder / "p.html").read_text() == "mine"
    assert compare(folder, *words, "--overwrite").exit_code == 0
    assert (folder / "p.html").read_text() != "mine"


def test_sizes_that_differ_are_one_clear_line_and_no_output(folder: Path) -> None:
    save(folder / "small.exr", random_frame(20, 50))
    result = compare(folder, "small.exr", "--reference", "ref.exr", "--json", "m.json")
    assert result.exit_code == 1
    assert "small.exr: The image is 50x20 pixels, the reference 50x40" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (folder / "m.json").exists()


def test_windows_that_lie_elsewhere_are_a_warning(folder: Path) -> None:
    save(folder / "moved.exr", replace(exr.read(folder / "clean.exr"), origin=(3, -2)))
    result = compare(folder, "moved.exr", "clean.exr", "--reference", "ref.exr")
    assert result.exit_code == 0
    assert result.stderr.count("Warning") == 1
    assert "moved.exr: its data window starts at (3, -2)" in result.stderr


def test_a_missing_file_is_one_clear_line(folder: Path) -> None:
    result = compare(folder, "nowhere.exr", "--reference", "ref.exr")
    assert result.exit_code == 1
    assert "nowhere.exr" in result.stderr
    assert len(result.stderr.splitlines()) == 1
