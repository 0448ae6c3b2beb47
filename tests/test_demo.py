"""`kpcn demo` on a small sequence and a random network."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from kpcn_core import exr, weights
from kpcn_core.cli.main import main
from kpcn_core.metrics import METRICS
from tests.frames import random_frame
from tests.networks import random_network


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three noisy frames, a reference for the second, and weights."""
    for number in (1, 2, 3):
        exr.write_frame(tmp_path / f"noisy.{number:04}.exr", random_frame(32, 40, seed=number))
    exr.write_frame(tmp_path / "reference.0002.exr", random_frame(32, 40, seed=9))
    weights.save(tmp_path / "random.safetensors", random_network(), {"steps": "0"})
    return tmp_path


def demo(folder: Path, *arguments: str) -> Result:
    model = str(folder / "random.safetensors")
    words = ["demo", "-o", str(folder / "out"), "--examples", str(folder), "--model", model]
    return CliRunner().invoke(main, [*words, "--device", "cpu", *arguments])


def test_every_frame_is_denoised_and_the_page_shows_it(folder: Path) -> None:
    result = demo(folder)
    assert result.exit_code == 0, result.output
    expected = [folder / "out" / f"denoised.000{n}.exr" for n in (1, 2, 3)]
    expected.append(folder / "out" / "index.html")
    assert sorted((folder / "out").iterdir()) == expected
    assert result.stdout.splitlines() == [str(path) for path in expected]
    noisy, clean = (exr.read(p)["color"] for p in (folder / "noisy.0001.exr", expected[0]))
    assert np.abs(noisy - clean).max() > 0.01
    page = expected[-1].read_text()
    header = weights.describe(folder / "random.safetensors")
    for text in ("noisy", "kpcn", "OIDN", "reference", "noisy.0003.exr", header["sha256"]):
        assert text in page
    assert page.count('class="best"') == len(METRICS)


def test_results_are_replaced_only_on_request(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "index.html").write_text("mine")
    refused = demo(folder)
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
    assert [path.name for path in (folder / "out").iterdir()] == ["index.html"]
    assert demo(folder, "--overwrite").exit_code == 0


def test_missing_examples_are_one_clear_line(folder: Path) -> None:
    empty = folder / "empty"
    empty.mkdir()
    result = CliRunner().invoke(main, ["demo", "--examples", str(empty)])
    assert result.exit_code == 1
    assert "--examples DIR" in result.stderr
    assert len(result.stderr.splitlines()) == 1
