"""Direct prediction: it trains, goes on, is measured like kernels, and is not released."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn
from torch.testing import assert_close

from kpcn_core import features
from kpcn_core.errors import UnreadableFile
from kpcn_core.model.network import Network
from tests.networks import EACH, NETWORKS, small_config
from tests.noisy_scene import NoisyScene
from training import config as configs
from training.baselines import DirectNetwork, RecurrentDirectNetwork, signed_exp
from training.batches import Batch, Batches
from training.cli import main
from training.config import BASELINES, BatchConfig, OptimizerConfig, RunConfig, TrainingConfig
from training.dataset import Dataset, Recipe
from training.errors import InvalidConfig
from training.fit import CHECKPOINT, fit
from training.mixture import Mixture
from training.networks import network_of
from training.release import averaged_network, read_checkpoint, release
from training.rendering import ReferenceGoal, render
from training.schedule import Budget
from training.validation import measure, samples

CPU = torch.device("cpu")
NAMES = ("irradiance", "specular", "emission", "albedo")
RECIPE = Recipe(generator="noisy scene 1", renderer="noise", spp=(2, 4), reach=2, around=(4,))


def config_of(stage: str, start: str = "", trunk: str = "unet", fold: int = 2) -> TrainingConfig:
    return TrainingConfig(
        stage=stage,
        network=small_config(trunk, fold),
        batches=BatchConfig(size=2, crop=32, reach=2 * (stage == "recurrent-direct"), future=False),
        optimizer=OptimizerConfig(rate=1e-2, warmup=1, decay=0.0),
        run=RunConfig(log_steps=1, validation_views=1, validation_spp=(2,), start=start),
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("data")
    for _ in render(folder, range(3), NoisyScene, RECIPE, ReferenceGoal(spp=128)):
        pass
    return Dataset(folder)


@pytest.fixture(scope="module")
def direct(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of direct prediction."""
    run = tmp_path_factory.mktemp("direct")
    fit(config_of("direct"), data.folder, run, Budget(3, None))
    return run


def trained(run: Path) -> Network | DirectNetwork:
    return averaged_network(read_checkpoint(run / CHECKPOINT))


def first(config: TrainingConfig) -> dict[str, Tensor]:
    torch.manual_seed(config.run.seed)
    return network_of(config).state_dict()


def changed(before: Mapping[str, Tensor], after: nn.Module) -> set[str]:
    """The modules with weights that are not what they were."""
    now = after.state_dict()
    return {name.split(".")[0] for name in now if not torch.equal(before[name], now[name])}


def batch_of(data: Dataset, trunk: str = "unet", *, future: bool = True) -> Batch:
    config = BatchConfig(size=2, crop=32, reach=2, future=future)
    stream = Batches(
        Mixture([data]), config, {"kpcn": small_config(trunk).encoders["kpcn"]}, seed=3
    )
    found = (stream.batch(step) for step in range(20))
    return next(one for one in found if one.centre and (one.centre + 1 < len(one.window)) == future)


def shaken(network: DirectNetwork) -> DirectNetwork:
    """All of its layers do something."""
    torch.manual_seed(5)
    for value in network.parameters():
        nn.init.normal_(value, std=0.1)
    return network.eval()


def denoised(network: DirectNetwork, batch: Batch) -> dict[str, Tensor]:
    with torch.inference_mode():
        found: dict[str, Tensor] = network(batch.window, batch.motion, batch.centre, "kpcn")
    return found


def test_signed_exp_is_the_inverse_of_signed_log() -> None:
    values = torch.tensor([-1e6, -3.0, -1e-5, 0.0, 1e-8, 0.18, 70.0, 1e6], dtype=torch.float64)
    assert_close(signed_exp(features.signed_log(values)), values, rtol=1e-12, atol=0.0)
    assert_close(features.signed_log(signed_exp(values / 1e5)), values / 1e5, rtol=1e-12, atol=0.0)


def test_signed_exp_has_its_true_derivative_everywhere() -> None:
    values = torch.tensor([-2.0, -1e-3, 0.0, 1e-3, 2.0], dtype=torch.float64, requires_grad=True)
    signed_exp(values).sum().backward()  # type: ignore[no-untyped-call]
    assert_close(values.grad, values.detach().abs().exp())


@pytest.mark.parametrize(("trunk", "fold"), NETWORKS)
@pytest.mark.parametrize("kind", [DirectNetwork, RecurrentDirectNetwork])
def test_prediction_starts_from_the_noisy_image(
    data: Dataset, kind: type[DirectNetwork], trunk: str, fold: int
) -> None:
    batch = batch_of(data, trunk)
    found = denoised(kind(small_config(trunk, fold)), batch)
    parts = batch.window[batch.centre].parts
    assert set(found) == set(parts) == set(NAMES)
    for name, image in found.items():
        assert_close(image, parts[name].radiance, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("trunk", "fold", "where"), EACH)
@pytest.mark.parametrize("kind", [DirectNetwork, RecurrentDirectNetwork])
def test_frames_of_any_size_are_read(
    data: Dataset, kind: type[DirectNetwork], trunk: str, fold: int, where: str
) -> None:
    batch = batch_of(data, trunk)
    rows, columns = slice(0, 29), slice(0, 23)
    window = [
        shot._replace(
            parts={name: part.cropped(rows, columns) for name, part in shot.parts.items()},
            aovs={name: aov[..., rows, columns] for name, aov in shot.aovs.items()},
        )
        for shot in batch.window
    ]
    motion = [vectors[..., rows, columns] for vectors in batch.motion]
    network = shaken(kind(small_config(trunk, fold, asymmetry=where)))
    found = denoised(network, batch._replace(window=window, motion=motion))
    for name, image in found.items():
        assert image.shape == (2, 3, 29, 23)
        assert image.isfinite().all()
        assert not torch.equal(image, window[batch.centre].parts[name].radiance)


