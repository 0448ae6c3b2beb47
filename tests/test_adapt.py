"""Adaptation: one more encoder from frames of a renderer, and nothing else changes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from numpy.testing import assert_allclose

from kpcn_core import exr, weights
from kpcn_core.denoiser import Denoiser
from kpcn_core.errors import KpcnError, MissingFrames
from kpcn_core.exr_layers import write_layers
from kpcn_core.frame import Frame
from kpcn_core.model.network import Network
from tests.networks import random_network, small_config
from tests.noisy_scene import NoisyScene
from tests.training_data import make_dataset
from training.adapt import adapt
from training.adaptation import planes_of
from training.cli import main
from training.collecting import Footage, collect
from training.config import BatchConfig, OptimizerConfig, RunConfig, TrainingConfig
from training.dataset import Dataset
from training.fit import fit
from training.schedule import Budget
from training.views import REFERENCE

FRAMES = range(21, 29)
SOURCE = """
title = "the studio's renderer"
[aovs]
color = "beauty"
albedo = "basecolor"
normal = "N"
diffuse = { layers = ["lit", "bounced"] }
"""
BASE = TrainingConfig(
    batches=BatchConfig(size=4, crop=32),
    optimizer=OptimizerConfig(rate=2e-3, warmup=2, average=0.9),
    run=RunConfig(log_steps=1, validation_views=1, validation_spp=(4,)),
)


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    """Frames of a renderer with layers of its own, without variance or sample counts."""
    folder = tmp_path_factory.mktemp("footage")
    (folder / "studio.toml").write_text(SOURCE)
    for frame in FRAMES:
        for name, spp in (("a", 4), ("b", 8), ("clean", 512)):
            mean = NoisyScene(frame).render(spp, spp).frame()
            layers = {
                "beauty": mean["color"], "basecolor": mean["albedo"], "N": mean["normal"],
                "lit": 0.75 * mean["diffuse"], "bounced": 0.25 * mean["diffuse"],
            }  # fmt: skip
            write_layers(folder / f"{name}.{frame:04d}.exr", layers)
    return Footage(
        (f"{folder}/a.####.exr", f"{folder}/b.####.exr"), (4, 8), f"{folder}/clean.####.exr",
        f"{folder}/studio.toml",
    )  # fmt: skip


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "start.safetensors"
    weights.save(path, random_network(), {"licence": "ours"})
    return path


def test_frames_become_views_with_what_the_source_gives(footage: Footage, tmp_path: Path) -> None:
    assert [frame for frame, _ in collect(footage, tmp_path)] == list(FRAMES)
    data = Dataset(tmp_path)
    view = next(view for view in data.training if view.seed == 25)
    assert view.spp == {"0": 4, "1": 8}
    found, truth = view.aovs([REFERENCE]), NoisyScene(25).truth()
    assert found.keys() == {"color", "diffuse", "albedo", "normal"}
    assert_allclose(found["diffuse"].mean(), truth["diffuse"].mean(), rtol=0.02)
    assert_allclose(found["albedo"], truth["albedo"], rtol=2e-3)


def test_collecting_goes_on_where_it_was_stopped(footage: Footage, tmp_path: Path) -> None:
    answers = iter([False, False, True])
    assert [frame for frame, _ in collect(footage, tmp_path, lambda: next(answers))] == [21, 22]
    assert [frame for frame, _ in collect(footage, tmp_path)] == list(FRAMES[2:])


def test_adapted_weights_differ_by_one_encoder_that_is_better_than_before(
    footage: Footage, start: Path, tmp_path: Path
) -> None:
    output = tmp_path / "adapted.safetensors"
    made = adapt(footage, tmp_path / "run", output, str(start), BASE, Budget(40, None))
    assert made == "studio"
    before, after = (weights.load(path) for path in (start, output))
    old, new = before.state_dict(), after.state_dict()
    assert new.keys() - old.keys() == {
        f"encoders.studio.{layer}.{kind}" for layer in ("first", "second")
        for kind in ("weight", "bias")
    }  # fmt: skip
    assert all(torch.equal(new[name], old[name]) for name in old)
    assert after.config.encoders["studio"] == (
        "irradiance",
        "specular",
        "emission",
        "albedo",
        "normal",
    )
    frame = exr.read(Path(footage.noisy[0].replace("####", "0024")), footage.source)
    assert Denoiser(after, torch.device("cpu")).choose_encoder(frame) == "studio"
    assert error(after, frame, 24) < 0.95 * error(before, frame, 24)


def error(network: Network, frame: Frame, seed: int) -> float:
    denoised = Denoiser(network, torch.device("cpu")).denoise(frame)["color"]
    truth = NoisyScene(seed).truth()["color"]
    return float((np.abs(denoised - truth) / (np.abs(denoised) + truth + 1e-2)).mean())


def test_an_encoder_starts_like_the_one_that_reads_most_of_the_same(
    start: Path, tmp_path: Path
) -> None:
    """So that an adaptation of no step at all is as good as that one."""
    data = make_dataset(tmp_path / "data")
    output = tmp_path / "same.safetensors"
    still = replace(BASE, optimizer=replace(BASE.optimizer, rate=1e-12))
    adapt(data.folder, tmp_path / "run", output, str(start), still, Budget(1, None), encoder="twin")
    network = weights.load(output)
    twin, kpcn = (network.encoders[name].state_dict() for name in ("twin", "kpcn"))
    for name, value in kpcn.items():
        torch.testing.assert_close(twin[name], value)


def test_planes_are_all_that_the_frames_give() -> None:
    network = small_config()
    assert planes_of({"color"}, network) == ("specular",)
    assert planes_of({"color", "color_mse", "normal"}, network) == (
        "specular", "specular_variance", "normal",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spp": (4,)}, "--spp"),
        ({"frames": "21-40"}, "29"),
        ({"source": "arnold"}, "color"),
    ],
)
def test_files_that_do_not_fit_are_explained(
    footage: Footage, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    with pytest.raises(KpcnError, match=message):
        list(collect(replace(footage, **change), tmp_path))  # type: ignore[arg-type]


def test_a_frame_without_a_reference_is_named(footage: Footage, tmp_path: Path) -> None:
    lonely = replace(footage, noisy=(footage.reference,), reference=footage.noisy[0])
    extra = Path(footage.noisy[0].replace("####", "0040"))
    extra.write_bytes(Path(footage.noisy[0].replace("####", "0024")).read_bytes())
    try:
        with pytest.raises(MissingFrames, match="40"):
            list(collect(lonely, tmp_path))
    finally:
        extra.unlink()


def test_an_encoder_that_needs_variance_is_not_trained_without(
    footage: Footage, start: Path, tmp_path: Path
) -> None:
    list(collect(footage, tmp_path / "data"))
    config = replace(BASE, network=small_config())
    with pytest.raises(KpcnError, match=r"kpcn.*variance"):
        fit(config, tmp_path / "data", tmp_path / "run", Budget(2, None))


def test_the_command_adapts(footage: Footage, start: Path, tmp_path: Path) -> None:
    config = tmp_path / "quick.toml"
    config.write_text('stage = "adaptation"\n[batches]\nsize = 2\ncrop = 32\n')
    output = tmp_path / "adapted.safetensors"
    words = ["adapt", str(tmp_path / "run"), "--reference", footage.reference]
    words += [word for pattern in footage.noisy for word in ("--noisy", pattern)]
    words += ["--spp", "4", "--spp", "8", "--source", footage.source, "--start", str(start)]
    words += ["--config", str(config), "--max-steps", "2", "-o", str(output)]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert "encoder 'studio' added" in result.output
    assert weights.describe(output)["data_licence"] == "the owner's"
