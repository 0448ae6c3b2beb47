"""Error predictors: one a metric, from a noisy and a denoised image to a map."""

import pytest
import torch
from torch.testing import assert_close

from kpcn_core.metrics import METRICS
from kpcn_core.model.error import GUIDING_METRICS, ErrorPredictor, error_predictors
from kpcn_core.model.residual import ResidualBlock


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(4)


def test_it_has_the_six_residual_blocks_of_the_paper() -> None:
    blocks = [part for part in ErrorPredictor().modules() if isinstance(part, ResidualBlock)]
    assert len(blocks) == 6


@pytest.mark.parametrize("size", [(1, 1), (7, 12)])
def test_a_predicted_error_is_one_number_a_pixel_and_never_negative(size: tuple[int, int]) -> None:
    module = ErrorPredictor(channels=8)
    error = module(100 * torch.randn(2, 3, *size), torch.randn(2, 3, *size))
    assert error.shape == (2, 1, *size)
    assert error.isfinite().all()
    assert error.min() >= 0


def test_it_looks_at_both_images_and_at_the_guides() -> None:
    module = ErrorPredictor(channels=8, guides=2)
    seen = [torch.rand(1, planes, 6, 6, requires_grad=True) for planes in (3, 3, 2)]
    module(*seen).sum().backward()
    assert all(image.grad is not None and image.grad.any() for image in seen)
    assert all(value.grad is not None for value in module.parameters())


def test_nothing_outside_the_footprint_is_seen() -> None:
    module = ErrorPredictor(channels=8)
    noisy = torch.rand(1, 3, 1, 41, requires_grad=True)
    (gradient,) = torch.autograd.grad(module(noisy, noisy)[..., 20].sum(), noisy)
    columns = gradient.abs().sum(dim=(0, 1, 2)).nonzero()
    assert (columns - 20).abs().max() <= module.footprint == 14


def test_each_metric_has_a_predictor_of_its_own() -> None:
    predictors = error_predictors(channels=8)
    assert set(predictors) == set(GUIDING_METRICS) <= set(METRICS)
    values = [id(value) for value in predictors.parameters()]
    assert len(values) == len(set(values)) == 4 * len(list(ErrorPredictor(8).parameters()))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_it_can_be_scripted() -> None:
    module = ErrorPredictor(channels=8)
    images = torch.rand(2, 1, 3, 6, 6)
    assert_close(torch.jit.script(module)(images[0], images[1]), module(images[0], images[1]))
