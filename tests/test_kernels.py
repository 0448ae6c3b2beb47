"""Kernel application against a slow float64 twin, and its properties (paper Eq. 3 and 4)."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

from kpcn_core.model.kernels import KernelPredictor
from kpcn_core.ops import kernels
from kpcn_core.ops.kernels import (
    apply_kernels,
    normalized,
    renormalized,
    weighted_sum,
    with_mask,
    without_mask,
)


def unfolded(radiance: Tensor, logits: Tensor, valid: Tensor) -> Tensor:
    """Eq. 3 and 4 as they are written: every tap of every pixel at once."""
    size = int(logits.shape[1] ** 0.5)

    def taps(image: Tensor) -> Tensor:
        columns = functional.unfold(image, size, padding=size // 2)
        return columns.reshape(*image.shape[:2], size * size, *image.shape[-2:])

    masked = logits[:, None].masked_fill(taps(valid) == 0, -torch.inf)
    return (taps(radiance) * masked.softmax(dim=2)).sum(dim=2)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def test_matches_the_float64_twin_with_masked_pixels(generator: torch.Generator) -> None:
    radiance = torch.rand(2, 3, 9, 7, dtype=torch.float64, generator=generator)
    logits = 4 * torch.randn(2, 25, 9, 7, dtype=torch.float64, generator=generator)
    valid = (torch.rand(2, 1, 9, 7, generator=generator) > 0.3).double()
    assert_close(apply_kernels(radiance, logits, valid), unfolded(radiance, logits, valid))


def test_taps_laid_out_at_once_are_the_same_with_the_same_gradient(
    generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = torch.rand(3, 4, 9, 7, dtype=torch.float64, generator=generator)
    weights = torch.rand(3, 25, 9, 7, dtype=torch.float64, generator=generator, requires_grad=True)
    towards = torch.rand(3, 4, 9, 7, dtype=torch.float64, generator=generator)
    sums = weighted_sum(image, weights)
    (slope,) = torch.autograd.grad(sums, weights, towards)
    monkeypatch.setattr(kernels, "TAP_BY_TAP", ())
    monkeypatch.setattr(kernels, "TAPS_AT_ONCE", 50)  # two images of the three
    at_once = weighted_sum(image, weights)
    assert_close(at_once, sums)
    assert_close(torch.autograd.grad(at_once, weights, towards)[0], slope)


def test_weighted_sums_match_the_float64_twin_and_are_not_normalized(
    generator: torch.Generator,
) -> None:
    image, weights = (
        torch.rand(2, channels, 6, 7, dtype=torch.float64, generator=generator)
        for channels in (4, 9)
    )
    columns = functional.unfold(image, 3, padding=1).view(2, 4, 9, 6, 7)
    assert_close(weighted_sum(image, weights), (columns * weights[:, None]).sum(dim=2))


def test_a_mask_rides_along_as_one_more_channel(generator: torch.Generator) -> None:
    image = torch.rand(1, 2, 4, 4, generator=generator)
    valid = (torch.rand(1, 1, 4, 4, generator=generator) > 0.5).float()
    broken = torch.where(valid > 0, image, torch.inf)
    masked = with_mask(broken, valid)
    assert masked.isfinite().all()
    assert_close(masked[:, 2:], valid)
    assert_close(without_mask(masked), torch.where(valid > 0, image, torch.nan), equal_nan=True)
    assert with_mask(image)[:, 2:].eq(1).all()


def test_normalized_is_the_mean_of_what_has_weight_and_nan_elsewhere() -> None:
    sums = torch.tensor([[6.0, 0.0], [3.0, 0.0]]).view(1, 2, 1, 2).requires_grad_()
    means = normalized(sums)
    assert_close(means.flatten(), torch.tensor([2.0, torch.nan]), equal_nan=True)
    assert_close(without_mask(renormalized(sums)), means, equal_nan=True)
    assert_close(renormalized(sums)[:, 1].flatten(), torch.tensor([1.0, 0.0]))
    for found in (torch.where(means.isnan(), 0.0, means), renormalized(sums)):
        (gradient,) = torch.autograd.grad(found.sum(), sums, retain_graph=True)
        assert gradient.isfinite().all()


def test_gradient_of_the_logits_matches_finite_differences(generator: torch.Generator) -> None:
    radiance = torch.rand(1, 2, 4, 5, dtype=torch.float64, generator=generator)
    logits = torch.randn(1, 9, 4, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    valid = torch.ones(1, 1, 4, 5, dtype=torch.float64)
    valid[..., 2, 2] = 0
    assert torch.autograd.gradcheck(lambda z: apply_kernels(radiance, z, valid), (logits,))


def test_a_constant_image_stays_constant_up_to_its_borders(generator: torch.Generator) -> None:
    image = torch.full((1, 3, 8, 8), 0.25)
    logits = 10 * torch.randn(1, 49, 8, 8, generator=generator)
    assert_close(apply_kernels(image, logits), image)


def test_layers_that_add_up_still_add_up(generator: torch.Generator) -> None:
    first, second = torch.rand(2, 1, 3, 8, 8, generator=generator)
    logits = torch.randn(1, 25, 8, 8, generator=generator)
    total = apply_kernels(first + second, logits)
    assert_close(apply_kernels(first, logits) + apply_kernels(second, logits), total)


def test_a_masked_pixel_reaches_no_output_even_where_its_weight_is_largest() -> None:
    radiance = torch.ones(1, 1, 5, 5)
    valid = torch.ones(1, 1, 5, 5)
    radiance[..., 2, 2], valid[..., 2, 2] = torch.nan, 0
    logits = torch.full((1, 9, 5, 5), -1000.0)
    logits[:, 4] = 1000.0  # every kernel wants its own centre
    assert_close(apply_kernels(radiance, logits, valid), torch.ones(1, 1, 5, 5))


def test_a_kernel_without_a_valid_pixel_gives_nan_not_a_made_up_value() -> None:
    nothing = torch.zeros(1, 1, 3, 3)
    assert apply_kernels(nothing, torch.zeros(1, 9, 3, 3), nothing).isnan().all()


def test_half_precision_logits_are_normalized_in_float32(generator: torch.Generator) -> None:
    radiance = torch.rand(1, 3, 6, 6, generator=generator)
    logits = torch.randn(1, 25, 6, 6, generator=generator).half()
    assert apply_kernels(radiance, logits).dtype == torch.float32


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="odd k"):
        apply_kernels(torch.ones(1, 3, 4, 4), torch.zeros(1, 16, 4, 4))


@pytest.mark.parametrize("fold", [1, 2])
def test_a_fresh_predictor_filters_by_boxes(fold: int, generator: torch.Generator) -> None:
    image, features = torch.rand(1, 3, 6, 8, generator=generator), torch.randn(1, 4, 6, 8)
    logits = KernelPredictor(4, 9, fold)(features[..., : 6 // fold, : 8 // fold])
    assert_close(
        apply_kernels(image, logits),
        functional.avg_pool2d(image, 3, stride=1, padding=1, count_include_pad=False),
    )


@pytest.mark.parametrize("fold", [1, 2])
def test_a_predictor_is_1x1_convolutions_however_it_is_computed(fold: int) -> None:
    torch.manual_seed(1)
    predictor, features = KernelPredictor(4, 9, fold), torch.randn(2, 4, 3, 5)
    for value in predictor.parameters():
        torch.nn.init.normal_(value)
    weight, bias = predictor.logits.weight[..., None, None], predictor.logits.bias
    expected = functional.conv2d(predictor.unfold(features).relu(), weight, bias)
    assert expected.shape == (2, 9, 3 * fold, 5 * fold)
    for layout in (torch.contiguous_format, torch.channels_last):
        found = predictor(features.contiguous(memory_format=layout))
        assert_close(found, expected, rtol=1e-4, atol=1e-5)
