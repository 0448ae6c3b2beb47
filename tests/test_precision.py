"""Features in half precision: what stays the same, what is chosen, and what cannot be had."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from benchmarks import precision
from kpcn_core import exr, weights
from kpcn_core.cli.main import main
from kpcn_core.denoiser import Denoiser
from kpcn_core.device import AUTO, PRECISIONS, choose_precision
from kpcn_core.errors import UnknownName
from kpcn_core.frame import Frame
from kpcn_core.settings import Settings
from tests.moving import moving_frames
from tests.networks import ASYMMETRIC, random_network

CPU, GPU = torch.device("cpu"), torch.device("cuda")
# Of the largest pixel: features are rounded by 1/512 and 1/4096 of themselves, layer after layer.
CLOSE = {"bfloat16": 0.05, "float16": 0.007}


def rendered(denoiser: Denoiser, settings: Settings) -> Frame:
    frames = [denoiser.encode(frame, settings) for frame in moving_frames(3, 21, 26)]
    return denoiser.render(denoiser.window(frames, 1), settings, 3.0)


@pytest.mark.parametrize("precision", CLOSE)
@pytest.mark.parametrize(("trunk", "fold", "asymmetry"), ASYMMETRIC)
def test_half_precision_is_close_wherever_lambda_enters(
    trunk: str, fold: int, asymmetry: str, precision: str
) -> None:
    network = random_network(trunk, fold, asymmetry=asymmetry)
    settings = Settings(aovs=("color", "albedo", "alpha"))
    exact = rendered(Denoiser(network, CPU), settings)
    found = rendered(Denoiser(network, CPU, precision=precision), settings)
    for aov in settings.aovs:
        assert found[aov].dtype == np.float32
        error = np.abs(found[aov] - exact[aov]).max() / np.abs(exact[aov]).max()
        assert error < CLOSE[precision], aov
    assert np.abs(found["color"] - exact["color"]).max() > 0


def test_constant_colors_stay_constant_to_single_precision() -> None:
    (frame,) = moving_frames(1, 12, 14)
    aovs = {
        name: np.full_like(frame[name], value)
        for name, value in (("color", 0.9), ("diffuse", 0.5), ("specular", 0.3), ("albedo", 0.4))
    }
    clean = Denoiser(random_network(), CPU, precision="bfloat16").denoise(frame.with_aovs(**aovs))
    np.testing.assert_allclose(clean["color"], 0.9, rtol=1e-6)


@pytest.mark.parametrize("trunk", ["unet", "residual"])
def test_all_features_are_half_and_all_kernels_single(trunk: str) -> None:
    network = random_network(trunk, 2).in_precision(torch.bfloat16)
    halves = {name for name, value in network.named_parameters() if value.dtype == torch.bfloat16}
    rest = {name for name, _ in network.named_parameters()} - halves
    assert network.precision == torch.bfloat16
    assert all(".logits." in name for name in rest)
    assert not any(".logits." in name for name in halves)
    denoiser = Denoiser(random_network(trunk, 2), CPU, precision="bfloat16")
    (frame,) = moving_frames(1, 16, 16)
    assert {level.dtype for level in denoiser.encode(frame).features} == {torch.bfloat16}


def test_a_network_in_half_precision_is_a_copy_and_keeps_its_name() -> None:
    network = random_network()
    before = weights.digest(network.state_dict())
    assert Denoiser(network, CPU, precision="float16").digest == before
    assert network.precision == torch.float32
    assert network.in_precision(torch.float32) is network


def test_a_gpu_is_given_what_it_multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    assert choose_precision(AUTO, GPU) == torch.bfloat16
    assert choose_precision("float32", GPU) == torch.float32
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert choose_precision(AUTO, GPU) == torch.float32
    assert choose_precision("float16", GPU) == torch.float16
    with pytest.raises(UnknownName, match=r"bfloat16: Old GPU .* Use float16"):
        choose_precision("bfloat16", GPU)


def test_a_processor_computes_in_single_precision_unless_it_is_told() -> None:
    assert choose_precision(AUTO, CPU) == torch.float32
    assert {name: choose_precision(name, CPU) for name in PRECISIONS} == PRECISIONS
    with pytest.raises(UnknownName, match=r"half: there is no such precision\. Use auto, float32"):
        choose_precision("half", CPU)


def test_what_it_loses_is_measured_beside_float32_and_a_reference(tmp_path: Path) -> None:
    model, output = tmp_path / "small.safetensors", tmp_path / "found.json"
    weights.save(model, random_network(), {})
    noisy, clean = moving_frames(2, 16, 24)
    exr.write_frame(tmp_path / "room_8.exr", noisy)
    exr.write_frame(tmp_path / "room_reference.exr", clean)
    precision.main([str(tmp_path / "room_8.exr"), "--model", str(model), "--json", str(output)])
    rows = {row["precision"]: row for row in json.loads(output.read_text())["rows"]}
    assert list(rows) == list(PRECISIONS)
    assert rows["float32"]["largest"] == rows["float32"]["more"] == 0
    assert rows["bfloat16"]["largest"] > rows["float16"]["largest"] > 0
    assert rows["bfloat16"]["left"] - rows["bfloat16"]["more"] == pytest.approx(
        rows["float32"]["left"]
    )
    assert 0 < rows["float16"]["feature"] < 65504


def test_the_command_computes_in_the_precision_that_it_is_given(tmp_path: Path) -> None:
    model, noisy = tmp_path / "small.safetensors", tmp_path / "noisy.exr"
    network = random_network()
    weights.save(model, network, {})
    (frame,) = moving_frames(1, 12, 15)
    exr.write_frame(noisy, frame)
    words = ["denoise", str(noisy), "-o", str(tmp_path / "clean.exr"), "--model", str(model)]
    result = CliRunner().invoke(main, [*words, "--device", "cpu", "--precision", "bfloat16"])
    assert result.exit_code == 0, result.output
    expected = Denoiser(network, CPU, precision="bfloat16").denoise(exr.read(noisy))
    found = exr.read(tmp_path / "clean.exr")["color"]
    np.testing.assert_array_equal(found, expected["color"])
