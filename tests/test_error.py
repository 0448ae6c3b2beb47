"""Error predictors: from a noisy and a denoised image to a map for each metric."""

import pytest
import torch
from torch.testing import assert_close

from kpcn_core.errors import InvalidWeights
from kpcn_core.metrics import METRICS
from kpcn_core.model.error import ErrorPredictor
from kpcn_core.model.error_config import GUIDING_METRICS, ErrorConfig
from kpcn_core.model.residual import ResidualBlock

SMALL = ErrorConfig(channels=8)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(4)


def test_it_has_the_six_residual_blocks_of_the_paper() -> None:
    parts = ErrorPredictor(ErrorConfig()).modules()
    assert sum(isinstance(part, ResidualBlock) for part in parts) == 6


@pytest.mark.parametrize(("size", "fold"), [((1, 1), 1), ((7, 12), 1), ((4, 6), 2)])
def test_a_predicted_error_is_one_number_a_pixel_and_never_negative(
    size: tuple[int, int], fold: int
) -> None:
    module = ErrorPredictor(ErrorConfig(channels=8, fold=fold))
    error = module(100 * torch.randn(2, 3, *size), torch.randn(2, 3, *size))
    assert error.shape == (2, len(GUIDING_METRICS), *size)
    assert error.isfinite().all()
    assert error.min() >= 0


def test_it_looks_at_both_images_and_at_the_deviation() -> None:
    module = ErrorPredictor(ErrorConfig(channels=8, deviation=True))
    seen = [torch.rand(1, planes, 6, 6, requires_grad=True) for planes in (3, 3, 1)]
    module(*seen).sum().backward()
    assert all(image.grad is not None and image.grad.any() for image in seen)
    assert all(value.grad is not None for value in module.parameters())


@pytest.mark.parametrize("fold", [1, 2])
def test_nothing_outside_the_footprint_is_seen(fold: int) -> None:
    module = ErrorPredictor(ErrorConfig(channels=8, fold=fold))
    noisy = torch.rand(1, 3, 2, 80, requires_grad=True)
    (gradient,) = torch.autograd.grad(module(noisy, noisy)[..., 40].sum(), noisy)
    columns = gradient.abs().sum(dim=(0, 1, 2)).nonzero()
    assert (columns - 40).abs().max() <= module.footprint == {1: 18, 2: 33}[fold]


def test_every_metric_that_can_be_predicted_can_be_measured() -> None:
    assert set(GUIDING_METRICS) <= set(METRICS)


def test_a_config_survives_its_json() -> None:
    config = ErrorConfig(("dssim",), 24, 3, 2, deviation=True)
    assert ErrorConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '{"metrics": ["psnr"]}',
        '{"metrics": []}',
        '{"metrics": ["smape", "smape"]}',
        '{"metrics": ["smape"], "fold": 0}',
        '{"metrics": ["smape"], "width": 3}',
    ],
)
def test_a_wrong_config_is_refused(text: str) -> None:
    with pytest.raises(InvalidWeights, match="Predictor config"):
        ErrorConfig.from_json(text)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_it_can_be_scripted() -> None:
    module = ErrorPredictor(SMALL)
    images = torch.rand(2, 1, 3, 6, 6)
    assert_close(torch.jit.script(module)(images[0], images[1]), module(images[0], images[1]))
