"""`kpcn bench`: every stage is timed, its least work is counted, and all of it is written down."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import nn
from torch.nn import functional

from kpcn_core import oidn, weights
from kpcn_core.bench import work
from kpcn_core.bench.ceilings import Ceilings, Clock, ceilings
from kpcn_core.bench.run import Measured, in_turn, ratios
from kpcn_core.bench.stages import PEERS, Case, files, peer, stages
from kpcn_core.bench.sweep import SWEEPS, sweep
from kpcn_core.bench.work import Work
from kpcn_core.cli import bench as command
from kpcn_core.cli.main import main
from kpcn_core.denoiser import Denoiser
from kpcn_core.device import AUTO, PRECISIONS
from tests.exr_files import all_channels
from tests.networks import NETWORKS, random_network

CPU = torch.device("cpu")
ALONE = [
    "components", "input planes", "encoder", "trunk", "pyramids", "kernels and joins", "compositing"
]  # fmt: skip
IN_WINDOW = ["motion", "combiner", "kernels of the other frames"]


def case(trunk: str = "unet", fold: int = 2, window: int = 1, layers: int = 0) -> Case:
    return Case(Denoiser(random_network(trunk, fold), CPU), 24, 40, window, layers)


@pytest.mark.parametrize(("trunk", "fold"), NETWORKS)
@pytest.mark.parametrize("window", [1, 3])
@torch.inference_mode()
def test_every_stage_runs_and_knows_its_work(trunk: str, fold: int, window: int) -> None:
    steps = list(stages(case(trunk, fold, window, layers=1)))
    expected = ALONE[:4] + (IN_WINDOW if window > 1 else []) + ALONE[4:]
    assert [step.name for step in steps] == expected
    for step in steps:
        step.run()
        if step.name != "motion":
            assert step.work is not None
            assert step.work.bytes > 0


def test_convolutions_are_counted_as_they_run() -> None:
    network = work.without_numbers(random_network("unet", 1))
    layer = network.encoders["generic"].second
    assert isinstance(layer, nn.Conv2d)
    image = torch.empty(1, 8, 16, 32, device="meta")
    found = work.convolutions(network, lambda: layer(functional.relu(image)))
    pixels = 16 * 32
    assert found == Work(pixels * 8 * 8 * 9, 4 * (2 * 8 * pixels + 8 * 8 * 9))


def test_kernels_cost_their_logits_and_their_taps() -> None:
    one = case("residual", 1, layers=0)
    kernels = {step.name: step.work for step in stages(one)}["kernels and joins"]
    assert kernels is not None
    pixels = sum((24 >> scale) * (40 >> scale) for scale in range(3))
    # Eight channels to 3x3 logits, which then weigh three colors and a mask, of each component.
    assert kernels.macs == 4 * pixels * (8 * 9 + 9 * 4)


def test_the_floor_is_the_dearer_of_both() -> None:
    assert Work(500, 10).floor(1000.0, 100.0) == 1.0
    assert Work(5, 100).floor(1000.0, 100.0) == 1.0
    assert Measured(2.0, Work(500, 10)).reached(Ceilings(1000.0, 100.0)) == 0.5
    assert Measured(2.0).reached(Ceilings(1000.0, 100.0)) is None


def test_times_are_medians_taken_in_turn_after_a_round_that_warms_up() -> None:
    order: list[str] = []
    times = iter([0, 9, 9, 18, 18, 19, 19, 21, 21, 24, 24, 25, 25, 26, 26, 33])
    clock = Clock(CPU, lambda: float(next(times)))
    found = in_turn([lambda: order.append("a"), lambda: order.append("b")], 3, clock)
    assert order == ["a", "b"] * 4
    assert found == [1.0, 2.0]


def test_ceilings_are_measured() -> None:
    now = iter(range(1000))
    assert ceilings(Clock(CPU, lambda: float(next(now))), rounds=1) == Ceilings(2.0**31, 2.0**29)


def test_ratios_are_of_what_stands_beside_each_other() -> None:
    table = {
        "ours": {"denoise": Measured(1.0), "another lambda": Measured(0.5), "read": Measured(1.0)},
        "OIDN fast": {"denoise": Measured(4.0), "EXR to EXR": Measured(1.0)},
    }
    table["ours"]["EXR to EXR"] = Measured(3.0)
    assert ratios(table) == {
        "ours": {
            "denoise / OIDN fast": 0.25,
            "EXR to EXR / OIDN fast": 3.0,
            "another lambda / denoise": 0.5,
        }
    }


@pytest.mark.parametrize("over", SWEEPS)
def test_every_sweep_has_a_time_for_each_value(over: str) -> None:
    found = sweep(case(), over, 1, Clock(CPU, iter(map(float, range(1000))).__next__))
    assert len(found) == len(SWEEPS[over][0])
    assert set(found.values()) == {1.0}


def test_the_command_offers_what_there_is() -> None:
    assert set(command.PEERS) == set(PEERS)
    assert set(command.SWEEPS) == set(SWEEPS)
    assert set(command.PRECISIONS) == {AUTO, *PRECISIONS}


def test_the_command_prints_tables_and_writes_where_they_come_from(tmp_path: Path) -> None:
    model, output = tmp_path / "small.safetensors", tmp_path / "here.json"
    weights.save(model, random_network(), {})
    words = ["bench", "--model", str(model), "--device", "cpu", "--size", "40x24", "--rounds", "1"]
    result = CliRunner().invoke(
        main, [*words, "--window", "3", "--sweep", "layers", "--json", str(output)]
    )
    assert result.exit_code == 0, result.output
    for text in ("| trunk", "| kernels and joins", "| EXR to EXR", "| layers", "GFLOP/s"):
        assert text in result.output
    found = json.loads(output.read_text())
    assert {"command", "date", "processor", "device", "torch", "load"} <= found.keys()
    assert found["size"] == [24, 40]
    assert found["roof"]["flops"] > 0
    trunk = found["stages"]["small"]["trunk"]
    assert trunk["seconds"] > 0
    assert trunk["macs"] > 0
    assert trunk["reached"] > 0
    assert list(found["growth"]["layers"]) == ["0", "1", "4", "8"]
    assert ("OIDN fast" in found["stages"]) == oidn.installed()


def test_what_does_not_fit_in_one_tile_is_timed_as_a_whole(tmp_path: Path) -> None:
    model, output = tmp_path / "small.safetensors", tmp_path / "here.json"
    weights.save(model, random_network(), {})
    words = ["bench", "--model", str(model), "--device", "cpu", "--size", "40x24", "--rounds", "1"]
    result = CliRunner().invoke(
        main, [*words, "--max-memory", "64K", "--oidn", "none", "--json", str(output)]
    )
    assert result.exit_code == 0, result.output
    steps = [
        "read", "write", "denoise", "denoise, high quality", "EXR to EXR",
        "EXR to EXR, in a sequence", "the same without files",
    ]  # fmt: skip
    assert list(json.loads(output.read_text())["stages"]["small"]) == steps
    without = [*words, "--max-memory", "64K", "--oidn", "none", "--frames", "0"]
    result = CliRunner().invoke(main, [*without, "--json", str(output)])
    assert result.exit_code == 0, result.output
    assert list(json.loads(output.read_text())["stages"]["small"]) == steps[:-2]


def test_files_of_what_was_denoised_alone_are_written_by_all(tmp_path: Path) -> None:
    slim = replace(case(layers=1), only_denoised=True)
    steps = [*files(slim, tmp_path), *(peer(slim, "fast", tmp_path) if oidn.installed() else ())]
    written = tmp_path / "clean.exr"
    for step in steps:
        if step.name in ("write", "EXR to EXR"):
            step.run()
            further = {"group_0.R", "group_0.G", "group_0.B"} if step in steps[:3] else set()
            assert {name for _, name in all_channels(written)} == {*"RGB"} | further
            written.unlink()


@pytest.mark.parametrize("words", [["--window", "2"], ["--model", "nothing"]])
def test_what_cannot_be_measured_is_one_message(words: list[str]) -> None:
    result = CliRunner().invoke(main, ["bench", *words])
    assert result.exit_code == 1
    assert result.output.startswith("Error: ")
