"""Scales: their means and variances, and the join of Eq. 5 against a slow float64 twin."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from kpcn_core.ops import pyramid
from kpcn_core.ops.pyramid import compose, down, down_motion, down_valid, down_variance, join, up

SIZES = [(8, 6), (7, 5), (1, 1), (1, 4), (2, 3)]


def rand(*size: int, seed: int = 0) -> Tensor:
    return torch.rand(*size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def slow_down(image: Tensor, valid: Tensor) -> Tensor:
    """Block by block."""
    batch, channels, height, width = image.shape
    result = image.new_zeros(batch, channels, (height + 1) // 2, (width + 1) // 2)
    for b, y, x in torch.cartesian_prod(*map(torch.arange, (batch, *result.shape[-2:]))).tolist():
        block = (b, slice(None), slice(2 * y, 2 * y + 2), slice(2 * x, 2 * x + 2))
        kept = image[block][:, valid[block][0] > 0]
        if kept.shape[1]:
            result[b, :, y, x] = kept.mean(dim=1)
    return result


def slow_join(fine: Tensor, coarse: Tensor, alpha: Tensor) -> Tensor:
    """Eq. 5, pixel by pixel."""
    low = slow_down(fine, torch.ones_like(fine[:, :1]))
    result = fine.clone()
    for y in range(fine.shape[2]):
        for x in range(fine.shape[3]):
            block = (..., y // 2, x // 2)
            result[..., y, x] += alpha[..., y, x] * (coarse[block] - low[block])
    return result


@pytest.mark.parametrize("size", SIZES)
def test_down_matches_its_twin_with_and_without_a_mask(size: tuple[int, int]) -> None:
    image = rand(2, 3, *size)
    valid = (rand(2, 1, *size, seed=1) > 0.4).double()
    assert_close(down(image), slow_down(image, torch.ones_like(valid)))
    masked = torch.where(valid > 0, image, torch.nan)
    assert_close(down(masked, valid), slow_down(image, valid))


@pytest.mark.parametrize("size", SIZES)
def test_constants_stay_constant(size: tuple[int, int]) -> None:
    image = torch.full((1, 3, *size), 0.3)
    coarse = down(image)
    assert_close(coarse, torch.full_like(coarse, 0.3))
    assert_close(up(coarse, *size), image)
    assert_close(join(image, coarse, torch.rand(1, 1, *size)), image)


def test_even_sizes_keep_the_energy() -> None:
    image = rand(1, 3, 8, 12)
    assert_close(down(image).mean(), image.mean())
    assert_close(up(down(image), 8, 12).mean(), image.mean())


def test_a_block_is_valid_if_any_of_its_pixels_is() -> None:
    valid = torch.zeros(1, 1, 5, 4)
    valid[..., 1, 1] = valid[..., 4, 3] = 1
    assert down_valid(valid)[0, 0].tolist() == [[1, 0], [0, 0], [0, 1]]


def test_variance_is_a_quarter_in_whole_blocks() -> None:
    variance = torch.full((1, 1, 6, 8), 0.8)
    assert_close(down_variance(variance), torch.full((1, 1, 3, 4), 0.2))


def test_variance_matches_monte_carlo_also_at_odd_borders_and_beside_masked_pixels() -> None:
    deviation = 0.2 + rand(1, 1, 5, 5)
    valid = torch.ones_like(deviation)
    valid[..., 0, 0] = valid[..., 2, 3] = valid[..., 4, 4] = 0
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(20_000, 1, 5, 5, dtype=torch.float64, generator=generator)
    seen = down(noise * deviation, valid.expand_as(noise)).var(dim=0, keepdim=True)
    assert_close(down_variance(deviation.square(), valid), seen, rtol=0.06, atol=1e-12)


def test_motion_halves_and_is_never_a_mean_of_two_surfaces() -> None:
    motion = torch.tensor([[4.0, 4, 4, -6, -6, -6]]).expand(1, 2, 5, 6)
    assert down_motion(motion).shape == (1, 2, 3, 3)
    assert set(down_motion(motion).flatten().tolist()) == {2.0, -3.0}


@pytest.mark.parametrize("size", SIZES)
def test_join_matches_its_twin(size: tuple[int, int]) -> None:
    fine, alpha = rand(2, 3, *size), rand(2, 1, *size, seed=1)
    coarse = rand(2, 3, *down(fine).shape[-2:], seed=2)
    assert_close(join(fine, coarse, alpha), slow_join(fine, coarse, alpha))


def test_join_takes_its_low_frequencies_from_the_coarse_image_as_far_as_alpha_says() -> None:
    fine, coarse = rand(1, 3, 8, 8), rand(1, 3, 4, 4, seed=1)
    blocks = rand(1, 1, 4, 4, seed=2)  # one alpha for each block
    joined = join(fine, coarse, up(blocks, 8, 8))
    assert_close(down(joined), (1 - blocks) * down(fine) + blocks * coarse)
    # What is left, the high frequencies, is the fine image's.
    assert_close(joined - up(down(joined), 8, 8), fine - up(down(fine), 8, 8))


def test_join_keeps_the_energy_of_scales_that_have_the_same() -> None:
    fine, coarse = rand(1, 3, 8, 8), rand(1, 3, 4, 4, seed=1)
    coarse += fine.mean() - coarse.mean()
    assert_close(join(fine, coarse, torch.full_like(fine[:, :1], 0.7)).mean(), fine.mean())


def test_alpha_zero_is_the_fine_image_and_consistent_scales_change_nothing() -> None:
    fine, coarse = rand(1, 3, 7, 9), rand(1, 3, 4, 5, seed=1)
    assert_close(join(fine, coarse, torch.zeros_like(fine[:, :1])), fine)
    assert_close(join(fine, down(fine), rand(1, 1, 7, 9, seed=2)), fine)


def test_layers_that_add_up_still_add_up_after_the_joins() -> None:
    def scales(seed: int) -> list[Tensor]:
        return [rand(1, 3, size, size, seed=seed + size) for size in (9, 5, 3)]

    first, second = scales(0), scales(100)
    alphas = [rand(1, 1, size, size, seed=size) for size in (5, 9)]
    total = [a + b for a, b in zip(first, second, strict=True)]
    assert_close(compose(first, alphas) + compose(second, alphas), compose(total, alphas))


def test_where_one_scale_has_nothing_the_other_stands_in_and_neighbours_are_untouched() -> None:
    fine, coarse = rand(1, 1, 6, 6), rand(1, 1, 3, 3, seed=1)
    alpha = rand(1, 1, 6, 6, seed=2)
    expected = join(fine, coarse, alpha)
    holed = fine.clone()
    holed[..., 0, 0] = torch.nan
    blank = coarse.clone()
    blank[..., 2, 2] = torch.nan
    joined = join(holed, blank, alpha)
    assert joined.isfinite().all()
    assert_close(joined[..., :2, 2:], expected[..., :2, 2:])
    assert_close(joined[..., 4:, 4:], fine[..., 4:, 4:])
    holed[..., 4, 4] = torch.nan  # now neither has anything
    joined = join(holed, blank, alpha)
    assert joined.isnan().sum() == 1
    assert_close(joined[..., 5, 5], fine[..., 5, 5])


def test_gradients_match_finite_differences() -> None:
    fine, alpha = rand(1, 2, 5, 4), rand(1, 1, 5, 4, seed=1)
    coarse = rand(1, 2, 3, 2, seed=2)
    tensors = tuple(t.requires_grad_() for t in (fine, coarse, alpha))
    assert torch.autograd.gradcheck(join, tensors)
    valid = (rand(1, 1, 5, 4, seed=3) > 0.5).double()
    assert torch.autograd.gradcheck(lambda image: down(image, valid), (fine,))
    assert torch.autograd.gradcheck(lambda image: down_variance(image, valid), (fine,))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    "name", ["down", "down_variance", "down_valid", "down_motion", "up", "join", "compose"]
)
def test_operators_can_be_scripted(name: str) -> None:
    torch.jit.script(getattr(pyramid, name))
