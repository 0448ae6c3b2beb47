"""Repositioned kernels with a joint softmax against a slow float64 twin, and their properties."""

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from kpcn_core.ops.kernels import apply_kernels
from kpcn_core.ops.reposition import (
    filter_window,
    joint,
    share,
    share_in_place,
    targets,
    together,
)


def tap_by_tap(
    radiance: list[Tensor], logits: list[Tensor], motion: list[Tensor], valid: list[Tensor]
) -> Tensor:
    """Paper §3.3 as it is written: one softmax over the taps of all frames, pixel by pixel."""
    batch, channels, height, width = radiance[0].shape
    size = math.isqrt(logits[0].shape[1])
    rows = []
    for b, y, x in torch.cartesian_prod(*map(torch.arange, (batch, height, width))).tolist():
        values, numbers = [], []
        for image, z, m, mask in zip(radiance, logits, motion, valid, strict=True):
            dx, dy = m[b, :, y, x].tolist()
            if not (math.isfinite(dx) and math.isfinite(dy)):
                continue
            cy, cx = y + math.floor(dy + 0.5), x + math.floor(dx + 0.5)
            if not (0 <= cy < height and 0 <= cx < width):
                continue
            for tap in range(size * size):
                ty, tx = cy + tap // size - size // 2, cx + tap % size - size // 2
                if 0 <= ty < height and 0 <= tx < width and mask[b, 0, ty, tx]:
                    values.append(image[b, :, ty, tx])
                    numbers.append(z[b, tap, y, x])
        if values:
            rows.append(torch.stack(values, dim=1) @ torch.stack(numbers).softmax(dim=0))
        else:
            rows.append(torch.full((channels,), torch.nan, dtype=torch.float64))
    return torch.stack(rows).view(batch, height, width, channels).permute(0, 3, 1, 2)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def window(
    generator: torch.Generator, frames: int = 3, size: tuple[int, int] = (6, 7), kernel: int = 3
) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[Tensor]]:
    """Radiance, logits, motion and masks of two windows; motion may leave the frame."""

    def normal(*shape: int) -> list[Tensor]:
        return [
            torch.randn(*shape, dtype=torch.float64, generator=generator) for _ in range(frames)
        ]

    radiance = [values.abs() for values in normal(2, 3, *size)]
    logits = [3 * values for values in normal(2, kernel * kernel, *size)]
    motion = [3 * values for values in normal(2, 2, *size)]
    valid = [(values > -0.8).double() for values in normal(2, 1, *size)]
    return radiance, logits, motion, valid


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_matches_the_float64_twin(generator: torch.Generator, kernel: int) -> None:
    radiance, logits, motion, valid = window(generator, kernel=kernel)
    motion[0][0, 0, 2, 2] = torch.nan
    motion[1][1, 1, 0, 0] = torch.inf
    expected = tap_by_tap(radiance, logits, motion, valid)
    assert_close(filter_window(radiance, logits, motion, valid), expected, equal_nan=True)
    parts = (radiance, logits, motion, valid)
    images, z, vectors, masks = ([values.float() for values in part] for part in parts)
    filtered = filter_window(images, z, vectors, masks)
    assert_close(filtered, expected.float(), equal_nan=True)


def test_its_gradient_is_that_of_the_twin_and_of_finite_differences(
    generator: torch.Generator,
) -> None:
    radiance, logits, motion, valid = window(generator, frames=2, size=(4, 3))
    motion[0].zero_()
    valid[0].fill_(1)
    for z in logits:
        z.requires_grad_()
    weight = torch.randn(2, 3, 4, 3, dtype=torch.float64, generator=generator)
    slow = (weight * tap_by_tap(radiance, logits, motion, valid)).sum()
    fast = (weight * filter_window(radiance, logits, motion, valid)).sum()
    assert_close(torch.autograd.grad(fast, logits), torch.autograd.grad(slow, logits))

    def filtered(*z: Tensor) -> Tensor:
        return filter_window(radiance, z, motion, valid)

    assert torch.autograd.gradcheck(filtered, tuple(logits), fast_mode=True)


def test_one_frame_without_motion_is_the_single_frame_filter(generator: torch.Generator) -> None:
    radiance, logits, _, valid = window(generator, frames=1)
    valid[0].fill_(1)
    still = torch.zeros(2, 2, 6, 7)
    filtered = filter_window(radiance, logits, [still])
    assert_close(filtered, apply_kernels(radiance[0], logits[0], valid[0]))


def test_noisy_pixels_are_never_resampled(generator: torch.Generator) -> None:
    """With all weight on one tap, the result is made of pixels of the frame, whatever the motion"""
    radiance, logits, motion, _ = window(generator, frames=1)
    logits[0].fill_(-1e4)
    logits[0][:, 4] = 0
    index, inside = targets(motion[0], 6, 7)
    filtered = filter_window(radiance, logits, motion)
    expected = radiance[0].flatten(2).gather(2, index.flatten(1)[:, None].expand(-1, 3, -1))
    seen = inside[:, 0] > 0
    assert seen.any()
    assert_close(
        filtered.permute(1, 0, 2, 3)[:, seen],
        expected.view_as(filtered).permute(1, 0, 2, 3)[:, seen],
    )


def test_motion_is_rounded_to_whole_pixels() -> None:
    ramp = torch.arange(20.0).view(1, 1, 4, 5)
    index, _ = targets(torch.tensor([1.4, -0.6]).view(1, 2, 1, 1).expand(1, 2, 4, 5), 4, 5)
    assert index[0, 2, 1] == 1 * 5 + 2  # one to the right, one up
    filtered = filter_window(
        [ramp], [torch.zeros(1, 1, 4, 5)], [torch.tensor([[[[1.4]], [[-0.6]]]]).expand(1, 2, 4, 5)]
    )
    assert filtered[0, 0, 2, 1] == ramp[0, 0, 1, 2]


