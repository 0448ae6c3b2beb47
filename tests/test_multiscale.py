"""Multi-scale reconstruction: what the scales hold, how they are joined, and with which frames."""

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from kpcn_core.features import COMPONENTS, Component
from kpcn_core.features_pyramid import scales
from kpcn_core.model.config import RESIDUAL
from kpcn_core.model.multiscale import ScaleWeight
from kpcn_core.model.network import Network
from kpcn_core.model.reconstruction import (
    Image,
    motion_pyramid,
    neighbours,
    reconstruct,
    slope_pyramid,
)
from kpcn_core.model.temporal import Context
from kpcn_core.ops.kernels import without_mask
from kpcn_core.ops.pyramid import down, down_motion, down_valid, interpolating_join, join
from kpcn_core.ops.reposition import filter_window
from tests.networks import NETWORKS, random_network

SIZE = (8, 16)


def noisy_component(*size: int) -> Component:
    radiance = torch.rand(1, 3, *size)
    valid = torch.ones(1, 1, *size)
    valid[..., 1, 1] = 0
    return Component("specular", radiance * valid, 0.1 * torch.rand(1, 3, *size), valid)


# --- what a residual trunk reads at each scale ---


def test_scales_halve_with_their_guides_and_their_variance_falls_to_a_quarter() -> None:
    aovs = {"albedo": torch.rand(1, 3, 9, 12), "albedo_mse": torch.full((1, 3, 9, 12), 0.16)}
    component = noisy_component(9, 12)
    component.variance.fill_(0.16)  # type: ignore[union-attr]
    found = scales(component, aovs | {"color": component.radiance})
    assert [scale.radiance.shape[-2:] for scale, _ in found] == [(9, 12), (5, 6), (3, 3)]
    assert all(set(guides) == set(aovs) for _, guides in found)
    for (scale, guides), variance in zip(found, (0.16, 0.04, 0.01), strict=True):
        for values in (scale.variance, guides["albedo_mse"]):
            assert values is not None
            assert_close(values[..., 1:2, 1:2], torch.full((1, 3, 1, 1), variance))


def test_pixels_that_are_not_valid_reach_no_scale() -> None:
    component = noisy_component(8, 8)
    component.radiance[..., 1, 1] = torch.nan
    albedo = torch.rand(1, 3, 8, 8)
    albedo[:, 1, 2, 2] = torch.inf
    for scale, guides in scales(component, {"albedo": albedo})[1:]:
        assert scale.valid.all()
        assert scale.radiance.isfinite().all()
        assert guides["albedo"].isfinite().all()


def test_a_component_without_variance_has_none_at_any_scale() -> None:
    component = Component("specular", torch.rand(1, 3, 4, 4), None, torch.ones(1, 1, 4, 4))
    assert [scale.variance for scale, _ in scales(component, {})] == [None] * 3


# --- the weight of Eq. 5 ---


def random_weight() -> ScaleWeight:
    """One whose alphas differ from pixel to pixel."""
    module = ScaleWeight(channels=8, blocks=1)
    nn.init.normal_(module.last.weight)
    return module


def test_alpha_is_a_blend_and_starts_in_the_middle() -> None:
    torch.manual_seed(4)
    fine, coarse = 100 * torch.rand(2, 3, 7, 9), 100 * torch.rand(2, 3, 4, 5)
    module = random_weight()
    alpha = module(fine, coarse)
    assert alpha.shape == (2, 1, 7, 9)
    assert 0 <= alpha.min() < alpha.max() <= 1
    module.start_at_half()
    assert_close(module(fine, coarse), torch.full((2, 1, 7, 9), 0.5))


def test_alpha_is_a_number_where_a_scale_had_nothing_to_read() -> None:
    fine, coarse = torch.rand(1, 3, 6, 6), torch.rand(1, 3, 3, 3)
    fine[..., 2, 2], coarse[..., 0, 0] = torch.nan, torch.nan
    assert random_weight()(fine, coarse).isfinite().all()


