"""Warping, and conventions of motion found by it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from kpcn_core import exr
from kpcn_core.errors import InvalidPixels
from kpcn_core.frame import Pixels
from kpcn_core.motion import Convention, calibrate
from kpcn_core.ops.warp import warp

GOLDEN = Path(__file__).parent / "golden"


def moving_square(x: int, y: int) -> Pixels:
    """A textured square over a textured ground, its corner at (x, y) [3,40,60]."""
    generator = np.random.default_rng(3)
    image = generator.random((3, 40, 60), dtype=np.float32)
    image[:, y : y + 16, x : x + 20] = generator.random((3, 16, 20), dtype=np.float32)
    return image


def field(x: int, y: int, motion: tuple[float, float]) -> Pixels:
    """Motion of the square only [2,40,60]."""
    vectors = np.zeros((2, 40, 60), dtype=np.float32)
    vectors[:, y : y + 16, x : x + 20] = np.array(motion)[:, None, None]
    return vectors


def step(start: tuple[int, int], end: tuple[int, int]) -> tuple[int, int]:
    return end[0] - start[0], end[1] - start[1]


def test_warp_fetches_from_where_motion_points() -> None:
    image = torch.rand(1, 2, 6, 8)
    motion = torch.tensor([2.0, -1.0]).view(1, 2, 1, 1).expand(1, 2, 6, 8)
    warped, inside = warp(image, motion)
    assert_close(warped[..., 1:, :-2], image[..., :-1, 2:])
    assert inside[0, 0, 1:, :-2].all()
    assert inside.sum() == 5 * 6


def test_warp_between_pixels_is_bilinear() -> None:
    image = torch.arange(5.0).view(1, 1, 1, 5)
    warped, _ = warp(image, torch.tensor([0.25, 0.0]).view(1, 2, 1, 1).expand(1, 2, 1, 5))
    assert_close(warped[0, 0, 0, :4], torch.arange(4.0) + 0.25)


def test_warp_of_a_single_pixel_and_of_no_number_is_defined() -> None:
    warped, inside = warp(torch.ones(1, 1, 1, 1), torch.zeros(1, 2, 1, 1))
    assert warped.item() == inside.item() == 1
    warped, inside = warp(torch.ones(1, 1, 1, 1), torch.full((1, 2, 1, 1), torch.nan))
    assert warped.item() == 1
    assert inside.item() == 0


def slow_warp(
    image: torch.Tensor, motion: torch.Tensor, origin: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Bilinear, pixel by pixel; the border is repeated."""
    height, width = image.shape[-2:]
    batch, _, rows, columns = motion.shape
    warped = image.new_zeros(batch, image.shape[1], rows, columns)
    inside = image.new_zeros(batch, 1, rows, columns)
    for b, r, c in torch.cartesian_prod(*map(torch.arange, (batch, rows, columns))).tolist():
        x, y = (motion[b, :, r, c] + torch.tensor([c + origin[1], r + origin[0]])).tolist()
        inside[b, 0, r, c] = -0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5
        x, y = min(max(x, 0.0), width - 1.0), min(max(y, 0.0), height - 1.0)
        left, top = min(int(x), width - 2), min(int(y), height - 2)
        right, below = x - left, y - top
        warped[b, :, r, c] = (
            (1 - below) * (1 - right) * image[b, :, top, left]
            + (1 - below) * right * image[b, :, top, left + 1]
            + below * (1 - right) * image[b, :, top + 1, left]
            + below * right * image[b, :, top + 1, left + 1]
        )
    return warped, inside


