"""Patches lie where there is something to learn."""

import numpy as np
import torch

from training.patches import importance, select, uniform

SIZE = 24


def half_textured() -> tuple[torch.Tensor, torch.Tensor]:
    """The right half of the color is noise; normals are constant."""
    color = torch.full((3, 96, 128), 0.5)
    color[:, :, 64:] += torch.rand(3, 96, 64)
    return color, torch.ones(3, 96, 128)


def test_patches_gather_on_varied_content() -> None:
    corners = select(importance(*half_textured()), SIZE, np.random.default_rng(0))
    centers = corners[:, 1] + SIZE // 2
    assert (centers > 64).mean() > 0.75


def test_an_edge_of_normals_counts_as_much_as_one_of_color() -> None:
    flat, edge = torch.full((3, 64, 64), 0.5), torch.full((3, 64, 64), 0.5)
    edge[:, :, 32:] = 1.0
    by_color, by_normal = importance(edge, flat), importance(flat, edge)
    assert torch.allclose(by_color > 0, by_normal > 0)
    assert by_normal[:, 32].mean() > 4 * by_normal.mean()


def test_importance_is_relative_to_brightness() -> None:
    pattern = torch.rand(3, 64, 64) + 0.5
    bright = importance(10 * pattern, torch.zeros(3, 64, 64))
    assert torch.allclose(bright, importance(pattern, torch.zeros(3, 64, 64)), rtol=0.1, atol=0.05)


def test_patches_lie_within_the_image_and_apart() -> None:
    corners = select(importance(*half_textured()), SIZE, np.random.default_rng(0))
    assert len(corners) > 10
    assert (corners >= 0).all()
    assert (corners <= [96 - SIZE, 128 - SIZE]).all()
    assert len(np.unique(corners, axis=0)) == len(corners)


def test_a_constant_image_keeps_all_darts() -> None:
    constant = torch.ones(3, 64, 64)
    assert len(select(importance(constant, constant), SIZE, np.random.default_rng(0))) > 10


def test_an_image_as_small_as_a_patch_has_the_one_patch() -> None:
    color = torch.rand(3, SIZE, SIZE)
    corners = select(importance(color, color), SIZE, np.random.default_rng(0))
    assert (corners == 0).all()
    assert uniform(SIZE, SIZE, SIZE, np.random.default_rng(0)) == (0, 0)


def test_the_same_random_numbers_give_the_same_patches() -> None:
    weights = importance(*half_textured())
    first, second = (select(weights, SIZE, np.random.default_rng(5)) for _ in range(2))
    assert (first == second).all()