@pytest.mark.parametrize("pixel", [20, 21])
def test_nothing_outside_the_footprint_of_alpha_is_seen(pixel: int) -> None:
    module = random_weight()
    fine = torch.rand(1, 3, 1, 42, requires_grad=True)
    coarse = torch.rand(1, 3, 1, 21, requires_grad=True)
    seen = torch.autograd.grad(module(fine, coarse)[..., pixel].sum(), (fine, coarse))
    for gradient, size in zip(seen, (1, 2), strict=True):
        columns = gradient.abs().sum(dim=(0, 1, 2)).nonzero() * size
        # The two fine pixels that one coarse pixel is repeated over are the same to it.
        assert (columns - pixel // size * size).abs().max() <= module.footprint + size - 1


# --- frames and scales together ---


def random_window(frames: int) -> list[dict[str, Image]]:
    """All components of every frame, with pixels that are not valid."""
    return [
        {
            name: Image(radiance, (torch.rand(2, 1, *SIZE) > 0.3).double())
            for name, radiance in zip(COMPONENTS, torch.rand(4, 2, 5, *SIZE).double(), strict=True)
        }
        for _ in range(frames)
    ]


def random_contexts(network: Network, frames: int) -> list[Context]:
    fold, images = network.config.fold, 2 * (len(COMPONENTS) if network.apart else 1)
    sizes = [[length // (fold << scale) for length in SIZE] for scale in range(3)]
    return [
        Context(
            torch.randn(images, 8, *size).double(),
            [torch.randn(images, 8, *size).double() for _ in range(frames)],
        )
        for size in sizes
    ]


def slow_reconstruct(
    network: Network,
    contexts: list[Context],
    window: list[dict[str, Image]],
    motion: list[Tensor],
    centre: int,
) -> dict[str, Tensor]:
    """Fig. 4 as it is drawn, operator by operator, with one softmax over all frames (§3.3)."""
    radiance = [{name: image.radiance for name, image in frame.items()} for frame in window]
    valid = [{name: image.valid for name, image in frame.items()} for frame in window]
    filtered: list[dict[str, Tensor]] = []
    for scale, context in enumerate(contexts):
        logits = [
            network.logits(context, scale, COMPONENTS)
            if frame == centre
            else network.neighbour_logits(context, scale, frame, COMPONENTS)
            for frame in range(len(window))
        ]
        filtered.append(
            {
                name: filter_window(
                    [frame[name] for frame in radiance],
                    [frame[name] for frame in logits],
                    motion,
                    [frame[name] for frame in valid],
                )
                for name in COMPONENTS
            }
        )
        radiance = [
            {name: down(image, masks[name]) for name, image in frame.items()}
            for frame, masks in zip(radiance, valid, strict=True)
        ]
        valid = [{name: down_valid(mask) for name, mask in frame.items()} for frame in valid]
        motion = [down_motion(vectors) for vectors in motion]
    joined = filtered[-1]
    for scale in (1, 0):
        for name in COMPONENTS:
            fine, coarse = filtered[scale][name], joined[name]
            if network.alpha is None:
                weights = network.logits(contexts[scale], scale, COMPONENTS)[f"{name}.join"]
                joined[name] = interpolating_join(fine, coarse, weights)
            else:
                alpha = network.alpha(fine[:, :3], coarse[:, :3])
                joined[name] = join(fine, coarse, alpha)
    return joined


@pytest.mark.parametrize(("trunk", "fold"), NETWORKS)
@pytest.mark.parametrize(("frames", "centre"), [(1, 0), (3, 1), (4, 0)])
@torch.no_grad()
def test_reconstruction_is_its_operators_one_by_one(
    trunk: str, fold: int, frames: int, centre: int
) -> None:
    network = random_network(trunk, fold).double()
    window, contexts = random_window(frames), random_contexts(network, frames)
    motion = [2 * vectors for vectors in torch.randn(frames, 2, 2, *SIZE).double()]
    motion[centre].zero_()
    window[centre]["emission"].valid[0, :, :4, :4] = 0
    expected = slow_reconstruct(network, contexts, window, motion, centre)
    around = neighbours(
        network, contexts, window, [motion_pyramid(step, 3) for step in motion], centre
    )
    assert (around is None) == (frames == 1)
    found = reconstruct(network, contexts, window[centre], around)
    for name in COMPONENTS:
        assert_close(found[name], expected[name], equal_nan=True)


def test_an_image_has_its_mask_at_every_scale() -> None:
    image, valid = torch.rand(1, 4, 8, 8), torch.zeros(1, 1, 8, 8)
    valid[..., 5, 2] = 1
    found = Image(torch.where(valid > 0, image, torch.nan), valid).pyramid(3)
    assert [tuple(level.shape) for level in found] == [(1, 5, 8, 8), (1, 5, 4, 4), (1, 5, 2, 2)]
    for level in found:
        assert_close(level[level[:, -1:].expand_as(level) > 0][:4], image[0, :, 5, 2])
        assert without_mask(level).isfinite().sum() == 4


def test_motion_and_lambda_are_the_same_at_every_scale() -> None:
    motion = torch.tensor([6.0, -2.0]).view(1, 2, 1, 1).expand(1, 2, 8, 8)
    assert [level[0, :, 0, 0].tolist() for level in motion_pyramid(motion, 3)] == [
        [6, -2],
        [3, -1],
        [1.5, -0.5],
    ]
    slopes = slope_pyramid(torch.full((1, 1, 8, 8), 0.7), 3)
    assert [tuple(level.shape[-2:]) for level in slopes] == [(8, 8), (4, 4), (2, 2)]
    assert all(torch.allclose(level, torch.tensor(0.7)) for level in slopes)


def test_a_residual_network_has_one_weight_for_all_joins_and_a_unet_predicts_its_own() -> None:
    def count(network: Network) -> int:
        return sum(isinstance(module, ScaleWeight) for module in network.modules())

    assert count(random_network(RESIDUAL)) == 1
    network = random_network()
    assert count(network) == 0
    contexts = random_contexts(network.double(), 1)
    joins = [
        {name for name in network.logits(context, scale, COMPONENTS) if name.endswith(".join")}
        for scale, context in enumerate(contexts)
    ]
    assert [len(names) for names in joins] == [4, 4, 0]
