"""What denoising took although noise does not explain it: given back, and nothing else is."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor
from torch.testing import assert_close

from kpcn_core.denoiser import Denoiser
from kpcn_core.frame import Frame
from kpcn_core.ops import compiler
from kpcn_core.prepared import prepare
from kpcn_core.restoration import surplus, texture
from kpcn_core.settings import Settings
from tests.frames import random_frame
from tests.networks import DEVICE, random_network

SIZE = (40, 60)
CLEAN = torch.full((1, 3, *SIZE), 0.3)


def noise(deviation: float, seed: int = 0) -> Tensor:
    """Of all channels together, as that of renders mostly is."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn((1, 1, *SIZE), generator=generator) * deviation).expand(-1, 3, -1, -1)


def counts(number: int) -> Tensor:
    return torch.full((1, 1, *SIZE), float(number))


def constant(variance: float) -> Tensor:
    return torch.full((1, 3, *SIZE), variance)


@pytest.mark.parametrize("spp", [4, 32, 512])
def test_noise_is_not_given_back(spp: int) -> None:
    deviation = 0.5 / spp**0.5
    found = noise(deviation)
    share = surplus(CLEAN + found, CLEAN, constant(deviation**2), counts(spp))
    left = (share * found).square().mean().sqrt() / deviation
    assert left < 0.2  # of the deviation, so 4 % of the noise


def test_detail_that_noise_cannot_explain_is_given_back() -> None:
    line = torch.zeros_like(CLEAN)
    line[..., 20, :] = 0.2
    share = surplus(CLEAN + line + noise(0.01), CLEAN, constant(0.01**2), counts(128))
    assert share[..., 20, :].min() > 0.9
    assert share[..., :12, :].mean() < 0.1  # nothing was lost there


def test_a_firefly_is_noise() -> None:
    mean, variance = CLEAN.clone(), constant(0.01**2)
    mean[..., 20, 30] += 50.0 / 32  # one sample of 32
    variance[..., 20, 30] = (50.0 / 32) ** 2
    share = surplus(mean, CLEAN, variance, counts(32))
    assert share[..., 20, 30] == 0


def test_pixels_that_missed_rare_light_do_not_vouch_for_darkness() -> None:
    mean, variance = torch.zeros_like(CLEAN), torch.zeros_like(CLEAN)
    mean[..., ::9, ::9] = 0.3 * 81
    variance[..., ::9, ::9] = (0.3 * 81) ** 2
    share = surplus(mean, CLEAN, variance, counts(8))
    assert share.max() == 0


def test_of_less_than_two_samples_nothing_is_known() -> None:
    count = counts(64)
    count[..., 10:20, :] = 1
    share = surplus(CLEAN + 0.1, CLEAN, constant(0.0), count)
    assert share[..., 10:20, :].max() == 0
    assert share[..., 30:, :].min() > 0.9


