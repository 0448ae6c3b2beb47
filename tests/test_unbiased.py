"""The benchmark of docs/rendering.md: agreement of noise, and of a small real scene."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import unbiased
from benchmarks.unbiased import Estimate, Floats, agreement, of_frame, of_renders
from kpcn_core.frame import Frame
from tests.exr_files import save_exr

SIZE = (3, 64, 64)

SCENE = """
<scene version="3.0.0">
  <default name="width" value="8"/>
  <integrator type="path"><integer name="max_depth" value="2"/></integrator>
  <sensor type="perspective">
    <transform name="to_world"><lookat origin="0,0,4" target="0,0,0" up="0,1,0"/></transform>
    <film type="hdrfilm">
      <integer name="width" value="$width"/><integer name="height" value="16"/>
      <rfilter type="box"/>
    </film>
  </sensor>
  <emitter type="constant"/>
  <shape type="sphere"><bsdf type="roughplastic"/></shape>
</scene>"""


def noisy(seed: int, bias: float = 0.0, number: int = 1) -> Floats:
    rng = np.random.default_rng(seed)
    images: Floats = 1 + bias + rng.normal(scale=0.2, size=(number, *SIZE))
    return images


def ours(bias: float = 0.0) -> Estimate:
    color, variance = noisy(0, bias)[0].astype(np.float32), np.full(SIZE, 0.04, np.float32)
    return of_frame(Frame({"color": color, "color_mse": variance}), 8)


def test_unbiased_noise_has_normal_z_scores() -> None:
    found = agreement(ours(), of_renders(noisy(1, number=16), 8), "noise", "noise", 1)
    assert found.number == 3 * 8 * 8
    assert abs(found.mean_z) < 0.2
    assert abs(found.std_z - 1) < 0.15
    assert found.beyond_3 < 0.02
    assert max(map(abs, found.difference_z)) < 3


def test_a_bias_of_a_tenth_of_the_noise_is_found() -> None:
    found = agreement(ours(0.02), of_renders(noisy(1, number=16), 8), "noise", "noise", 1)
    assert min(found.difference_z) > 4
    assert found.difference == pytest.approx((0.02,) * 3, abs=0.01)


def test_incomplete_blocks_are_left_out() -> None:
    assert unbiased.blocks(np.zeros((3, 17, 25)), 8).shape == (3, 2, 3)


def test_a_scene_beside_mitsuba_and_its_reference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "ball"
    folder.mkdir()
    path, target = folder / "scene.xml", tmp_path / "found.json"
    path.write_text(SCENE)
    names = [f"{layer}{channel}" for layer in ("", "mse.") for channel in "RGB"]
    save_exr(folder / "reference.exr", dict.fromkeys(names, np.ones((16, 24), np.float32)))
    words = ["-D", "width=24", "--spp", "64", "--renders", "8", "--block", "8"]
    unbiased.main([str(path), *words, "--json", str(target)])
    record = json.loads(target.read_text())
    assert {"commit", "command", "date", "processor", "mitsuba"} <= record["provenance"].keys()
    stock, reference = record["agreements"]
    assert stock["scene"] == reference["scene"] == "ball"
    assert abs(stock["mean_z"]) < 1.5
    assert max(map(abs, stock["difference_z"])) < 4.5
    assert reference["against"] == "reference.exr"
    assert "Mitsuba, 8 x 64 spp" in capsys.readouterr().out
