"""Multi-scale reconstruction: what the scales hold, and how they are joined."""

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from kpcn_core import features
from kpcn_core.features import Component
from kpcn_core.features_pyramid import Scale, scales
from kpcn_core.model.multiscale import ScaleCompositor, ScaleWeight, denoise_scales, footprint
from kpcn_core.ops.kernels import apply_kernels
from kpcn_core.ops.pyramid import compose
from tests.networks import random_network


def noisy_component(*size: int) -> Component:
    radiance = torch.rand(1, 3, *size)
    valid = torch.ones(1, 1, *size)
    valid[..., 1, 1] = 0
    return Component("specular", radiance * valid, 0.1 * torch.rand(1, 3, *size), valid)


def random_compositor(blocks: int = 1) -> ScaleCompositor:
    """One whose alphas differ from pixel to pixel."""
    compositor = ScaleCompositor(channels=8, blocks=blocks)
    nn.init.normal_(compositor.alpha.last.weight)
    return compositor


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


def test_alpha_is_a_blend_and_starts_in_the_middle() -> None:
    fine, coarse = 100 * torch.rand(2, 3, 7, 9), 100 * torch.rand(2, 3, 4, 5)
    assert_close(ScaleWeight()(fine, coarse), torch.full((2, 1, 7, 9), 0.5))
    alpha = random_compositor().alpha(fine, coarse)
    assert alpha.shape == (2, 1, 7, 9)
    assert 0 <= alpha.min() < alpha.max() <= 1


def test_one_weight_module_serves_both_joins() -> None:
    compositor = random_compositor()
    images = [torch.rand(1, 3, size, size, requires_grad=True) for size in (8, 4, 2)]
    compositor(images).sum().backward()
    assert all(image.grad is not None and image.grad.any() for image in images)
    assert all(value.grad is not None for value in compositor.parameters())
    assert sum(1 for module in compositor.modules() if isinstance(module, ScaleWeight)) == 1


def test_further_layers_are_joined_by_the_weights_of_the_color() -> None:
    compositor = random_compositor()
    images = [torch.rand(1, 3, size, size) for size in (9, 5, 3)]
    alphas = compositor.weights(images)
    light, rest = [0.25 * image for image in images], [0.75 * image for image in images]
    assert_close(compose(light, alphas) + compose(rest, alphas), compositor(images))


def test_a_constant_image_goes_through_all_scales_unchanged() -> None:
    network, compositor = random_network(), random_compositor()
    image = torch.full((1, 3, 13, 10), 0.4)
    valid = torch.ones(1, 1, 13, 10)
    component = Component("specular", image, torch.rand(1, 3, 13, 10), valid)
    aovs = {"albedo": torch.rand(1, 3, 13, 10), "normal": torch.rand(1, 3, 13, 10)}

    def single_frame(scale: Scale) -> Tensor:
        part, guides = scale
        planes = network.stack(features.planes(part, guides), "generic")
        return apply_kernels(part.radiance, network(planes, "generic"), part.valid)

    with torch.no_grad():
        denoised = denoise_scales(scales(component, aovs), single_frame, compositor)
    assert_close(denoised, image)


@pytest.mark.parametrize("pixel", [40, 41, 42, 43])
def test_nothing_outside_the_footprint_is_seen(pixel: int) -> None:
    reach = 3
    module = nn.Conv2d(3, 3, 2 * reach + 1, padding=reach).double()
    compositor = random_compositor().double()
    image = torch.rand(1, 3, 84, 84, dtype=torch.float64, requires_grad=True)
    component = Component("specular", image, None, torch.ones(1, 1, 84, 84, dtype=torch.float64))
    denoised = denoise_scales(
        scales(component, {}), lambda scale: module(scale[0].radiance), compositor
    )
    (gradient,) = torch.autograd.grad(denoised[..., pixel, pixel].sum(), image)
    rows, columns = gradient[0].abs().sum(dim=0).nonzero().unbind(1)
    seen = max((rows - pixel).abs().max().item(), (columns - pixel).abs().max().item())
    bound = footprint(reach, compositor.alpha.footprint)
    assert seen <= bound
    assert seen > bound - 8, "the bound is far from tight"


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_the_compositor_can_be_scripted() -> None:
    compositor = random_compositor()
    images = [torch.rand(1, 3, size, size) for size in (9, 5, 3)]
    assert_close(torch.jit.script(compositor)(images), compositor(images))