@pytest.mark.parametrize("size", [(40, 60), (33, 7), (70, 131)])
def test_the_compiled_way_gives_what_the_readable_one_gives(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    noisy, denoised, variance = torch.rand(3, 1, 3, *size, generator=generator)
    noisy[..., 5, 5], denoised[..., 20, 3], variance[..., 9, 2] = torch.inf, torch.nan, torch.nan
    count = torch.randint(0, 200, (1, 1, *size), generator=generator).float()
    found = surplus(noisy, denoised, 0.02 * variance, count)
    less = surplus(noisy, denoised, 0.02 * variance, count, noise_counts=(0.5, 0.0))
    monkeypatch.setattr(compiler, "installed", lambda: False)
    expected = surplus(noisy, denoised, 0.02 * variance, count)
    assert 0 < (expected > 0).float().mean() < 1
    assert_close(found, expected, rtol=1e-4, atol=1e-5)
    expected = surplus(noisy, denoised, 0.02 * variance, count, noise_counts=(0.5, 0.0))
    assert_close(less, expected, rtol=1e-4, atol=1e-5)


def test_texture_of_the_albedo_comes_back_where_it_has_no_noise() -> None:
    frame = random_frame(40, 56)
    quiet = frame.with_aovs(
        albedo_mse=np.zeros_like(frame["albedo"]), sample_count=np.full((1, 40, 56), 64, np.float32)
    )
    loud = quiet.with_aovs(albedo_mse=np.full_like(frame["albedo"], 10.0))
    denoiser = Denoiser.load("compact")
    sharp, blurred = (denoiser.denoise(each, ("albedo", "diffuse")) for each in (quiet, loud))
    assert_allclose(sharp["albedo"], frame["albedo"], atol=1e-5)
    assert np.abs(blurred["albedo"] - frame["albedo"]).mean() > 0.001
    # A window has less noise, so that differences have to exceed more of it.
    known = quiet.with_aovs(albedo_mse=np.full_like(frame["albedo"], 0.1**2))
    albedo = torch.from_numpy(frame["albedo"])[None].to(DEVICE) + 0.1
    prepared = prepare(known, True, {}, DEVICE)
    for frames, share in ((1, 0.5), (7, 0.0)):
        found = texture(prepared, albedo, frames)
        assert found is not None
        assert_close(found.mean(), torch.tensor(share, device=DEVICE), atol=1e-3, rtol=0)


def converged(size: tuple[int, int] = SIZE, **aovs: np.ndarray) -> Frame:
    """A frame full of detail, without any noise, that says so."""
    frame = random_frame(*size)
    known = {name: 0 * frame[name] for name in frame.aovs if name.endswith("_mse")}
    return frame.with_aovs(**known, sample_count=np.full((1, *size), 4096, np.float32), **aovs)


@pytest.fixture(scope="module")
def denoiser() -> Denoiser:
    return Denoiser(random_network(fold=2), DEVICE, precision="float32")


def test_without_noise_the_frame_stays_as_it_is(denoiser: Denoiser) -> None:
    frame = converged()
    result = denoiser.denoise(frame, ("color", "diffuse", "specular"))
    for aov in ("color", "diffuse", "specular"):
        assert_allclose(result[aov], frame[aov], rtol=1e-3, atol=1e-3)


def test_frames_that_do_not_say_get_no_detail_back(denoiser: Denoiser) -> None:
    frame = converged()
    for unknown in ("sample_count", "color_mse"):
        without = Frame({name: frame[name] for name in frame.aovs if name != unknown})
        result = denoiser.denoise(without, encoder="generic")["color"]
        assert np.abs(result - frame["color"]).mean() > 0.05


def test_layers_that_add_up_still_do(denoiser: Denoiser) -> None:
    frame = random_frame(*SIZE).with_aovs(sample_count=np.full((1, *SIZE), 64, np.float32))
    share = np.random.default_rng(0).random((3, *SIZE), dtype=np.float32)
    first = share * frame["diffuse"]
    layers = {"lg_a": first, "lg_b": frame["diffuse"] - first}
    settings = Settings(("color", "diffuse", "specular"), dict.fromkeys(layers, "diffuse"))
    encoded = denoiser.encode(frame.with_layers(**layers), settings)
    result = denoiser.render(denoiser.window([encoded], 0), settings)
    total = result.layers["lg_a"] + result.layers["lg_b"]
    assert_allclose(total, result["diffuse"], rtol=1e-3, atol=1e-3)
    both = result["diffuse"] + result["specular"]
    assert_allclose(both, result["color"], rtol=1e-3, atol=1e-3)


def test_tiles_give_back_the_same(denoiser: Denoiser) -> None:
    frame = random_frame(60, 80).with_aovs(sample_count=np.full((1, 60, 80), 64, np.float32))
    whole, tiled = (denoiser.denoise(frame, tile=tile)["color"] for tile in (1000, 32))
    assert_allclose(tiled, whole, rtol=1e-4, atol=1e-5)


def test_pixels_without_numbers_are_filled_as_ever(denoiser: Denoiser) -> None:
    frame = converged()
    broken = frame["color"].copy()
    broken[:, 7, 7] = np.nan
    result = denoiser.denoise(frame.with_aovs(color=broken))["color"]
    assert np.isfinite(result).all()
    assert_allclose(result[:, 30:], frame["color"][:, 30:], rtol=1e-3, atol=1e-3)
