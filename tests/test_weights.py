"""Weights files: what is written is read, and nothing else."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from kpcn_core import weights
from kpcn_core.errors import InvalidWeights, UnknownName, UnreadableFile
from kpcn_core.model.config import ModelConfig
from kpcn_core.model.network import Network
from tests.networks import random_network


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    weights.save(path, random_network(), {"data": "noise"})
    return path


def test_a_network_comes_back_with_its_config_and_how_it_was_trained(saved: Path) -> None:
    original, loaded = random_network(), weights.load(saved)
    assert loaded.config == original.config
    planes = torch.rand(1, 13, 8, 8)
    assert_close(loaded(planes, "kpcn"), original(planes, "kpcn"))
    assert weights.describe(saved)["data"] == "noise"
    assert list(saved.parent.iterdir()) == [saved]


def test_a_changed_tensor_is_noticed(saved: Path) -> None:
    header, state = weights.describe(saved), load_file(saved)
    next(iter(state.values())).view(-1)[0] += 1
    save_file(state, saved, metadata=header)
    with pytest.raises(InvalidWeights, match="hash"):
        weights.load(saved)


def test_tensors_that_do_not_fit_the_config_are_refused(saved: Path) -> None:
    header, state = weights.describe(saved), load_file(saved)
    save_file(state, saved, metadata=header | {"config": ModelConfig(8, 3, 5).to_json()})
    with pytest.raises(InvalidWeights, match="do not fit"):
        weights.load(saved)


@pytest.mark.parametrize("content", [b"", b"not safetensors at all", None])
def test_a_file_that_is_no_weights_file_is_refused(saved: Path, content: bytes | None) -> None:
    if content is None:
        save_file({"x": torch.zeros(1)}, saved)
    else:
        saved.write_bytes(content)
    with pytest.raises(InvalidWeights, match=str(saved)):
        weights.load(saved)


def test_a_name_that_does_not_ship_lists_those_that_do() -> None:
    with pytest.raises(UnknownName, match="Shipped"):
        weights.find("no-such-network")
    with pytest.raises(UnreadableFile, match="no such weights file"):
        weights.load(weights.find("missing.safetensors"))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"encoders": {"a": ["colour"]}}', '{"encoders": {}, "depth": 3}']
)
def test_a_config_that_cannot_be_understood_is_refused(text: str) -> None:
    with pytest.raises(InvalidWeights, match="config"):
        ModelConfig.from_json(text)


@pytest.mark.parametrize("name", weights.names())
def test_every_network_that_ships_loads_and_says_how_it_was_trained(name: str) -> None:
    path = weights.find(name)
    assert isinstance(weights.load(path), Network)
    expected = {"data_sha256", "data_licence", "date", "device", "steps"}
    assert expected <= weights.describe(path).keys()
