"""The ONNX file, run by onnxruntime, does what the denoiser does."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from numpy.testing import assert_allclose, assert_array_equal

from kpcn_core import weights
from kpcn_core.cli.main import main
from kpcn_core.frame import Frame, Pixels
from tests.exports import denoiser, network
from tests.frames import random_frame

pytestmark = pytest.mark.usefixtures("kernels_alone")

SIZE = (21, 27)


class Exported(NamedTuple):
    """An exported file."""

    encoder: str
    bottom_up: bool
    session: onnxruntime.InferenceSession

    def run(self, frame: Frame, asymmetry: float | Pixels) -> tuple[Pixels, Pixels]:
        """Denoised color and what was not finite, rows from the top."""
        plane = np.broadcast_to(np.float32(asymmetry), frame.size)
        images = {**frame.aovs, "asymmetry": plane[None]}
        names = [one.name for one in self.session.get_inputs()]
        step = -1 if self.bottom_up else 1
        given = {name: np.ascontiguousarray(images[name][None, :, ::step]) for name in names}
        found = self.session.run(["denoised", "invalid"], given)
        denoised, invalid = (one[0][:, ::step] for one in found)
        return denoised, invalid[0]


@pytest.fixture(scope="module", params=[("kpcn", False), ("generic", True)], ids=str)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    encoder, bottom_up = request.param
    folder = tmp_path_factory.mktemp("onnx")
    model, target = folder / "small.safetensors", folder / "kpcn.onnx"
    weights.save(model, network(), {})
    command = ["export", "houdini", "-o", str(target), "--model", str(model), "--encoder", encoder]
    rows = ["--bottom-up"] if bottom_up else []
    result = CliRunner().invoke(main, [*command, "--size", f"{SIZE[1]}x{SIZE[0]}", *rows])
    assert result.exit_code == 0, result.output
    providers = ["CPUExecutionProvider"]
    return Exported(encoder, bottom_up, onnxruntime.InferenceSession(target, providers=providers))


@pytest.mark.parametrize("asymmetry", [1.0, 2.0, 4.0, 10.0])
def test_it_equals_the_denoiser_at_any_asymmetry(exported: Exported, asymmetry: float) -> None:
    frame = random_frame(*SIZE)
    expected = denoiser().denoise(frame, encoder=exported.encoder, asymmetry=asymmetry)["color"]
    found, _ = exported.run(frame, asymmetry)
    assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_the_asymmetry_may_be_painted(exported: Exported) -> None:
    frame = random_frame(*SIZE)
    plane = np.random.default_rng(0).uniform(0.0, 12.0, SIZE).astype("f4")  # is clamped to 1..10
    plane[2, 3] = np.nan
    expected = denoiser().denoise(frame, encoder=exported.encoder, asymmetry=plane)["color"]
    found, _ = exported.run(frame, plane)
    assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_what_is_not_finite_is_left_out_and_shown(exported: Exported) -> None:
    frame = random_frame(*SIZE)
    color = frame["color"].copy()
    color[:, 5, 6], color[1, 9:12, 9:12] = np.nan, np.inf
    broken = frame.with_aovs(color=color)
    expected = denoiser().denoise(broken, encoder=exported.encoder)["color"]
    found, invalid = exported.run(broken, 1.0)
    assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert_array_equal(invalid, (~np.isfinite(color)).any(axis=0))


def test_the_file_says_what_wrote_it(exported: Exported) -> None:
    about = exported.session.get_modelmeta().custom_metadata_map
    assert about["torch"] == torch.__version__
    assert about["encoder"] == exported.encoder
    assert about["rows"] == ("bottom up" if exported.bottom_up else "top down")
    assert all(size is not None for one in exported.session.get_inputs() for size in one.shape)


@pytest.mark.parametrize("size", ["0x5", "1920", "1920x1080x3"])
def test_a_size_that_is_none_is_refused(size: str, tmp_path: Path) -> None:
    command = ["export", "houdini", "-o", str(tmp_path / "a.onnx"), "--size", size]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2
    assert "is not a size" in result.output
