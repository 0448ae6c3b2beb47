"""Several data sets at once: who learns from which, how often, and that all of it is told."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner
from torch.testing import assert_close

from kpcn_core import weights
from kpcn_core.model.config import UNET
from tests.networks import ENCODERS, random_network, small_config
from tests.training_data import QUIET, RECIPE, make_dataset, make_quiet_dataset
from training.batches import Batches
from training.cli import main
from training.config import BatchConfig, PairConfig, RunConfig, TrainingConfig
from training.dataset import Dataset
from training.errors import InvalidConfig, InvalidDataset
from training.fit import CHECKPOINT, fit, held_out
from training.mixture import Mixture, reader
from training.pairs import Pairs
from training.release import averaged_network, provenance_of, read_checkpoint, release
from training.schedule import Budget
from training.validation import encoder_of, samples

CROP = BatchConfig(size=2, crop=32)
CONFIG = TrainingConfig(
    network=small_config(),
    batches=CROP,
    run=RunConfig(validation_views=1, validation_spp=(4,)),
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three views with variance and a frame around them; two views with neither."""
    folder = tmp_path_factory.mktemp("data")
    made = make_dataset(folder / "noisy"), make_quiet_dataset(folder / "quiet", range(3))
    return [dataset.folder for dataset in made]


def batches_of(
    folders: list[Path], config: BatchConfig = CROP, shares: Mapping[str, float] | None = None
) -> Batches:
    return Batches(Mixture.opened(folders, shares), config, ENCODERS[UNET], seed=1)


def of_quiet(batches: Batches, encoder: str, steps: int = 40) -> list[bool]:
    """Which batches of an encoder are of the data set without variance."""
    found = map(batches.batch, range(steps))
    return ["color_mse" not in one.window[0].aovs for one in found if one.encoder == encoder]


def test_an_encoder_of_variances_learns_from_views_of_enough_renders(tmp_path: Path) -> None:
    made = make_quiet_dataset(tmp_path, range(3), (2, 2, 4, 8))
    batches = batches_of([tmp_path])
    assert set(of_quiet(batches, "kpcn")) == {False}
    assert set(of_quiet(batches, "generic")) == {False, True}
    (sample,) = samples(made.validation, [2])
    assert reader(ENCODERS[UNET], sample.given) == "generic"


def test_an_encoder_learns_from_the_data_sets_that_give_all_it_reads(folders: list[Path]) -> None:
    batches = batches_of(folders)
    assert set(of_quiet(batches, "generic")) == {True, False}
    assert set(of_quiet(batches, "kpcn")) == {False}
    with pytest.raises(InvalidDataset, match=r"'kpcn' reads .*specular_variance.* do not give"):
        of_quiet(batches_of(folders[1:]), "kpcn")


def test_a_configuration_can_keep_an_encoder_to_some_data_sets(folders: list[Path]) -> None:
    kept = replace(CROP, only={"generic": ("quiet",)})
    assert set(of_quiet(batches_of(folders, kept), "generic")) == {True}
    with pytest.raises(InvalidConfig, match=r"generic = \['loud'\]: there are noisy, quiet"):
        of_quiet(batches_of(folders, replace(CROP, only={"generic": ("loud",)})), "generic")


def test_shares_say_how_often_the_views_of_a_data_set_are_chosen(folders: list[Path]) -> None:
    def quiet(**shares: float) -> float:
        found = of_quiet(batches_of(folders, shares=shares), "generic", 150)
        return sum(found) / len(found)

    assert quiet() == pytest.approx(2 / 5, abs=0.15)
    assert quiet(quiet=6) == pytest.approx(12 / 15, abs=0.15)
    assert quiet(quiet=0) == 0


def test_data_sets_have_names_that_shares_can_tell_apart(folders: list[Path]) -> None:
    with pytest.raises(InvalidConfig, match=r"has loud, which is no data set .* noisy, quiet"):
        Mixture.opened(folders, {"loud": 1.0})
    with pytest.raises(InvalidDataset, match="two have the same"):
        Mixture.opened([folders[0], folders[0]])


def test_windows_are_of_data_sets_that_have_the_frames(folders: list[Path]) -> None:
    windows = replace(CROP, reach=1)
    assert set(of_quiet(batches_of(folders, windows), "generic")) == {False}
    with pytest.raises(InvalidDataset, match=r"have 0 frames before and after"):
        batches_of(folders[1:], replace(windows, shares={"kpcn": 0})).batch(0)