def test_a_network_begins_with_the_features_of_kernel_prediction() -> None:
    kernels, direct = (first(config_of(stage)) for stage in ("single-frame", "direct"))
    shared = [name for name in kernels if name.startswith(("encoders.", "trunk."))]
    assert {f"extractor.{name}" for name in shared} == {
        name for name in direct if name.startswith("extractor.")
    }
    assert all(torch.equal(kernels[name], direct[f"extractor.{name}"]) for name in shared)


def test_r_dp_reads_past_frames_and_no_future_ones(data: Dataset) -> None:
    batch = batch_of(data)
    network = shaken(RecurrentDirectNetwork(small_config()))
    whole = denoised(network, batch)
    end = batch.centre + 1
    past = batch._replace(window=batch.window[:end], motion=batch.motion[:end])
    alone = batch._replace(
        window=[batch.window[batch.centre]], motion=[batch.motion[batch.centre]], centre=0
    )
    for name, image in denoised(network, past).items():
        assert torch.equal(image, whole[name])
    assert not torch.equal(denoised(network, alone)["irradiance"], whole["irradiance"])


def test_r_dp_reads_nothing_of_a_frame_that_motion_leaves(data: Dataset) -> None:
    batch = batch_of(data, future=False)
    network = shaken(RecurrentDirectNetwork(small_config()))
    motion = [torch.full_like(vectors, torch.nan) for vectors in batch.motion]
    alone = batch._replace(window=batch.window[-1:], motion=batch.motion[-1:], centre=0)
    for name, image in denoised(network, batch._replace(motion=motion)).items():
        assert_close(image, denoised(network, alone)[name])


def test_direct_prediction_trains_all_of_its_layers(direct: Path) -> None:
    before = first(config_of("direct"))
    assert changed(before, trained(direct)) == {"extractor", "colors"}


def test_r_dp_goes_on_from_direct_prediction_and_keeps_its_features(
    data: Dataset, direct: Path, tmp_path: Path
) -> None:
    config = config_of("recurrent-direct", start=str(direct / CHECKPOINT))
    fit(config, data.folder, tmp_path, Budget(3, None))
    before = first(config) | trained(direct).state_dict()
    assert changed(before, trained(tmp_path)) == {"combiner", "colors"}
    origin = read_checkpoint(tmp_path / CHECKPOINT)["kpcn"]["start"]
    assert (origin["stage"], origin["steps"]) == ("direct", "3")


def test_a_stopped_run_takes_the_same_course(data: Dataset, direct: Path, tmp_path: Path) -> None:
    for steps in (2, 3):
        fit(config_of("direct"), data.folder, tmp_path, Budget(steps, None, decay=False))
    whole = trained(direct).state_dict()
    for name, value in trained(tmp_path).state_dict().items():
        assert_close(value, whole[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("stage", BASELINES)
def test_held_out_views_are_measured(data: Dataset, stage: str) -> None:
    torch.manual_seed(0)
    network = network_of(config_of(stage)).eval()
    (sample,) = samples(data.validation, [2], reach=2, future=False)
    assert sample.label == "2spp-past2"
    for name, (before, after) in measure(network, sample, "kpcn", CPU).items():
        assert before == pytest.approx(after, rel=1e-4, abs=1e-6), name


def test_a_baseline_is_validated_but_not_released(
    data: Dataset, direct: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidConfig, match=r"stage 'direct' predicts colors.*validate"):
        release(direct / CHECKPOINT, tmp_path / "net.safetensors", "fit")
    output = str(tmp_path / "net.safetensors")
    refused = CliRunner().invoke(main, ["release", str(direct), output])
    assert refused.exit_code == 1
    assert "predicts colors" in refused.output
    assert not list(tmp_path.iterdir())
    measured = CliRunner().invoke(main, ["validate", str(data.folder), str(direct), "--spp", "2"])
    assert "final" in measured.output


def test_a_baseline_starts_from_nothing_else(data: Dataset, direct: Path, tmp_path: Path) -> None:
    kernels = tmp_path / "kernels"
    fit(config_of("single-frame"), data.folder, kernels, Budget(1, None))
    wrong = config_of("recurrent-direct", start=str(kernels / CHECKPOINT))
    with pytest.raises(InvalidConfig, match="starts from a checkpoint of stage 'direct'"):
        fit(wrong, data.folder, tmp_path / "run", Budget(1, None))
    other = config_of("recurrent-direct", start=str(direct / CHECKPOINT))
    other = replace(other, network=small_config(fold=1))
    with pytest.raises(InvalidConfig, match="its network is"):
        fit(other, data.folder, tmp_path / "run", Budget(1, None))
    with pytest.raises(UnreadableFile, match="no such checkpoint"):
        fit(
            config_of("direct", start=str(tmp_path / "none.ckpt")),
            data.folder,
            tmp_path / "run",
            Budget(1, None),
        )


def test_windows_of_past_frames_have_no_others(data: Dataset) -> None:
    stream = Batches(
        Mixture([data]), BatchConfig(size=1, crop=32, reach=2, future=False), {"k": ("color",)}, 1
    )
    lengths = {(one.centre, len(one.window)) for one in map(stream.batch, range(12))}
    assert lengths == {(1, 2), (2, 3)}


@pytest.mark.parametrize("stage", BASELINES)
def test_a_configuration_ships(stage: str) -> None:
    config = configs.load(stage)
    assert config.stage == stage
    assert config.network == configs.load("compact").network
