"""The CPU's way to encode a frame, against the readable one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from kpcn_core import inference
from kpcn_core.frame import Frame
from kpcn_core.model import encoding
from kpcn_core.model.config import RESIDUAL
from kpcn_core.model.network import Network
from kpcn_core.prepared import prepare
from tests.exports import ENCODERS
from tests.frames import random_frame
from tests.networks import random_network, small_config


def channels_last(*size: int) -> torch.Tensor:
    return torch.randn(size).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4), (18, 127), (33, 9)])
@pytest.mark.parametrize("relus", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("added", [False, True])
@torch.inference_mode()
def test_a_layer_equals_its_float64_twin(
    size: tuple[int, int], relus: tuple[bool, bool], added: bool
) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(9, 32, 3, padding=1)
    image, (before, after) = channels_last(1, 9, *size), relus
    coarse = channels_last(1, 9, *(-(-length // 2) for length in size)) if added else None
    seen = image
    if coarse is not None:
        repeated = functional.interpolate(coarse, scale_factor=2.0)
        seen = image + repeated[..., : size[0], : size[1]]
    weight, bias = layer.weight.double(), layer.bias.double()  # type: ignore[union-attr]
    exact = functional.conv2d((seen.relu() if before else seen).double(), weight, bias, padding=1)
    exact = (exact.relu() if after else exact).float()
    found = encoding.convolved(layer, image, coarse, relu_before=before, relu_after=after)
    assert_close(found, exact, rtol=0, atol=2e-5)


@pytest.mark.parametrize("pixels", [0, 4])
@torch.inference_mode()
def test_features_are_those_of_the_readable_network(pixels: int) -> None:
    torch.manual_seed(0)
    config = replace(small_config(fold=2), channels=(16, 32, 16), blocks=2, pixels=pixels)
    network = Network(config).eval()
    planes = channels_last(1, 19, 40, 56)
    assert encoding.usable(network, planes)
    folded = functional.pixel_unshuffle(planes, 2)
    found = inference.trunk(network, inference.read(network, [folded], "kpcn"))
    for one, expected in zip(found, network.encode([planes], "kpcn"), strict=True):
        assert one.is_contiguous(memory_format=torch.channels_last)
        assert_close(one, expected, rtol=0, atol=1e-4 * float(expected.std()))


@pytest.mark.parametrize("fold", [1, 2])
@pytest.mark.parametrize("encoder", ["kpcn", "split", "beauty", "plain"])
@torch.inference_mode()
def test_planes_are_those_that_the_network_is_trained_with(fold: int, encoder: str) -> None:
    config = replace(small_config(fold=fold), channels=(16, 16, 16), encoders=ENCODERS)
    network = Network(config)
    frame = random_frame(21, 27)
    frame["albedo"][0, 3, 4], frame["normal_mse"][0, 5, 6] = np.nan, np.inf
    frame["specular"][:, 7, 8] = [-0.5, 1e-7, 1e5]
    if encoder == "split":
        frame = Frame({k: v for k, v in frame.aovs.items() if k != "specular"})
    split = encoder in ("kpcn", "split")
    prepared = prepare(frame, split, {}, torch.device("cpu"))
    (found,) = inference.planes(network, prepared.parts, prepared.aovs, encoder)
    with torch.inference_mode(False), torch.enable_grad():
        (expected,) = inference.planes(network, prepared.parts, prepared.aovs, encoder)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert_close(found, functional.pixel_unshuffle(expected, fold), rtol=1e-6, atol=3e-7)


@torch.inference_mode()
def test_two_threads_give_the_same_features() -> None:
    layer, image = nn.Conv2d(16, 16, 3, padding=1), channels_last(1, 16, 70, 20)
    alone = encoding.convolved(layer, image)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        together = encoding.convolved(layer, image)
    finally:
        torch.set_num_threads(before)
    assert_close(together, alone, rtol=0, atol=0)


@pytest.mark.parametrize("size", [(3, 4), (12, 16), (70, 21)])
def test_halving_layers_are_torchs_by_any_number_of_threads(size: tuple[int, int]) -> None:
    layer, image = nn.Conv2d(96, 128, 3, stride=2, padding=1), channels_last(1, 96, *size)
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with torch.inference_mode():
                found.append(encoding.halved(layer, image))
    finally:
        torch.set_num_threads(before)
    assert_close(found[1], found[0], rtol=0, atol=0)
    assert_close(found[0], layer(functional.relu(image)).detach(), rtol=0, atol=1e-5)


def test_weights_that_were_changed_are_read_anew() -> None:
    layer, image = nn.Conv2d(16, 16, 3, padding=1), channels_last(1, 16, 8, 8)
    with torch.no_grad():
        before = encoding.convolved(layer, image)
        layer.weight.mul_(2.0)
        layer.bias.zero_()  # type: ignore[union-attr]
        assert_close(encoding.convolved(layer, image), layer(image), rtol=0, atol=2e-5)
    assert not torch.allclose(before, layer(image), atol=1e-2)


def test_other_networks_and_training_take_the_readable_way() -> None:
    wide = Network(replace(small_config(), channels=(16, 16, 16)))
    planes = channels_last(1, 19, 16, 16)
    assert not encoding.usable(wide, planes)  # gradients
    with torch.inference_mode():
        assert encoding.usable(wide, planes)
        assert not encoding.usable(wide, planes.double())
        assert not encoding.usable(random_network(), planes)  # 8 channels
        assert not encoding.usable(random_network(RESIDUAL), planes)
