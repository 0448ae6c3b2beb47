"""Losses: their values, and what they ignore."""

import torch
from torch.testing import assert_close
from torchmetrics.functional.image import structural_similarity_index_measure

from kpcn_core.metrics import display
from training.losses import gradient_error, smape, ssim_map, structural_error, tone


def test_smape_is_zero_for_equal_images_and_close_to_one_for_black_ones() -> None:
    image = torch.rand(2, 3, 8, 8) + 1
    assert smape(image, image) == 0
    assert 0.98 < smape(torch.zeros_like(image), image) < 1


def test_smape_is_symmetric_and_does_not_depend_on_brightness() -> None:
    first, second = torch.rand(2, 3, 8, 8) + 1, torch.rand(2, 3, 8, 8) + 1
    assert_close(smape(first, second), smape(second, first))
    assert_close(smape(100 * first, 100 * second), smape(first, second), rtol=0.02, atol=0.0)


def test_a_pixel_of_weight_0_may_hold_anything() -> None:
    image, reference = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4)
    weight = torch.ones(1, 1, 4, 4)
    weight[..., 2] = 0
    expected = smape(image[..., [0, 1, 3]], reference[..., [0, 1, 3]])
    image[..., 2] = torch.nan
    assert_close(smape(image, reference, weight), expected)


def test_detaching_the_denominator_changes_the_gradient_and_not_the_value() -> None:
    image = torch.tensor(2.0).expand(1, 3, 2, 2).clone().requires_grad_()
    reference = torch.ones(1, 3, 2, 2)
    plain, detached = smape(image, reference), smape(image, reference, detach=True)
    assert_close(plain, detached)
    (slope,) = torch.autograd.grad(plain, image)
    (detached_slope,) = torch.autograd.grad(detached, image)
    assert (detached_slope > slope).all()


def test_a_constant_error_has_no_gradient_error_and_a_blurred_edge_has() -> None:
    edge = torch.zeros(1, 3, 8, 8)
    edge[..., 4:] = 1.0
    assert gradient_error(edge, edge) == 0
    blurred = edge.clone()
    blurred[..., 3:5] = 0.5
    assert gradient_error(blurred, edge) > 0.01
    weight = torch.zeros(1, 1, 8, 8)
    weight[..., :2] = 1
    assert gradient_error(blurred, edge, weight) == 0


def test_ssim_is_that_of_the_library() -> None:
    first = torch.rand(2, 3, 40, 56)
    second = (first + 0.1 * torch.randn_like(first)).clamp(0, 1)
    # Where the whole window lies inside; the library extends images by reflection, and crops again.
    expected = structural_similarity_index_measure(
        first, second, data_range=1.0, return_full_image=True
    )[1][..., 5:-5, 5:-5]
    assert_close(ssim_map(first, second), expected, atol=1e-4, rtol=1e-4)


def test_structural_error_sees_blur_at_every_brightness_and_not_where_weight_is_0() -> None:
    stripes = (torch.arange(64) % 4 < 2).float().expand(1, 3, 64, 64) + 0.1
    blurred = torch.full_like(stripes, 0.6)
    assert structural_error(stripes, stripes) < 1e-6
    assert structural_error(blurred, stripes) > 0.3
    assert structural_error(20 * blurred, 20 * stripes) > 0.3
    weight = torch.zeros(1, 1, 64, 64)
    unknown = torch.full_like(stripes, torch.nan).requires_grad_()
    nothing = structural_error(unknown, stripes, weight)
    assert nothing == 0
    (slope,) = torch.autograd.grad(nothing, unknown)
    assert slope.isfinite().all()


def test_the_tone_curve_is_that_of_a_display_and_goes_on_above_1() -> None:
    exposed = torch.linspace(-0.1, 1.0, 200)
    assert_close(tone(exposed), display(exposed))
    assert tone(torch.tensor(10.0)) > 1.5
    edges = torch.tensor([-1.0, 0.0, 1e-9, 0.0031308, 3.0], requires_grad=True)
    (slopes,) = torch.autograd.grad(tone(edges).sum(), edges)
    assert slopes.isfinite().all()