def test_a_single_data_set_gives_the_batches_that_it_always_gave(folders: list[Path]) -> None:
    alone, beside = batches_of(folders[:1]), batches_of(folders, shares={"quiet": 0})
    for step in range(4):
        one, other = alone.batch(step), beside.batch(step)
        assert_close(one.color.radiance, other.color.radiance, rtol=0, atol=0)


def stop_after(steps: int) -> Callable[[], bool]:
    calls = count(1)
    return lambda: next(calls) >= steps


def test_a_resumed_training_on_several_takes_the_same_course_and_tells_of_all(
    folders: list[Path], tmp_path: Path
) -> None:
    fit(CONFIG, folders, tmp_path / "whole", Budget(8, None))
    fit(CONFIG, folders, tmp_path / "parts", Budget(8, None), stop=stop_after(3))
    fit(CONFIG, folders, tmp_path / "parts", Budget(8, None))
    states = [read_checkpoint(tmp_path / name / CHECKPOINT) for name in ("whole", "parts")]
    first, second = (averaged_network(state) for state in states)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-6)
    output = tmp_path / "net.safetensors"
    release(tmp_path / "whole" / CHECKPOINT, output, "kpcn-train fit noisy quiet run")
    header = weights.describe(output)
    assert header["views"] == "5"
    told = json.loads(header["data_recipe"])
    assert [(each["name"], each["views"]) for each in told] == [("noisy", 3), ("quiet", 2)]
    assert [each["sha256"] for each in told] == [
        Dataset(folder).manifest.digest() for folder in folders
    ]
    assert told[1]["recipe"]["renderer"] == QUIET.renderer


def test_older_checkpoints_tell_of_their_one_data_set(folders: list[Path], tmp_path: Path) -> None:
    fit(CONFIG, folders[0], tmp_path, Budget(1, None))
    state = read_checkpoint(tmp_path / CHECKPOINT)
    new = provenance_of(state, "")
    (data,) = state["kpcn"].pop("data")
    older = {key: data[key] for key in ("recipe", "licence", "views")}
    state["kpcn"] |= {**older, "data": data["sha256"]}
    assert provenance_of(state, "") == new
    assert json.loads(new["data_recipe"])["renderer"] == RECIPE.renderer


def test_each_data_set_is_validated_by_an_encoder_that_can_read_it(folders: list[Path]) -> None:
    network = random_network()
    samples = held_out(Mixture.opened(folders), CONFIG)
    read = {sample.label: encoder_of(network, sample) for sample in samples}
    assert read == {"noisy-4spp": "kpcn", "quiet-4spp": "generic"}
    assert [one.label for one in held_out(Mixture.opened(folders[:1]), CONFIG)] == ["4spp"]
    with pytest.raises(InvalidDataset, match="encoder 'kpcn' of this network cannot read"):
        encoder_of(network, samples[1], "kpcn")


def test_pairs_of_several_data_sets_are_kept_apart(folders: list[Path], tmp_path: Path) -> None:
    weights.save(tmp_path / "net.safetensors", random_network(), {})
    pairs = Pairs(PairConfig(str(tmp_path / "net.safetensors"), draws=1), tmp_path / "pairs", 1)
    for folder in folders:
        pairs.pair(Dataset(folder).training[0], 0)
    assert len(list((tmp_path / "pairs").iterdir())) == 2


def test_the_run_is_the_last_folder(folders: list[Path], tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text('base = "compact"\n[network]\nchannels = [4, 4, 4, 4]\n[batches]\nsize = 1\n')
    found = CliRunner().invoke(main, ["fit", *map(str, folders), "--config", str(config)])
    assert found.exit_code == 2
    assert "is a data set. Name a folder for the run" in found.output
    config.write_text(f"{config.read_text()}crop = 32\n[loss]\nstructure = 0.0\n")
    arguments = ["fit", *map(str, folders), str(tmp_path / "run"), "--config", str(config)]
    done = CliRunner().invoke(main, [*arguments, "--max-steps", "2"])
    assert done.exit_code == 0, done.output
    assert "2 steps" in done.output
