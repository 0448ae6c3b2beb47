"""Scales: their means and variances, and the join of Eq. 5 against a slow float64 twin."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from kpcn_core.ops import pyramid
from kpcn_core.ops.kernels import with_mask, without_mask
from kpcn_core.ops.pyramid import (
    JOIN_LOGITS,
    down,
    down_masked,
    down_motion,
    down_valid,
    down_variance,
    interpolating_join,
    join,
    up,
)

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


def slow_interpolating_join(fine: Tensor, coarse: Tensor, logits: Tensor) -> Tensor:
    """As its formula is written, pixel by pixel; NaN takes no weight."""
    result = torch.full_like(fine, torch.nan)
    height, width = coarse.shape[-2:]
    low = slow_down(fine, (~fine.isnan().any(dim=1, keepdim=True)).double())
    low[slow_down(fine.isnan().double(), torch.ones_like(fine[:, :1])) == 1] = torch.nan
    for b, y, x in torch.cartesian_prod(*map(torch.arange, (len(fine), *fine.shape[-2:]))).tolist():
        row, column = y // 2, x // 2
        further_row = min(max(row + (1 if y % 2 else -1), 0), height - 1)
        further_column = min(max(column + (1 if x % 2 else -1), 0), width - 1)
        sources = [
            coarse[b, :, row, column],
            coarse[b, :, row, further_column],
            coarse[b, :, further_row, column],
            coarse[b, :, further_row, further_column],
            low[b, :, row, column],
        ]
        weights = logits[b, :5, y, x].exp()
        known = [
            (weight, source)
            for weight, source in zip(weights, sources, strict=True)
            if not source.isnan().any()
        ]
        if not known:
            continue
        total = sum(weight for weight, _ in known)
        result[b, :, y, x] = sum(weight * source for weight, source in known) / total
        if not fine[b, :, y, x].isnan().any():
            detail = fine[b, :, y, x] - low[b, :, row, column]
            result[b, :, y, x] += torch.sigmoid(logits[b, 5, y, x]) * detail
    return result


def joined_pair(*size: int, channels: int = 3, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Two scales and the logits that join them."""
    fine = rand(2, channels, *size, seed=seed)
    coarse = rand(2, channels, size[0] // 2, size[1] // 2, seed=seed + 1)
    return fine, coarse, 6 * rand(2, JOIN_LOGITS, *size, seed=9) - 3


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


def test_layers_that_add_up_still_add_up_after_a_join() -> None:
    fine, coarse = rand(2, 3, 9, 7), rand(2, 3, 5, 4, seed=1)
    alpha = rand(1, 1, 9, 7, seed=2)
    parts = [
        join(image, below, alpha)
        for image, below in zip(fine[:, None], coarse[:, None], strict=True)
    ]
    total = join(fine.sum(dim=0, keepdim=True), coarse.sum(dim=0, keepdim=True), alpha)
    assert_close(parts[0] + parts[1], total)


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


@pytest.mark.parametrize("size", [(8, 6), (2, 2), (2, 8)])
def test_the_interpolating_join_matches_its_twin(size: tuple[int, int]) -> None:
    fine, coarse, logits = joined_pair(*size)
    expected = slow_interpolating_join(fine, coarse, logits)
    assert_close(interpolating_join(fine, coarse, logits), expected)


def test_the_interpolating_join_leaves_out_what_is_not_known() -> None:
    fine, coarse, logits = joined_pair(8, 6)
    fine[0, 1, 3, 3] = fine[1, :, 2:4, 2:4] = fine[1, :, 6:, 4:] = torch.nan
    coarse[0, 2, 0, 1] = coarse[1, :, 2:, 1:] = torch.nan
    expected = slow_interpolating_join(fine, coarse, logits)
    joined = interpolating_join(fine, coarse, logits)
    assert_close(joined, expected, equal_nan=True)
    assert joined[0].isfinite().all()
    fine[0], coarse[0] = torch.nan, torch.nan
    assert interpolating_join(fine, coarse, logits)[0].isnan().all()


def test_eq_5_is_a_case_of_the_interpolating_join() -> None:
    fine, coarse, logits = joined_pair(8, 6)
    alpha = 0.1 + 0.8 * rand(2, 1, 8, 6, seed=4)
    logits[:, 0:1], logits[:, 4:5] = alpha.log(), (1 - alpha).log()
    logits[:, 1:4] = -1e3
    logits[:, 5] = 1e3
    assert_close(interpolating_join(fine, coarse, logits), join(fine, coarse, alpha))


def test_constants_stay_constant_in_the_interpolating_join() -> None:
    fine, coarse, logits = joined_pair(8, 6)
    joined = interpolating_join(torch.full_like(fine, 0.3), torch.full_like(coarse, 0.3), logits)
    assert_close(joined, torch.full_like(fine, 0.3))


def test_the_interpolating_join_is_linear_in_both_images() -> None:
    first, second = joined_pair(8, 6), joined_pair(8, 6, seed=50)
    logits = first[2]
    total = interpolating_join(2 * first[0] + second[0], 2 * first[1] + second[1], logits)
    apart = [interpolating_join(*pair[:2], logits) for pair in (first, second)]
    assert_close(2 * apart[0] + apart[1], total)


def test_without_detail_nothing_of_the_fine_image_is_left_within_a_block() -> None:
    fine, coarse, logits = joined_pair(8, 6)
    logits[:] = logits[..., :1, :1]
    logits[:, 1:4], logits[:, 5] = -1e3, -1e3
    joined = interpolating_join(fine, coarse, logits)
    assert_close(joined, up(down(joined), 8, 6))


def test_down_masked_is_down_of_an_image_with_its_mask() -> None:
    image, valid = rand(2, 3, 8, 6), (rand(2, 1, 8, 6, seed=1) > 0.6).double()
    halved = down_masked(with_mask(image, valid))
    assert_close(halved, torch.cat([down(image, valid), down_valid(valid)], dim=1))
    assert without_mask(halved).isnan().any()


def test_gradients_of_the_interpolating_join_match_finite_differences() -> None:
    fine, coarse, logits = joined_pair(4, 4, channels=2)
    fine[0, :, 0, 1] = coarse[1, :, 1, 1] = torch.nan
    known = [~image.isnan() for image in (fine, coarse)]
    tensors = [t.nan_to_num().requires_grad_() for t in (fine, coarse, logits)]

    def joined(fine: Tensor, coarse: Tensor, logits: Tensor) -> Tensor:
        high, low = (
            torch.where(there, image, torch.nan)
            for there, image in zip(known, (fine, coarse), strict=True)
        )
        return interpolating_join(high, low, logits)

    assert torch.autograd.gradcheck(joined, tensors, fast_mode=True)


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
    "name", ["down", "down_variance", "down_valid", "down_motion", "up", "join"]
)
def test_operators_can_be_scripted(name: str) -> None:
    torch.jit.script(getattr(pyramid, name))