@pytest.mark.parametrize("start", [0, 1])
def test_halves_always_go_up_wherever_a_frame_starts(start: int) -> None:
    half = torch.tensor([0.5, -0.5]).view(1, 2, 1, 1)
    index, _ = targets(half, 4, 5, origin=(start, start))
    assert index.item() == start * 5 + start + 1


def test_where_motion_leads_out_of_the_frame_or_nowhere_is_marked() -> None:
    motion = torch.tensor([-0.5, -0.6, 1.4, 1.5, torch.nan, torch.inf, -1e30])
    motion = torch.stack([motion, torch.zeros(7)]).view(2, 7, 1, 1)
    index, inside = targets(motion.transpose(0, 1), 3, 2, origin=(1, 0))
    assert inside.flatten().tolist() == [1, 0, 1, 0, 0, 0, 0]
    assert index.flatten().tolist() == [2, 0, 3, 0, 0, 0, 0]


def test_a_kernel_that_stays_in_place_is_one_with_no_motion(generator: torch.Generator) -> None:
    radiance, logits, _, valid = window(generator, frames=1, kernel=5)
    still = torch.zeros(2, 2, 6, 7, dtype=torch.float64)
    moved = share(radiance[0], logits[0], still, valid[0])
    for one, other in zip(share_in_place(radiance[0], logits[0], valid[0]), moved, strict=True):
        assert_close(one, other)


def test_a_pixel_whose_motion_leaves_the_frame_gets_nothing_from_it(
    generator: torch.Generator,
) -> None:
    radiance, logits, motion, _ = window(generator, frames=2)
    motion[0].zero_()
    motion[1].fill_(-1)
    logits[1] += 1000  # even where that frame would have all the weight
    radiance[1].fill_(100)
    filtered = filter_window(radiance, logits, motion)
    alone = filter_window(radiance[:1], logits[:1], motion[:1])
    assert_close(filtered[:, :, 0], alone[:, :, 0])
    assert_close(filtered[..., 0], alone[..., 0])
    assert (filtered[:, :, 1:, 1:] > 99).all()


def test_a_pixel_that_no_frame_has_is_nan_not_a_made_up_value() -> None:
    away = torch.full((1, 2, 3, 3), 10.0)
    image, logits = torch.ones(1, 3, 3, 3), torch.zeros(1, 9, 3, 3)
    assert filter_window([image], [logits], [away]).isnan().all()


def test_constant_windows_stay_constant_up_to_their_borders(generator: torch.Generator) -> None:
    _, logits, motion, valid = window(generator, frames=5, kernel=5)
    motion[2].zero_()
    valid[2].fill_(1)
    image = torch.full((2, 3, 6, 7), 0.25, dtype=torch.float64)
    assert_close(filter_window([image] * 5, logits, motion, valid), image)


def test_layers_that_add_up_still_add_up(generator: torch.Generator) -> None:
    radiance, logits, motion, valid = window(generator)
    motion[1].zero_()
    valid[1].fill_(1)
    parts = [
        filter_window([scale * image for image in radiance], logits, motion, valid)
        for scale in (0.3, 0.7)
    ]
    assert_close(parts[0] + parts[1], filter_window(radiance, logits, motion, valid))


def test_frames_may_come_one_at_a_time_in_any_order(generator: torch.Generator) -> None:
    radiance, logits, motion, valid = window(generator, frames=4)
    shares = [share(*frame) for frame in zip(radiance, logits, motion, valid, strict=True)]
    expected = filter_window(radiance, logits, motion, valid)
    assert_close(joint(shares[::-1]), expected, equal_nan=True)


def test_the_share_of_several_frames_can_be_kept_as_one(generator: torch.Generator) -> None:
    radiance, logits, motion, valid = window(generator, frames=4)
    logits[2] += 500
    shares = [share(*frame) for frame in zip(radiance, logits, motion, valid, strict=True)]
    kept = together(shares[1:])
    assert_close(joint([shares[0], kept]), joint(shares), equal_nan=True)
    assert_close(together(shares[:1]).sums, shares[0].sums)


def test_a_tile_of_another_frame_equals_its_part_of_the_whole(generator: torch.Generator) -> None:
    radiance, logits, motion, valid = window(generator, frames=1, size=(9, 11))
    motion[0] = motion[0].clamp(-1.4, 1.4) + 2
    tile, region = (slice(2, 5), slice(3, 6)), (slice(2, 9), slice(2, 11))
    found = share(
        radiance[0][..., *region],
        logits[0][..., *tile],
        motion[0][..., *tile],
        valid[0][..., *region],
        origin=(0, 1),
    )
    whole = share(radiance[0], logits[0], motion[0], valid[0])
    assert torch.equal(found.sums, whole.sums[..., *tile])


def test_a_tile_equals_its_part_of_the_whole(generator: torch.Generator) -> None:
    radiance, logits, motion, valid = window(generator)
    tile = (..., slice(2, 5), slice(3, 7))
    part = filter_window(
        radiance, [z[tile] for z in logits], [m[tile] for m in motion], valid, origin=(2, 3)
    )
    assert_close(part, filter_window(radiance, logits, motion, valid)[tile], equal_nan=True)


def test_logits_far_apart_overflow_nowhere(generator: torch.Generator) -> None:
    radiance, logits, motion, _ = window(generator, frames=3)
    for vectors in motion:
        vectors.zero_()
    logits[1] += 3e4
    logits[2] -= 3e4
    images, z = [image.float() for image in radiance], [values.float() for values in logits]
    filtered = filter_window(images, z, [vectors.float() for vectors in motion])
    assert_close(filtered, apply_kernels(images[1], z[1]))
