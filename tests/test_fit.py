"""Training: the loss falls, resuming changes nothing, and failures explain themselves."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from torch.testing import assert_close

from kpcn_core import weights
from kpcn_core.errors import KpcnError, UnreadableFile
from kpcn_core.model.config import RESIDUAL, UNET
from kpcn_core.model.network import Network
from kpcn_core.model_card import stages
from tests.networks import ENCODERS, random_network, small_config
from tests.training_data import make_dataset
from training import config as configs
from training.averaging import average
from training.base_stage import BAD_BATCH
from training.batches import Batch, Batches
from training.cli import main
from training.config import BatchConfig, OptimizerConfig, RunConfig, TrainingConfig
from training.dataset import Dataset
from training.errors import InvalidConfig, TrainingDiverged
from training.fit import CHECKPOINT, fit
from training.mixture import Mixture
from training.release import averaged_network, read_checkpoint, release
from training.schedule import Budget, learning_rate
from training.stages import Stage
from training.start import start_from

STEPS = 30
CONFIG = TrainingConfig(
    network=small_config(),
    batches=BatchConfig(size=4, crop=32),
    optimizer=OptimizerConfig(rate=1e-2, warmup=5),
    run=RunConfig(log_steps=1, validation_views=1, validation_spp=(4,)),
)
# What each stage trains (paper §5); all else is frozen.
PARTS = {
    "single-frame": {"encoders", "trunk", "centre"},
    "multi-scale": {"alpha"},
    "temporal": {"temporal", "other"},
    "specialization": {"specialization"},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("data")).folder


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole, uninterrupted training."""
    folder = tmp_path_factory.mktemp("run")
    fit(CONFIG, data, folder, Budget(STEPS, None))
    return folder


def rows(run: Path, column: str) -> dict[int, float]:
    """Step to what all sessions of a run logged."""
    found: dict[int, float] = {}
    for path in sorted(run.glob("logs/version_*/metrics.csv")):
        with path.open() as file:
            lines = [line for line in csv.DictReader(file) if line.get(column)]
        found |= {int(line["step"]): float(line[column]) for line in lines}
    return found


def batch_of(data: Path, config: BatchConfig, trunk: str = UNET) -> Batch:
    encoders = {"kpcn": ENCODERS[trunk]["kpcn"]}
    return Batches(Mixture([Dataset(data)]), config, encoders, seed=9).batch(0)


def stop_after(steps: int) -> Callable[[], bool]:
    calls = count(1)
    return lambda: next(calls) >= steps


def test_the_loss_falls(data: Path, run: Path) -> None:
    assert len(rows(run, "train/loss")) == STEPS
    torch.manual_seed(CONFIG.run.seed)
    stage = Stage(CONFIG, Budget(STEPS, None), run)
    batch = batch_of(data, BatchConfig(size=16, crop=32))
    before = stage.loss(batch)
    stage.load_state_dict(read_checkpoint(run / CHECKPOINT)["state_dict"])
    assert stage.loss(batch) < 0.97 * before


def test_a_held_out_view_is_cleaner_than_before(run: Path) -> None:
    for component in ("irradiance", "specular", "final"):
        key = f"validation/4spp/{component}"
        (before,) = rows(run, f"{key}/noisy").values()
        (after,) = rows(run, f"{key}/denoised").values()
        assert after < 0.8 * before


