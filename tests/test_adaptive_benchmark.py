"""The benchmark of docs/adaptive.md, on a small scene and a random network."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from benchmarks import adaptive, sampling_sheet
from benchmarks.sampling_sheet import Cell, Row
from kpcn_core import weights
from kpcn_core.cli.main import main
from kpcn_core.metrics import METRICS
from tests.frames import random_frame
from tests.networks import random_network

SCENE = """
<scene version="3.0.0">
  <integrator type="path"/>
  <sensor type="perspective">
    <transform name="to_world"><lookat origin="0,0,4" target="0,0,0" up="0,1,0"/></transform>
    <film type="hdrfilm">
      <integer name="width" value="40"/><integer name="height" value="40"/><rfilter type="box"/>
    </film>
  </sensor>
  <emitter type="constant"/>
  <shape type="sphere"><bsdf type="roughplastic"/></shape>
</scene>"""


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A scene with its reference, and weights."""
    path = tmp_path / "ball" / "scene.xml"
    path.parent.mkdir()
    path.write_text(SCENE)
    words = ["render", str(path), "-o", str(path.with_name("reference.exr")), "--spp", "64"]
    assert CliRunner().invoke(main, words).exit_code == 0
    weights.save(tmp_path / "random.safetensors", random_network(), {"steps": "0"})
    return path


def test_every_guide_is_measured_relative_to_uniform(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target, picture = tmp_path / "found.json", tmp_path / "sheet.png"
    words = [str(scene), "--guides", "variance", "smape", "--budgets", "16", "32"]
    outputs = ["--json", str(target), "--sheet", str(picture), "--shown", "variance"]
    model = ["--model", str(tmp_path / "random.safetensors"), "--device", "cpu"]
    adaptive.main([*words, *model, *outputs])
    record = json.loads(target.read_text())
    runs = [(found["guide"], found["budget"]) for found in record["results"]]
    assert runs == [("uniform", 16), ("uniform", 32), ("variance", 16), ("variance", 32)]
    for found in record["results"]:
        assert found["scene"] == "ball"
        assert found["metrics"].keys() == METRICS.keys()
        assert abs(found["bias"]) < 0.1
        if found["guide"] == "uniform" or found["budget"] == 16:
            assert set(found["relative"].values()) == {1.0}
    assert {"commit", "weights", "renderer", "command"} <= record["provenance"].keys()
    printed = capsys.readouterr().out
    assert "smape is left out: The guide 'smape' needs a network" in printed
    assert "32 spp, relative to uniform" in printed
    with Image.open(picture) as sheet:
        assert sheet.width == 3 * (sampling_sheet.WIDTH + sampling_sheet.GAP)


def test_budgets_must_be_reached_by_doubling(scene: Path) -> None:
    with pytest.raises(SystemExit, match="16 times a power of 2"):
        adaptive.main([str(scene), "--budgets", "20", "40"])


def test_a_sheet_shows_best_median_and_worst() -> None:
    frame = random_frame(8, 8)

    def row(scene: str, dssim: float) -> Row:
        relative = {"dssim": dssim, "mrse": 1.0}
        return Row(scene, Cell("smape", frame["color"], frame["alpha"][0], relative))

    rows = [row("a", 0.9), row("b", 0.5), row("c", 1.2), row("d", 0.8), row("e", 0.7)]
    chosen = sampling_sheet.best_median_worst(rows)
    assert [each.scene for each in chosen] == ["b", "d", "c"]
    assert sampling_sheet.best_median_worst(rows[:2]) == [rows[1], rows[0]]
