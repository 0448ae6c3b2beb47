"""Stage `error`: a predictor learns how wrong a finished denoiser is."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from kpcn_core import weights
from kpcn_core.denoiser import Denoiser
from kpcn_core.frame import Frame
from kpcn_core.metric_maps import error_map
from kpcn_core.model.error_config import GUIDING_METRICS, ErrorConfig
from tests.networks import random_network
from tests.training_data import make_dataset
from training.batches import choose_buffers
from training.config import BatchConfig, OptimizerConfig, PairConfig, RunConfig, TrainingConfig
from training.dataset import Dataset
from training.error_batches import ErrorBatches
from training.error_stage import ErrorStage, map_error
from training.errors import InvalidConfig
from training.fit import CHECKPOINT, fit
from training.mixture import Mixture
from training.pairs import CLEANING, Pairs
from training.release import averaged_network, averaged_predictor, read_checkpoint, release
from training.schedule import Budget
from training.views import REFERENCE

STEPS = 40


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data")).folder


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> TrainingConfig:
    path = tmp_path_factory.mktemp("weights") / "net.safetensors"
    weights.save(path, random_network(), {"steps": "7"})
    return TrainingConfig(
        stage="error",
        predictor=ErrorConfig(channels=8, blocks=2, fold=2, deviation=True),
        pairs=PairConfig(str(path), draws=3),
        batches=BatchConfig(size=4, crop=32),
        optimizer=OptimizerConfig(rate=1e-2, warmup=5, average=0.9),
        run=RunConfig(log_steps=1),
    )


@pytest.fixture(scope="module")
def run(data: Path, config: TrainingConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    fit(config, data, folder, Budget(STEPS, None))
    return folder


def pairs_of(config: TrainingConfig, folder: Path) -> Pairs:
    return Pairs(config.pairs, folder / "pairs", config.run.seed)


def test_a_pair_is_what_the_denoiser_makes_of_a_view_and_how_wrong_it_is(
    data: Path, config: TrainingConfig, tmp_path: Path
) -> None:
    view, shares = Dataset(data).training[0], {"kpcn": 1.0, "generic": 0.0}
    made = Pairs(replace(config.pairs, asymmetric=0.0, shares=shares), tmp_path, 3)
    pair = made.pair(view, 1)
    buffers = choose_buffers(view.spp, np.random.default_rng([3, view.seed, 1]))
    unused = [REFERENCE, *(name for name in view.spp if name not in buffers)]
    denoiser = Denoiser.load(config.pairs.denoiser, "cpu")
    noisy = Frame(view.aovs(buffers))
    denoised = denoiser.denoise(noisy)
    clean = denoiser.denoise(Frame(view.aovs(unused)), asymmetry=CLEANING)
    for index, metric in enumerate(GUIDING_METRICS):
        expected = error_map(metric, denoised["color"], clean["color"])
        assert_close(pair.errors[index : index + 1], torch.from_numpy(expected))
    for mine, frame in ((pair.noisy, noisy), (pair.denoised, denoised)):
        ratio = mine / torch.from_numpy(frame["color"])
        assert ratio.std() < 1e-5 * ratio.mean()  # but for the exposure


def test_pairs_are_kept_and_made_again_when_the_denoiser_changes(
    data: Path, config: TrainingConfig, tmp_path: Path
) -> None:
    view = Dataset(data).training[0]
    first = pairs_of(config, tmp_path).pair(view, 0)
    (file,) = (tmp_path / "pairs").iterdir()
    made = file.stat().st_mtime_ns
    again = pairs_of(config, tmp_path).pair(view, 0)
    assert file.stat().st_mtime_ns == made
    assert_close(again.denoised, first.denoised, rtol=0, atol=0)
    other = tmp_path / "other.safetensors"
    weights.save(other, random_network(seed=5), {})
    changed = replace(config, pairs=replace(config.pairs, denoiser=str(other)))
    denoised = pairs_of(changed, tmp_path).pair(view, 0).denoised
    assert not torch.equal(denoised, first.denoised)


def test_batches_depend_on_the_step_alone(data: Path, config: TrainingConfig, run: Path) -> None:
    batches = [
        ErrorBatches(Mixture([Dataset(data)]), pairs_of(config, run), config.batches, 1).batch(step)
        for step in (3, 3, 4)
    ]
    for one, other in zip(batches[0], batches[1], strict=True):
        assert_close(one, other, rtol=0, atol=0)
    assert not torch.equal(batches[0].noisy, batches[2].noisy)
    assert batches[0].errors.shape == (4, len(GUIDING_METRICS), 32, 32)


def test_the_loss_falls(data: Path, config: TrainingConfig, run: Path) -> None:
    torch.manual_seed(config.run.seed)
    stage = ErrorStage(config, Budget(STEPS, None), run)
    big = replace(config.batches, size=16)
    batch = ErrorBatches(Mixture([Dataset(data)]), pairs_of(config, run), big, 99).batch(0)
    before = stage.loss(batch)
    stage.load_state_dict(read_checkpoint(run / CHECKPOINT)["state_dict"])
    assert stage.loss(batch) < 0.8 * before


def test_an_interrupted_training_takes_the_same_course(
    data: Path, config: TrainingConfig, run: Path, tmp_path: Path
) -> None:
    calls = iter(range(1, 1000))
    fit(config, data, tmp_path, Budget(STEPS, None), stop=lambda: next(calls) >= 11)
    fit(config, data, tmp_path, Budget(STEPS, None))
    one, other = (
        averaged_predictor(read_checkpoint(each / CHECKPOINT)) for each in (run, tmp_path)
    )
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_a_released_predictor_says_whose_errors_it_predicts_and_can_be_trained_on(
    data: Path, config: TrainingConfig, run: Path, tmp_path: Path
) -> None:
    path = tmp_path / "net-error.safetensors"
    release(run / CHECKPOINT, path, "kpcn-train fit data run")
    header, denoiser = weights.describe(path), Path(config.pairs.denoiser)
    assert header["denoiser"] == str(denoiser)
    assert header["denoiser_sha256"] == weights.describe(denoiser)["sha256"]
    assert (header["stage"], header["steps"]) == ("error", str(STEPS))
    assert weights.load_predictor(path).config == config.predictor
    further = replace(config, run=replace(config.run, start=str(path)))
    fit(further, data, tmp_path / "run", Budget(1, None))
    first, second = (
        each.state_dict()
        for each in (
            weights.load_predictor(path),
            averaged_predictor(read_checkpoint(tmp_path / "run" / CHECKPOINT)),
        )
    )
    for name, value in first.items():
        assert_close(second[name], value, rtol=0, atol=0.02)
    wider = replace(further, predictor=replace(config.predictor, channels=9))
    with pytest.raises(InvalidConfig, match="the predictor is"):
        fit(wider, data, tmp_path / "wider", Budget(1, None))


def test_a_predictor_is_not_released_as_a_denoiser(run: Path) -> None:
    with pytest.raises(InvalidConfig, match="it predicts errors, no images"):
        averaged_network(read_checkpoint(run / CHECKPOINT))


@pytest.mark.parametrize("metric", GUIDING_METRICS)
def test_only_the_true_map_has_no_loss(metric: str) -> None:
    def loss(predicted: Tensor) -> float:
        return float(map_error(predicted, true, torch.ones(2, 1, 32, 32), (metric,)))

    true = torch.rand(2, 1, 32, 32)
    assert loss(true) == 0
    assert 0 < loss(true * 1.1) < loss(true * 1.5)
    assert loss(true.flip(-1)) > 0


def test_pixels_that_count_nothing_may_hold_any_error() -> None:
    true, weight = torch.rand(1, 1, 32, 32), torch.ones(1, 1, 32, 32)
    predicted = true.clone()
    predicted[..., :5, :5], weight[..., :5, :5] = 100.0, 0.0
    assert map_error(predicted, true, weight, ("smape",)) < 1e-6
