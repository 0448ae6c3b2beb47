"""Structure that guides explain is found again in a blurred image; noise is not."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from kpcn_core import structure
from kpcn_core.denoiser import Denoiser
from kpcn_core.frame import Frame
from kpcn_core.ops import compiler
from kpcn_core.prepared import prepare
from kpcn_core.settings import Settings
from kpcn_core.structure import Guides
from tests.frames import random_frame
from tests.networks import random_network

DARK = torch.full((1, 1, 1, 1), 0.02)
SIZE = (48, 64)


def edge() -> Guides:
    """Guides of two walls that meet: their normals differ, their albedo does not."""
    left = (torch.arange(SIZE[1]) < 30).float().expand(1, 1, *SIZE)
    normal = torch.cat([left, 1 - left, torch.zeros_like(left)], dim=1)
    return Guides(normal, torch.full_like(normal, 0.5))


def shaded(dark: float = 0.2, bright: float = 0.4) -> Tensor:
    """The light on them."""
    left = edge().planes[:, :1]
    return (left * bright + (1 - left) * dark).expand(-1, 3, -1, -1)


def blurred(image: Tensor) -> Tensor:
    wide = torch.nn.functional.pad(image, [3] * 4, mode="replicate")
    return torch.nn.functional.avg_pool2d(wide, 7, 1)


def noise(deviation: float) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return (torch.randn((1, 1, *SIZE), generator=generator) * deviation).expand(-1, 3, -1, -1)


def restored(noisy: Tensor, denoised: Tensor, guides: Guides) -> Tensor:
    return denoised * (1 + structure.explained(noisy, denoised, guides, DARK))


@pytest.mark.parametrize(("deviation", "left"), [(0.0, 0.65), (0.05, 0.65), (0.3, 0.8)])
def test_a_blurred_edge_between_two_normals_comes_back(deviation: float, left: float) -> None:
    clean = shaded()
    soft = blurred(clean)
    found = restored(clean * (1 + noise(deviation)), soft, edge())
    assert (found - clean).square().mean().sqrt() < left * (soft - clean).square().mean().sqrt()


def test_where_guides_are_constant_nothing_changes() -> None:
    flat = Guides(torch.ones_like(shaded()), torch.ones_like(shaded()))
    found = structure.explained(shaded() * (1 + noise(0.3)), blurred(shaded()), flat, DARK)
    assert_close(found, torch.zeros_like(found), rtol=0, atol=1e-5)


@pytest.mark.parametrize("deviation", [0.1, 0.5])
def test_noise_is_not_found_in_guides(deviation: float) -> None:
    clean = torch.full((1, 3, *SIZE), 0.3)
    generator = torch.Generator().manual_seed(1)
    rough = Guides(*torch.rand((2, 1, 3, *SIZE), generator=generator))
    found = structure.explained(clean * (1 + noise(deviation)), clean, rough, DARK)
    assert found.square().mean().sqrt() < 0.25 * deviation


@pytest.mark.parametrize("deviation", [0.0, 0.3])
def test_light_is_kept(deviation: float) -> None:
    soft = blurred(shaded(0.05, 0.8))
    found = restored(shaded(0.05, 0.8) * (1 + noise(deviation)), soft, edge())
    assert (found - soft).abs().max() > 0.05
    assert abs(found.mean() / soft.mean() - 1) < 5e-3


def test_a_firefly_changes_little_around_it() -> None:
    clean = shaded()
    noisy = clean.clone()
    noisy[..., 20, 28] += 1000.0
    found = restored(noisy, clean, edge())
    assert (found / clean - 1).abs().max() < 0.1


def test_a_prior_against_it_finds_less() -> None:
    noisy, soft = shaded() * (1 + noise(0.3)), blurred(shaded())
    sizes = [
        float(structure.explained(noisy, soft, edge(), DARK, prior).square().sum())
        for prior in (1.0, 0.3, 0.1)
    ]
    assert sizes[0] > sizes[1] > sizes[2] > 0


def test_the_brightness_does_not_matter() -> None:
    noisy, soft = shaded() * (1 + noise(0.1)), blurred(shaded())
    once = structure.explained(noisy, soft, edge(), DARK)
    assert_close(structure.explained(noisy * 8, soft * 8, edge(), DARK * 8), once)


@pytest.mark.parametrize("size", [(48, 64), (41, 57), (3, 5), (4, 130)])
@pytest.mark.parametrize("guides", ["normal", "albedo", "both"])
def test_compiled_and_readable_are_the_same(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], guides: str
) -> None:
    generator = torch.Generator().manual_seed(2)
    noisy, soft = (torch.rand((1, 3, *size), generator=generator) - 0.1 for _ in range(2))
    noisy[..., 1, 2], soft[..., 2, 3] = torch.nan, torch.inf
    normal, albedo = torch.rand((2, 1, 3, *size), generator=generator)
    normal[..., 0, 1], albedo[..., 1, 1] = torch.nan, torch.inf
    known = Guides(None if guides == "albedo" else normal, None if guides == "normal" else albedo)
    fast = structure.explained(noisy, soft, known, DARK)
    monkeypatch.setattr(compiler, "usable", lambda _: False)
    slow = structure.explained(noisy, soft, known, DARK)
    assert fast.isfinite().all()
    assert_close(fast, slow, rtol=1e-4, atol=1e-5)


def test_compiled_and_readable_factors_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = random_frame(41, 57)
    prepared = prepare(frame, True, {}, torch.device("cpu"))
    color = prepared.aovs["color"] * 0.9
    filtered = color.clone()
    filtered[:, 1, 3, 4] = torch.nan
    fast = structure.factor(prepared, color, filtered, 1)
    monkeypatch.setattr(compiler, "usable", lambda _: False)
    slow = structure.factor(prepared, color, filtered, 1)
    assert fast is not None
    assert slow is not None
    assert fast[..., 3, 4] == slow[..., 3, 4] == 1
    assert_close(fast, slow, rtol=1e-4, atol=1e-5)


def test_equations_are_solved_pixel_by_pixel() -> None:
    generator = torch.Generator().manual_seed(3)
    root = torch.rand((5, 7, 4, 4), generator=generator, dtype=torch.float64)
    matrix = root @ root.mT + 0.1 * torch.eye(4, dtype=torch.float64)
    right = torch.rand((5, 7, 4), generator=generator, dtype=torch.float64)
    upper = [[matrix[..., row, k] for k in range(row, 4)] for row in range(4)]
    found = torch.stack(structure._solved(upper, list(right.unbind(-1))), dim=-1)
    assert_close(found, torch.linalg.solve(matrix, right))


def test_parts_of_the_color_still_add_up_and_an_alpha_is_no_light() -> None:
    denoiser = Denoiser(random_network(fold=2), torch.device("cpu"))
    frame = random_frame(40, 60)
    whole = frame["color"] - frame["diffuse"] - frame["specular"]
    made = {name: pixels for name, pixels in frame.aovs.items() if name != "sample_count"}
    frame = Frame(made | {"alpha": np.ones_like(frame["color"][:1])})
    frame = frame.with_layers(rest=whole)
    settings = Settings(("color", "diffuse", "specular", "alpha"), {"rest": "emission"})
    found = denoiser.denoise(frame, settings.aovs, like=settings.like)
    total = found["diffuse"] + found["specular"] + found.layers["rest"]
    np.testing.assert_allclose(found["color"], total, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found["alpha"], 1.0, rtol=1e-5)