@pytest.mark.parametrize("origin", [(0, 0), (2, 1), (-3, 4)])
def test_warp_matches_its_float64_twin(origin: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(6)
    image = torch.rand(2, 3, 7, 8, dtype=torch.float64, generator=generator)
    motion = 3 * torch.randn(2, 2, 5, 4, dtype=torch.float64, generator=generator)
    motion[0, :, 0, 0] = -0.5  # on the very edge, where the origin is 0
    found, expected = warp(image, motion, origin), slow_warp(image, motion, origin)
    assert 0 < expected[1].mean() < 1
    assert_close(found, expected)


def test_warp_does_not_depend_on_where_an_image_starts() -> None:
    """Bit by bit, so that tiles cannot be seen"""
    generator = torch.Generator().manual_seed(6)
    image = torch.rand(1, 3, 40, 50, generator=generator)
    motion = 2 * torch.randn(1, 2, 40, 50, generator=generator).clamp(-2, 2) + 9
    whole = warp(image, motion)[0]
    for top, left in ((0, 0), (3, 7), (11, 2)):
        part = warp(image[..., top:, left:], motion[..., 13:20, 9:21], (13 - top, 9 - left))[0]
        assert torch.equal(part, whole[..., 13:20, 9:21])


def test_warp_leads_nowhere_where_motion_is_no_number_in_either_direction() -> None:
    motion = torch.zeros(1, 2, 2, 3)
    motion[0, 0, 0, 0] = motion[0, 1, 1, 1] = torch.nan
    motion[0, 0, 1, 2] = torch.inf
    warped, inside = warp(torch.rand(1, 2, 2, 3), motion)
    assert inside[0, 0].tolist() == [[0, 1, 1], [1, 0, 0]]
    assert warped.isfinite().all()


@pytest.mark.parametrize(
    ("convention", "scale"),
    [
        (Convention("forward", "pixels", (1, 1), 0), (1, 1)),
        (Convention("forward", "pixels", (1, -1), 0), (1, -1)),
        (Convention("backward", "pixels", (-1, 1), 0), (-1, 1)),
        (Convention("backward", "clip", (1, -1), 0), (1 / 30, -1 / 20)),
        (Convention("forward", "screen", (1, 1), 0.5), (1 / 60, 1 / 40)),
        (Convention("forward", "width", (2, -2), 0), (1 / 120, -1 / 120)),
    ],
)
def test_the_convention_of_a_motion_layer_is_found(
    convention: Convention, scale: tuple[float, float]
) -> None:
    previous, start, end, after = (13, 3), (20, 8), (25, 11), (28, 13)
    if convention.direction == "forward":
        motions = [step(start, end), step(end, after)]
    else:
        motions = [step(start, previous), step(end, start)]
    factors = np.array(scale, dtype=np.float32)[:, None, None]
    stored = [
        field(*corner, motion) * factors + np.float32(convention.offset)
        for corner, motion in zip((start, end), motions, strict=True)
    ]
    found = calibrate(moving_square(*start), moving_square(*end), *stored)
    assert found.best == convention
    assert found.is_clear


def test_conventions_that_cannot_be_told_apart_are_named() -> None:
    found = calibrate(
        moving_square(20, 8), moving_square(25, 8), field(20, 8, (5, 0)), field(25, 8, (5, 0))
    )
    equal = {found.best, *found.rivals}
    assert {
        Convention("forward", "pixels", (1, 1), 0),
        Convention("forward", "pixels", (1, -1), 0),  # nothing moves up or down
        Convention("backward", "pixels", (-1, 1), 0),  # the speed is constant
    } <= equal
    assert not found.is_clear


def test_frames_without_motion_or_of_other_sizes_are_refused() -> None:
    image, motion = moving_square(3, 3), field(3, 3, (0, 0))
    with pytest.raises(InvalidPixels, match="nothing moves"):
        calibrate(image, image, motion, motion)
    with pytest.raises(InvalidPixels, match="one size"):
        calibrate(image, image[:, 1:], motion, motion)


def test_motion_that_blender_wrote_matches_its_source() -> None:
    first, second = (GOLDEN / f"cycles5_multipart.{number:04d}.exr" for number in (1, 2))
    current, following = exr.read(first), exr.read(second)
    assert np.array_equal(current["forward"][:, 14, 20], [3, -2])
    assert np.array_equal(current["backward"][:, 14, 20], [-5, 1])
    for direction in ("forward", "backward"):
        found = calibrate(
            current["albedo"], following["albedo"], current[direction], following[direction]
        )
        assert found.best == Convention(direction, "pixels", (1, 1), 0)
        assert found.is_clear
