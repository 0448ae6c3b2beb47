"""Weights files: what is written is read, and nothing else."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from kpcn_core import weights
from kpcn_core.errors import InvalidWeights, UnknownName, UnreadableFile
from kpcn_core.model.config import RESIDUAL, UNET, ModelConfig
from kpcn_core.model.network import Network
from tests.networks import random_network, small_config


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "small.safetensors"
    weights.save(path, random_network(), {"data": "noise"})
    return path


@pytest.mark.parametrize("trunk", [RESIDUAL, UNET])
def test_a_network_comes_back_with_its_config_and_how_it_was_trained(
    trunk: str, tmp_path: Path
) -> None:
    original, path = random_network(trunk, fold=2), tmp_path / "small.safetensors"
    weights.save(path, original, {"data": "noise"})
    loaded = weights.load(path)
    assert loaded.config == original.config
    assert_close(loaded.state_dict(), original.state_dict(), rtol=0, atol=0)
    assert not loaded.training
    assert weights.describe(path)["data"] == "noise"
    assert list(tmp_path.iterdir()) == [path]


def test_a_changed_tensor_is_noticed(saved: Path) -> None:
    header, state = weights.describe(saved), load_file(saved)
    next(iter(state.values())).view(-1)[0] += 1
    save_file(state, saved, metadata=header)
    with pytest.raises(InvalidWeights, match="hash"):
        weights.load(saved)


def test_tensors_that_do_not_fit_the_config_are_refused(saved: Path) -> None:
    header, state = weights.describe(saved), load_file(saved)
    other = replace(small_config(), channels=(8, 8, 12))
    save_file(state, saved, metadata=header | {"config": other.to_json()})
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
    "text", ["", "[]", "{}", '{"encoders": {}, "channels": [8], "depth": 3}', '{"encoders": 1}']
)
def test_a_config_that_cannot_be_understood_is_refused(text: str) -> None:
    with pytest.raises(InvalidWeights, match="config cannot be read"):
        ModelConfig.from_json(text)


ODD = dict.fromkeys(("irradiance", "specular", "emission", "albedo"), 3)


@pytest.mark.parametrize(
    ("trunk", "change", "message"),
    [
        (UNET, {"trunk": "tree"}, "no trunk is called 'tree'; there are residual, unet"),
        (UNET, {"channels": (8,)}, r"3 scales needs 3 numbers of channels; got \[8\]"),
        (RESIDUAL, {"channels": (8, 8)}, "needs 1 numbers of channels"),
        (UNET, {"kernels": ODD | {"albedo": 4}}, "kernels odd"),
        (UNET, {"neighbours": 2}, "kernels odd"),
        (UNET, {"blocks": 0}, "sizes must be >= 1"),
        (UNET, {"kernels": {"specular": 3}}, "must be for irradiance, specular"),
        (RESIDUAL, {"kernels": ODD | {"albedo": 5}}, "their kernels must be equal"),
        (RESIDUAL, {"refinement": 1}, "a refinement of 1 blocks; a U-Net can have 0 or more"),
        (UNET, {"refinement": -1}, "a refinement of -1 blocks"),
        (RESIDUAL, {"pixels": 1}, "cannot keep 1 channels of pixels; a U-Net can keep 0 or more"),
        (UNET, {"pixels": -1}, "cannot keep -1 channels of pixels"),
        (UNET, {"asymmetry": "trunk"}, "cannot enter 'trunk'; it can enter features or kernels"),
        (RESIDUAL, {"asymmetry": "kernels"}, "must enter features, not kernels"),
        (UNET, {"encoders": {}}, "needs an encoder"),
        (UNET, {"encoders": {"a": ("colour",)}}, "'a' reads planes .'colour'.; trunk 'unet' can"),
        (UNET, {"encoders": {"a": ()}}, "reads planes none"),
        (UNET, {"encoders": {"a": ("color",)}}, "trunk 'unet' can read irradiance"),
        (RESIDUAL, {"encoders": {"a": ("specular",)}}, "trunk 'residual' can read color"),
    ],
)
def test_a_config_of_a_network_that_cannot_be_is_explained(
    trunk: str, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidWeights, match=message):
        replace(small_config(trunk), **change)


@pytest.mark.parametrize("name", weights.names())
def test_every_network_that_ships_loads_and_says_how_it_was_trained(name: str) -> None:
    path = weights.find(name)
    assert isinstance(weights.load(path), Network)
    expected = {"data_sha256", "data_licence", "date", "device", "steps"}
    assert expected <= weights.describe(path).keys()


@pytest.mark.parametrize("name", weights.names())
def test_weights_that_ship_name_no_folder_of_a_machine(name: str) -> None:
    header = weights.describe(weights.find(name))
    assert not [key for key, value in header.items() if re.search(r"""["' ]/\w""", value)]