def test_an_interrupted_training_takes_the_same_course(
    data: Path, run: Path, tmp_path: Path
) -> None:
    for steps in (7, 12):
        fit(CONFIG, data, tmp_path, Budget(STEPS, None), stop=stop_after(steps))
    fit(CONFIG, data, tmp_path, Budget(STEPS, None))
    assert rows(tmp_path, "train/loss") == pytest.approx(rows(run, "train/loss"), rel=1e-5)
    assert rows(tmp_path, "train/rate") == pytest.approx(rows(run, "train/rate"))
    first, second = (
        averaged_network(read_checkpoint(folder / CHECKPOINT)) for folder in (run, tmp_path)
    )
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_a_released_network_says_how_it_was_trained(data: Path, run: Path, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    release(run / CHECKPOINT, path, "kpcn-train fit data run")
    header = weights.describe(path)
    assert header["steps"] == str(STEPS)
    assert header["samples_seen"] == str(STEPS * CONFIG.batches.size)
    assert header["views"] == "3"
    assert header["data_licence"] == "our own, procedural"
    assert weights.load(path).config == CONFIG.network


def started_from(first: Path, run: Path, data: Path, further: Path) -> None:
    """Release a run, and train a step from that."""
    release(run / CHECKPOINT, first, "first")
    config = replace(CONFIG, run=replace(CONFIG.run, start=str(first)))
    fit(config, data, further, Budget(1, None))


def test_training_starts_from_released_weights_and_says_so(
    data: Path, run: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    started_from(first, run, data, tmp_path / "run")
    started = weights.load(first).state_dict()
    trained = averaged_network(read_checkpoint(tmp_path / "run" / CHECKPOINT)).state_dict()
    for name, value in started.items():
        assert_close(trained[name], value, rtol=0, atol=0.02)
    release(tmp_path / "run" / CHECKPOINT, second, "second")
    origin = json.loads(weights.describe(second)["start"])
    assert (origin["steps"], origin["training_command"]) == (str(STEPS), "first")


def test_going_on_keeps_what_it_started_from(data: Path, run: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    started_from(first, run, data, tmp_path / "run")
    fit(CONFIG, data, tmp_path / "run", Budget(2, None))
    release(tmp_path / "run" / CHECKPOINT, second, "second")
    header = weights.describe(second)
    assert header["steps"] == "2"
    assert json.loads(header["start"])["training_command"] == "first"


def test_an_average_lies_between_and_names_both(data: Path, run: Path, tmp_path: Path) -> None:
    before, after, between = (tmp_path / f"{name}.safetensors" for name in ("a", "b", "c"))
    release(run / CHECKPOINT, before, "first")
    config = replace(CONFIG, run=replace(CONFIG.run, start=str(before)))
    fit(config, data, tmp_path / "run", Budget(2, None))
    release(tmp_path / "run" / CHECKPOINT, after, "second")
    words = ["average", str(before), str(after), str(between), "--share", "0.25"]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    one, other, found = (weights.load(path).state_dict() for path in (before, after, between))
    for name, value in found.items():
        assert_close(value, 0.75 * one[name] + 0.25 * other[name])
    header = weights.describe(between)
    assert list(json.loads(header["averaged"]).values()) == [0.25, 0.75]
    assert [stage.command for stage in stages(header)[:2]] == ["first", "second"]


def test_networks_of_two_kinds_have_no_average(data: Path, run: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    release(run / CHECKPOINT, first, "first")
    weights.save(second, Network(small_config(fold=2)), {})
    with pytest.raises(InvalidConfig, match="what was trained from it"):
        average(first, second, tmp_path / "c.safetensors", 0.5, "")


def test_training_refuses_to_start_from_another_network(
    data: Path, run: Path, tmp_path: Path
) -> None:
    path = tmp_path / "net.safetensors"
    release(run / CHECKPOINT, path, "first")
    config = replace(CONFIG, network=small_config(fold=2), run=replace(CONFIG.run, start=str(path)))
    with pytest.raises(InvalidConfig, match="its network is"):
        fit(config, data, tmp_path / "run", Budget(1, None))


def test_a_network_of_other_widths_can_start_from_the_weights_that_fit_it(
    run: Path, tmp_path: Path
) -> None:
    path = tmp_path / "net.safetensors"
    release(run / CHECKPOINT, path, "first")
    wider = replace(CONFIG.network, channels=(16, *CONFIG.network.channels[1:]))
    partly = replace(CONFIG.run, start=str(path), start_in_part=True)
    network = Network(wider)
    start_from(network, replace(CONFIG, network=wider, run=partly))
    found, given = network.state_dict(), weights.load(path).state_dict()
    fitting = [name for name in found if found[name].shape == given[name].shape]
    assert "trunk.down.0.weight" in fitting
    assert "trunk.shrink.0.weight" not in fitting
    for name in fitting:
        assert_close(found[name], given[name], rtol=0, atol=0)


def test_weights_do_not_tell_where_files_lay_when_they_were_trained(
    data: Path, run: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    started_from(first, run, data, tmp_path / "run")
    release(tmp_path / "run" / CHECKPOINT, second, "second")
    header = weights.describe(second)
    assert not any(str(tmp_path) in value for value in header.values())
    assert first.name in header["training_config"]


def test_weights_that_are_released_are_the_average(run: Path) -> None:
    state = read_checkpoint(run / CHECKPOINT)
    name = "network.centre.0.logits.weight"
    assert not torch.equal(state["state_dict"][name], state["current_model_state"][name])


def test_a_loss_that_is_not_finite_stops_training_and_keeps_the_batch(
    data: Path, tmp_path: Path
) -> None:
    fit(CONFIG, data, tmp_path, Budget(2, None))
    state = read_checkpoint(tmp_path / CHECKPOINT)
    state["current_model_state"]["network.centre.0.logits.bias"][0] = torch.nan
    torch.save(state, tmp_path / CHECKPOINT)
    with pytest.raises(TrainingDiverged, match=f"Step 2.*nan.*{BAD_BATCH}"):
        fit(CONFIG, data, tmp_path, Budget(4, None))
    with safe_open(tmp_path / BAD_BATCH, framework="pt") as file:
        assert file.get_tensor("frame0/color").shape == (4, 3, 32, 32)
        assert file.metadata()["encoder"] in CONFIG.network.encoders
    assert read_checkpoint(tmp_path / CHECKPOINT)["global_step"] == 2


@pytest.mark.parametrize("trunk", [RESIDUAL, UNET])
def test_a_hole_that_no_kernel_fills_leaves_gradients_finite(data: Path, trunk: str) -> None:
    config = replace(CONFIG, network=small_config(trunk))
    batch = batch_of(data, BatchConfig(size=2, crop=32), trunk)
    for part in (batch.window[0].parts["irradiance"], batch.noisy):
        part.radiance[..., :28, :28] = 0
        part.valid[..., :28, :28] = 0
    stage = Stage(config, Budget(1, None), data)
    assert stage.denoise(batch)["irradiance"].isfinite().all()
    loss = stage.loss(batch)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.isfinite()
    for value in stage.parameters():
        assert value.grad is None or value.grad.isfinite().all()


# --- stages ---


def stage_of(stage: str, trunk: str, start: str) -> TrainingConfig:
    return replace(
        CONFIG,
        stage=stage,
        network=small_config(trunk),
        batches=BatchConfig(size=2, crop=32, reach=int(stage == "temporal")),
        run=replace(CONFIG.run, start=start),
    )


@pytest.mark.parametrize(
    ("trunk", "stage"),
    [
        *((RESIDUAL, stage) for stage in PARTS),
        *((UNET, stage) for stage in PARTS if stage != "multi-scale"),
    ],
)
def test_a_stage_changes_only_its_own_parts(
    data: Path, tmp_path: Path, trunk: str, stage: str
) -> None:
    path = tmp_path / "start.safetensors"
    weights.save(path, random_network(trunk), {"steps": "7"})
    run = tmp_path / "run"
    fit(stage_of(stage, trunk, str(path)), data, run, Budget(3, None))
    before = weights.load(path).state_dict()
    after = averaged_network(read_checkpoint(run / CHECKPOINT)).state_dict()
    changed = {name for name in after if not torch.equal(after[name], before[name])}
    assert {name.split(".")[0] for name in changed} == PARTS[stage]
    label = "4spp-window3" if stage == "temporal" else "4spp"
    assert rows(run, f"validation/{label}/final/denoised")
    assert read_checkpoint(run / CHECKPOINT)["kpcn"]["start"]["steps"] == "7"


def test_stages_follow_each_other_without_a_change_of_what_was_learned_before(
    data: Path, run: Path, tmp_path: Path
) -> None:
    """A network that has learned windows and lambda denoises single frames as it did before"""
    first = tmp_path / "0.safetensors"
    release(run / CHECKPOINT, first, "first")
    path = first
    for index, stage in enumerate(("temporal", "specialization")):
        folder = tmp_path / stage
        fit(stage_of(stage, UNET, str(path)), data, folder, Budget(2, None))
        path = tmp_path / f"{index + 1}.safetensors"
        release(folder / CHECKPOINT, path, stage)
    origin = json.loads(weights.describe(path)["start"])
    assert origin["start"]["steps"] == str(STEPS)
    batch = batch_of(data, BatchConfig(size=2, crop=32))
    results = []
    for weight in (first, path):
        stage_ = Stage(CONFIG, Budget(1, None), tmp_path)
        stage_.network.load_state_dict(weights.load(weight).state_dict())
        results.append(stage_.denoise(batch))
    for name, image in results[0].items():
        assert_close(results[1][name], image, rtol=0, atol=0)


def test_a_later_stage_needs_weights_to_go_on_from(data: Path, tmp_path: Path) -> None:
    for stage in ("temporal", "specialization"):
        with pytest.raises(
            InvalidConfig, match=f"'{stage}' goes on.*Name its weights with --start"
        ):
            fit(stage_of(stage, UNET, ""), data, tmp_path, Budget(1, None))


def test_a_run_cannot_go_on_with_another_network(data: Path, run: Path) -> None:
    other = replace(CONFIG, network=small_config(fold=2))
    with pytest.raises(InvalidConfig, match="network"):
        fit(other, data, run, Budget(STEPS + 1, None))


def test_a_run_goes_on_from_a_checkpoint_older_than_some_settings(
    data: Path, tmp_path: Path
) -> None:
    fit(CONFIG, data, tmp_path, Budget(1, None))
    state = read_checkpoint(tmp_path / CHECKPOINT)
    for table, key in (("network", "asymmetry"), ("batches", "only")):
        del state["kpcn"]["config"][table][key]
    torch.save(state, tmp_path / CHECKPOINT)
    fit(CONFIG, data, tmp_path, Budget(2, None))
    assert read_checkpoint(tmp_path / CHECKPOINT)["global_step"] == 2


def test_the_learning_rate_rises_stays_and_falls_over_the_end_of_the_budget() -> None:
    config = OptimizerConfig(rate=1.0, warmup=10, decay=0.3)
    rates = [learning_rate(config, Budget(100, None), step) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * step for step in range(1, 11)])
    assert rates[10:70] == [1.0] * 60
    assert sorted(rates[70:], reverse=True) == rates[70:]
    assert rates[100] == 0
    timed = Budget(None, 60.0, clock=lambda: 51.0)
    assert learning_rate(config, timed, 1000) == pytest.approx(0.5)
    assert learning_rate(config, replace(timed, decay=False), 1000) == 1.0
    assert learning_rate(config, Budget(None, None), 10**6) == 1.0


def test_every_shipped_configuration_loads() -> None:
    for path in configs.CONFIGS.glob("*.toml"):
        loaded = configs.load(path.stem)
        assert configs.from_dict(loaded.to_dict(), "again") == loaded


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[batches]\nsise = 3", r"unknown key 'sise'. Known here: size, crop"),
        ("[optimiser]", r"unknown key 'optimiser'. Known here: stage, network"),
        ("[batches]\nsize = 'big'", r"\[size\]: expected int; found 'big'"),
        ("[loss]\ndetach = 1", r"\[detach\]: expected bool; found 1"),
        ("[network]\nneighbours = 4", "kernels odd"),
        ("[network]\ntrunk = 'unet'", "needs 3 numbers of channels"),
        ("[network]\nchannels = 8", r"\[channels\]: expected list or tuple; found 8"),
        ("[network.encoders]\na = ['irradiance']", "trunk 'residual' can read color"),
        ("[network]\nfold = 2\n[batches]\ncrop = 33", "crop = 33 must be a multiple of 8"),
        ("[batches.shares]\nvray = 1.0", r"\[batches.shares\] has vray.*it has kpcn"),
        ("[batches.shares]\nkpcn = 0.0", "must be 0 or more, and not all 0"),
        ("[batches.shares]\nkpcn = -1.0", "must be 0 or more, and not all 0"),
        ("stage = 'temporal'", "learns from windows.*reach = 0 gives none"),
        ("base = 'compact'\nstage = 'multi-scale'", "multi-scale is for trunk = 'residual'"),
        ("base = 'no-such'", "no-such: no such configuration"),
        ("stage = 'temporal-magic'", "does not exist; there are: single-frame"),
        ("stage =", "not a TOML file"),
    ],
)
def test_a_wrong_configuration_is_explained(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text)
    with pytest.raises(KpcnError, match=message):
        configs.load(str(path))


def test_a_configuration_takes_over_what_another_has_and_changes_single_keys(
    tmp_path: Path,
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("base = 'compact'\n[batches]\nsize = 2\n[batches.shares]\nplain = 0.3\n")
    base, mine = configs.load("compact"), configs.load(str(path))
    shares = {**base.batches.shares, "plain": 0.3}
    assert mine == replace(base, batches=replace(base.batches, size=2, shares=shares))


def test_a_configuration_that_does_not_exist_names_those_that_do() -> None:
    with pytest.raises(UnreadableFile, match=r"Shipped: .*compact, .*paper"):
        configs.load("nothing")


def test_the_commands_train_validate_and_release(data: Path, tmp_path: Path) -> None:
    toml = tmp_path / "tiny.toml"
    toml.write_text(
        "base = 'compact'\n[network]\nchannels = [8, 8]\nscales = 2\n"
        "[batches]\nsize = 2\ncrop = 32\n"
    )
    run, output = tmp_path / "run", tmp_path / "net.safetensors"
    arguments = ["--config", str(toml), "--max-steps", "2", "--device", "cpu"]
    for command, expected in (
        (["fit", str(data), str(run), *arguments], "2 steps"),
        (["validate", str(data), str(run)], "final"),
        (["release", str(run), str(output)], "steps: 2"),
    ):
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
        assert expected in result.output
    assert output.is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fit", "nowhere", "run"], "Make a data set"),
        (["release", "nowhere", "x.safetensors"], "Train first"),
        (["render", "x", "--seeds", "9-3"], "no range of seeds"),
        (["fit", "x", "y", "--max-time", "soon"], "no time"),
        (["render", "x", "--seeds", "1", "--spp", "1,2"], "2 or more"),
    ],
)
def test_a_wrong_command_is_explained(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code != 0
    assert message in result.output
