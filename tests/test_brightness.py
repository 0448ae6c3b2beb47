"""Light that denoising took from a frame comes back; noise and fireflies do not."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor
from torch.testing import assert_close

from kpcn_core.brightness import gain
from kpcn_core.denoiser import Denoiser
from kpcn_core.frame import Frame
from kpcn_core.ops import compiler
from tests.frames import random_frame
from tests.networks import DEVICE, random_network

SIZE = (40, 60)
CLEAN = torch.full((1, 3, *SIZE), 0.3)
EVERYWHERE = torch.ones((1, 1, *SIZE))


def noise(deviation: float) -> Tensor:
    """Of all channels together, as that of renders mostly is."""
    generator = torch.Generator().manual_seed(0)
    return (torch.randn((1, 1, *SIZE), generator=generator) * deviation).expand(-1, 3, -1, -1)


@pytest.mark.parametrize("part", [0.97, 1.03])
def test_light_comes_back_up_to_chance(part: float) -> None:
    noisy = CLEAN + noise(0.05)
    gained = gain(noisy, EVERYWHERE, part * CLEAN) * part * CLEAN
    assert gained.mean() == pytest.approx(float(noisy.mean()), rel=0.001)


def test_what_chance_explains_does_not() -> None:
    found, error = noise(0.5), 0.5 / EVERYWHERE.numel() ** 0.5
    for errors, back in ((0.9, 0.0), (4.0, 1 - 1 / 4.0**2)):
        noisy = CLEAN + found - found.mean() + errors * error
        lost = errors * error / 0.3
        assert gain(noisy, EVERYWHERE, CLEAN) == pytest.approx(1 + back * lost, abs=1e-3)


def test_one_firefly_brightens_nothing() -> None:
    noisy = CLEAN.clone()
    noisy[..., 5, 5] = 100.0
    assert noisy.mean() > 1.1 * CLEAN.mean()
    assert gain(noisy, EVERYWHERE, CLEAN) == pytest.approx(1, abs=1e-6)


def test_a_few_fireflies_brighten_next_to_nothing() -> None:
    noisy = CLEAN.clone()
    noisy[..., 5, 5:20:3] = 100.0
    assert noisy.mean() > 1.6 * CLEAN.mean()
    assert gain(noisy, EVERYWHERE, CLEAN) < 1.05


def test_the_light_of_a_surface_is_that_of_its_color() -> None:
    before, after = torch.full_like(CLEAN, 0.5), torch.full_like(CLEAN, 0.4)
    found = gain(CLEAN, EVERYWHERE, CLEAN, (before, after))
    assert_close(found.item(), (0.5 + 0.00316) / (0.4 + 0.00316), rtol=1e-3, atol=0)


def test_what_is_black_or_nan_has_a_gain_too() -> None:
    black = torch.zeros_like(CLEAN)
    assert gain(black, EVERYWHERE, black) == 1
    denoised = 0.98 * CLEAN
    denoised[..., 0, 0] = torch.nan
    assert gain(CLEAN, EVERYWHERE, denoised) == pytest.approx(1 / 0.98, rel=1e-3)


def test_pixels_below_black_do_not_lose_more_than_they_do() -> None:
    noisy, denoised = CLEAN.clone(), 0.95 * CLEAN
    noisy[..., :4, :4] = denoised[..., :4, :4] = -2.0
    assert gain(noisy, EVERYWHERE, denoised) > 1.04


def test_pixels_that_are_not_valid_count_nothing() -> None:
    noisy, valid = CLEAN.clone(), EVERYWHERE.clone()
    noisy[..., :20, :], valid[..., :20, :] = 0.0, 0.0
    assert gain(noisy, valid, CLEAN) == 1


@pytest.mark.parametrize("size", [(40, 60), (33, 7), (70, 131)])
@pytest.mark.parametrize("demodulated", [True, False])
def test_the_compiled_way_gives_what_the_readable_one_gives(
    size: tuple[int, int], demodulated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    noisy, clean, before, after = torch.rand(4, 1, 3, *size, generator=generator) + 0.5
    valid = (torch.rand((1, 1, *size), generator=generator) > 0.1).float()
    noisy[..., 5, 5], clean[:, 1, 20, 3], clean[:, 1, 21, 3] = 1000.0, torch.nan, torch.inf
    before[..., 7, 1], after[..., 8, 4], after[..., 9, 4] = torch.nan, torch.nan, -1.0
    albedos = (before, after) if demodulated else None
    found = gain(noisy, valid, 0.95 * clean, albedos)
    assert 1.01 < found < 1.24
    monkeypatch.setattr(compiler, "installed", lambda: False)
    assert_close(gain(noisy, valid, 0.95 * clean, albedos), found, rtol=1e-5, atol=0)


@pytest.mark.parametrize("encoder", ["kpcn", "split", "generic", "plain"])
def test_every_source_keeps_its_light(encoder: str) -> None:
    frame = random_frame(48, 64)
    known = Frame({name: frame[name] for name in frame.aovs if not name.endswith("_mse")})
    result = Denoiser.load("compact", "cpu").denoise(
        frame if encoder == "kpcn" else known, encoder=encoder
    )
    assert_allclose(result["color"].mean(), frame["color"].mean(), rtol=0.005)


@pytest.mark.parametrize("asymmetry", [1.0, 5.0])
def test_what_was_asked_for_before_does_not_matter(asymmetry: float) -> None:
    denoiser = Denoiser(random_network(fold=2), DEVICE, precision="float32")
    first, again = (denoiser.window([denoiser.encode(random_frame(*SIZE))], 0) for _ in "ab")
    denoiser.render(first, asymmetry=3.0)
    found, expected = (one["color"] for one in (
        denoiser.render(first, asymmetry=asymmetry), denoiser.render(again, asymmetry=asymmetry)
    ))  # fmt: skip
    assert_allclose(found, expected, rtol=1e-6)
    assert np.isfinite(found).all()
