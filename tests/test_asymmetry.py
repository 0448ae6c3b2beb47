"""The asymmetric loss of Eq. 6 against a slow float64 twin, and the slopes it is trained with."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from training.asymmetry import asymmetric_smape, sample_log_asymmetry, slopes
from training.losses import smape


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(9)


def images(generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Denoised, reference and noisy: a few values are equal."""
    d, r, c = torch.rand(3, 2, 3, 4, 5, dtype=torch.float64, generator=generator).mul(8).round() / 4
    return d, r, c


def pixel_by_pixel(d: Tensor, r: Tensor, c: Tensor, asymmetry: Tensor) -> float:
    """Eq. 6 on Eq. 2, as they are written."""
    total = 0.0
    slope = asymmetry.expand_as(d)
    for dp, rp, cp, lam in zip(*(x.flatten().tolist() for x in (d, r, c, slope)), strict=True):
        heaviside = 1 if (dp - rp) * (rp - cp) > 0 else 0
        total += abs(dp - rp) / (abs(dp) + abs(rp) + 0.01) * (1 + (lam - 1) * heaviside)
    return total / d.numel()


def one(value: float) -> Tensor:
    return torch.full((1, 3, 1, 1), value, dtype=torch.float64)


def log_of(asymmetry: float) -> Tensor:
    return torch.full((1, 1, 1, 1), math.log(asymmetry), dtype=torch.float64)


def test_matches_the_float64_twin(generator: torch.Generator) -> None:
    d, r, c = images(generator)
    plane = sample_log_asymmetry(d, generator=generator)
    expected = torch.tensor(pixel_by_pixel(d, r, c, plane.exp()), dtype=torch.float64)
    assert_close(asymmetric_smape(d, r, c, plane), expected)


@pytest.mark.parametrize("detach", [False, True])
def test_without_asymmetry_it_is_the_symmetric_loss_and_has_its_gradient(
    generator: torch.Generator, detach: bool
) -> None:
    d, r, c = images(generator)
    weight = torch.rand(2, 1, 4, 5, dtype=torch.float64, generator=generator)
    d.requires_grad_()
    none = torch.zeros(2, 1, 4, 5, dtype=torch.float64)
    asymmetric = asymmetric_smape(d, r, c, none, weight, 0.02, detach)
    symmetric = smape(d, r, weight, 0.02, detach)
    assert_close(asymmetric, symmetric)
    assert_close(torch.autograd.grad(asymmetric, d), torch.autograd.grad(symmetric, d))


@pytest.mark.parametrize("noisy", [0.0, 2.0])
def test_the_slope_is_lambda_on_the_side_away_from_the_input(noisy: float) -> None:
    reference, step = one(1.0), 0.1 if noisy < 1 else -0.1
    for towards, factor in ((-step, 1.0), (step, 4.0)):
        d = one(1.0 + towards).requires_grad_()
        asymmetric = asymmetric_smape(d, reference, one(noisy), log_of(4.0))
        symmetric = smape(d, reference)
        assert_close(asymmetric, factor * symmetric)
        (gradient,) = torch.autograd.grad(asymmetric, d)
        assert_close(gradient, factor * torch.autograd.grad(symmetric, d)[0])


def test_an_input_without_noise_and_a_result_without_error_are_not_punished() -> None:
    assert (slopes(one(1.2), one(1.0), one(1.0), log_of(9.0)) == 1).all()
    assert (slopes(one(1.0), one(1.0), one(3.0), log_of(9.0)) == 1).all()


def test_its_gradient_matches_finite_differences(generator: torch.Generator) -> None:
    d, r, c = torch.rand(3, 1, 3, 3, 3, dtype=torch.float64, generator=generator)
    plane = sample_log_asymmetry(d, generator=generator)
    d.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: asymmetric_smape(x, r, c, plane), (d,))


def test_masked_pixels_may_hold_anything(generator: torch.Generator) -> None:
    d, r, c = images(generator)
    weight = torch.ones(2, 1, 4, 5, dtype=torch.float64)
    weight[..., 0] = 0
    plane = sample_log_asymmetry(d, generator=generator)
    expected = asymmetric_smape(d, r, c, plane, weight)
    r[..., 0] = torch.nan
    assert_close(asymmetric_smape(d, r, c, plane, weight), expected)


def test_the_best_answer_moves_towards_the_input_as_lambda_grows() -> None:
    """Fig. 7: what an unsure network should say, for an input brighter than most references"""
    references = torch.linspace(0.5, 1.5, 201, dtype=torch.float64).view(-1, 1, 1, 1)
    noisy = torch.full_like(references, 2.0)
    answers = torch.linspace(0.4, 1.8, 141, dtype=torch.float64)
    best = []
    for asymmetry in (1.0, 2.0, 5.0, 10.0):
        plane = torch.full_like(references, math.log(asymmetry))
        losses = [
            asymmetric_smape(torch.full_like(references, float(answer)), references, noisy, plane)
            for answer in answers
        ]
        best.append(answers[torch.stack(losses).argmin()].item())
    assert best == sorted(set(best))
    assert best[-1] < 2.0


def test_log_lambda_is_uniform_and_differs_from_pixel_to_pixel(generator: torch.Generator) -> None:
    plane = sample_log_asymmetry(torch.empty(4, 3, 64, 64), generator=generator)
    assert plane.shape == (4, 1, 64, 64)
    shares = plane.flatten().histc(10, 0, math.log(10)) / plane.numel()
    assert_close(shares, torch.full((10,), 0.1), rtol=0.1, atol=0)
    assert len(set(plane[0].flatten().tolist())) > 4000
    assert 0 <= plane.min() < plane.max() <= math.log(10)


def test_cells_share_one_lambda_also_where_the_image_cuts_them(generator: torch.Generator) -> None:
    plane = sample_log_asymmetry(torch.empty(1, 3, 6, 7), cell=4, generator=generator)
    assert len(set(plane.flatten().tolist())) == 4
    assert (plane[..., :4, :4] == plane[..., 0, 0]).all()
    assert (plane[..., 4:, 4:] == plane[..., 5, 6]).all()


def test_the_same_generator_gives_the_same_slopes() -> None:
    first, second = (
        sample_log_asymmetry(torch.empty(1, 1, 3, 3), generator=torch.Generator().manual_seed(1))
        for _ in range(2)
    )
    assert_close(first, second)
