"""The asymmetry of kernels: what lambda changes, where, and what it leaves alone."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from kpcn_core.features import COMPONENTS, LIGHT
from kpcn_core.model.config import KERNELS
from kpcn_core.model.network import Network
from kpcn_core.model.specialization import Specialization, SpecializationBlock, log_asymmetry
from kpcn_core.model.temporal import Context
from tests.networks import random_network, small_config

CHANNELS = 6


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(2)


def trained(fold: int = 1) -> Specialization:
    """One whose last layers are not zero any more."""
    module = Specialization(CHANNELS, blocks=2, fold=fold)
    for value in module.parameters():
        nn.init.normal_(value)
    return module


def fresh() -> Specialization:
    """One as training finds it."""
    module = Specialization(CHANNELS, blocks=2, fold=1)
    for block in module.blocks:
        assert isinstance(block, SpecializationBlock)
        block.start_as_identity()
    return module


def features() -> torch.Tensor:
    return torch.randn(2, CHANNELS, 4, 6)


def test_a_fresh_module_is_the_identity_for_every_asymmetry() -> None:
    x = features()
    assert_close(fresh()(x, torch.rand(2, 1, 4, 6)), x, rtol=0, atol=0)


def test_without_asymmetry_it_stays_the_identity_whatever_it_learned() -> None:
    x = features()
    assert_close(trained()(x, log_asymmetry(1.0, x)), x, rtol=0, atol=0)


def test_more_asymmetry_changes_the_features_more() -> None:
    x, module = features(), trained()
    change = [(module(x, log_asymmetry(value, x)) - x).norm() for value in (1.0, 2.0, 5.0, 10.0)]
    assert change == sorted(change)
    assert change[1] > 0


def test_each_pixel_feels_only_its_own_asymmetry() -> None:
    x, module = features(), trained()
    layer = torch.full((2, 1, 4, 6), 1.0)
    layer[..., 3:] = 7.0
    mixed = module(x, log_asymmetry(layer, x))
    assert_close(mixed[..., :3], x[..., :3])
    assert_close(mixed[..., 3:], module(x, log_asymmetry(7.0, x))[..., 3:])


def test_adding_the_slope_is_concatenating_it() -> None:
    x, plane = features(), torch.rand(2, 1, 4, 6)
    block = trained().blocks[0]
    assert isinstance(block, SpecializationBlock)
    weight = torch.cat([block.first.weight, block.slope.weight], dim=1)
    inner = functional.conv2d(torch.cat([x.relu(), plane], dim=1), weight, block.first.bias)
    assert_close(block(x, plane), x + plane * block.second(inner.relu()))


def test_folded_features_take_the_mean_of_the_pixels_they_stand_for() -> None:
    x, plane = torch.randn(1, CHANNELS, 2, 3), torch.rand(1, 1, 4, 6)
    folded, full = trained(fold=2), Specialization(CHANNELS, blocks=2, fold=1)
    full.load_state_dict(folded.state_dict())
    assert_close(folded(x, plane), full(x, functional.avg_pool2d(plane, 2)))


def test_it_can_leave_the_identity_by_training() -> None:
    x, module = features(), fresh()
    loss = module(x, log_asymmetry(5.0, x)).square().sum()
    loss.backward()
    gradient = module.blocks[0].get_submodule("second").get_parameter("weight").grad
    assert gradient is not None
    assert gradient.any()


def test_powers_of_lambda_multiply_the_weight_of_each_tap() -> None:
    network = random_network(asymmetry=KERNELS)
    context = Context(torch.randn(1, 8, 4, 6), [])
    plain = network.logits(context, 0, COMPONENTS)
    steep = network.logits(context._replace(slope=torch.full((1, 1, 4, 6), 2.0)), 0, COMPONENTS)
    full = network.centre[0].get_submodule("unfold")(context.shared).relu()
    for name, (weight, bias) in network.powers(0).items():
        power = torch.einsum("oc,bchw->bohw", weight, full) + bias[:, None, None]
        assert_close(
            steep[name].exp(), plain[name].exp() * math.exp(2.0) ** power, rtol=1e-4, atol=0
        )
    assert set(network.powers(0)) == {*LIGHT, *(f"{name}.join" for name in LIGHT)}
    for name in set(plain) - set(network.powers(0)):
        assert_close(steep[name], plain[name], rtol=0, atol=0)


def test_fresh_powers_change_nothing_and_can_be_learned() -> None:
    torch.manual_seed(0)
    network = Network(small_config(asymmetry=KERNELS))
    contexts = [Context(torch.randn(1, 8, 4, 6), [], torch.ones(1, 1, 4, 6))]
    logits = network.logits(contexts[0], 0, COMPONENTS)
    plain = network.logits(contexts[0]._replace(slope=None), 0, COMPONENTS)
    for name in plain:
        assert_close(logits[name], plain[name], rtol=0, atol=0)
    loss = logits["specular"][:, 0].sum()
    loss.backward()  # type: ignore[no-untyped-call]
    gradient = network.specialization[0].get_submodule("powers").get_parameter("weight").grad
    assert gradient is not None
    assert gradient.any()


def test_asymmetry_may_be_a_number_or_a_layer() -> None:
    image = torch.rand(2, 3, 4, 6)
    number = log_asymmetry(4.0, image)
    assert_close(number, torch.full((2, 1, 4, 6), math.log(4.0)))
    assert_close(log_asymmetry(torch.full((1, 1, 4, 6), 4.0), image), number)


def test_painted_layers_are_kept_to_the_range_of_training() -> None:
    layer = torch.tensor([0.0, -3.0, torch.nan, 1.0, 10.0, 1e9]).view(1, 1, 1, 6)
    plane = log_asymmetry(layer, torch.rand(1, 3, 1, 6))
    assert_close(plane.exp().flatten(), torch.tensor([1.0, 1, 1, 1, 10, 10]))


@pytest.mark.parametrize("value", [0.5, 11.0, math.nan])
def test_a_number_outside_the_range_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="1 to 10"):
        log_asymmetry(value, torch.rand(1, 3, 4, 6))


def test_a_layer_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="must be"):
        log_asymmetry(torch.ones(1, 1, 4, 5), torch.rand(1, 3, 4, 6))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_it_can_be_scripted() -> None:
    x, plane, module = features(), torch.rand(2, 1, 4, 6), trained()
    assert_close(torch.jit.script(module)(x, plane), module(x, plane))
