"""The Python API: what a denoised frame keeps, and what it refuses."""

import logging
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from kpcn_core.denoiser import Denoiser
from kpcn_core.errors import InvalidPixels, MissingAov, UnknownName
from kpcn_core.frame import Frame
from kpcn_core.model import peak
from tests.frames import random_frame
from tests.networks import DEVICE, NETWORKS, random_network

OUTPUTS = ("color", "diffuse", "specular", "albedo")
# With a margin, so that tiles lie inside.
LARGE = (141, 118)


@pytest.fixture
def denoiser() -> Denoiser:
    return Denoiser(random_network(fold=2), DEVICE, precision="float32")


@pytest.mark.parametrize(("trunk", "fold"), NETWORKS)
@pytest.mark.parametrize("size", [(1, 1), (37, 53), LARGE])
def test_tiles_give_the_same_pixels_as_the_whole(
    trunk: str, fold: int, size: tuple[int, int]
) -> None:
    denoiser = Denoiser(random_network(trunk, fold), DEVICE, precision="float32")
    frame = random_frame(*size)
    whole = denoiser.denoise(frame, OUTPUTS, asymmetry=3.0, tile=1000)
    tiled = denoiser.denoise(frame, OUTPUTS, asymmetry=3.0, tile=40)
    for aov in OUTPUTS:
        assert_allclose(tiled[aov], whole[aov], rtol=1e-5, atol=1e-6)


def test_memory_decides_on_the_tile(denoiser: Denoiser) -> None:
    seen: list[tuple[int, int]] = []
    frame = random_frame(256, 256)
    small = 190 * 190 * peak.alone(denoiser.network.config, 16, in_one_pass=False)
    denoiser.denoise(frame, max_memory=small, progress=lambda *step: seen.append(step))
    assert seen == [(done, len(seen)) for done in range(1, len(seen) + 1)]
    assert len(seen) > 3


def test_denoising_reduces_noise_and_touches_nothing_else(denoiser: Denoiser) -> None:
    frame = random_frame(32, 32)
    result = denoiser.denoise(frame)
    assert result["color"].std() < 0.8 * frame["color"].std()
    for aov in frame.aovs.keys() - {"color"}:
        assert result[aov] is frame[aov]


def test_denoised_diffuse_and_specular_add_up_to_the_color(denoiser: Denoiser) -> None:
    result = denoiser.denoise(random_frame(24, 24), OUTPUTS)
    assert_allclose(result["diffuse"] + result["specular"], result["color"], rtol=1e-4, atol=1e-5)


def test_brightness_scales_through(denoiser: Denoiser) -> None:
    frame = random_frame(24, 24)
    colors = ("color", "diffuse", "specular")
    brighter = frame.with_aovs(
        **{aov: frame[aov] * np.float32(8) for aov in colors},
        **{f"{aov}_mse": frame[f"{aov}_mse"] * np.float32(64) for aov in colors},
    )
    expected = 8 * denoiser.denoise(frame)["color"]
    assert_allclose(denoiser.denoise(brighter)["color"], expected, rtol=1e-4)


def test_a_pixel_that_is_not_finite_is_reported_and_spoils_no_other(
    denoiser: Denoiser, caplog: pytest.LogCaptureFixture
) -> None:
    frame = random_frame(24, 24)
    frame["color"][:, 10, 11] = np.nan
    frame["diffuse"][:, 10, 11] = np.inf
    with caplog.at_level(logging.WARNING):
        result = denoiser.denoise(frame)
    assert np.isfinite(result["color"]).all()
    assert "1 of 576 pixels of the component 'emission'" in caplog.text


def test_a_pixel_without_a_usable_neighbour_keeps_its_input(denoiser: Denoiser) -> None:
    frame = random_frame(64, 64)
    frame["color"][:, :40, :40] = np.nan
    result = denoiser.denoise(frame)["color"]
    assert np.isnan(result[:, :24, :24]).all()
    assert np.isfinite(result[:, 40:, :]).all()


def test_nothing_but_nan_is_refused(denoiser: Denoiser) -> None:
    frame = random_frame(8, 8)
    with pytest.raises(InvalidPixels, match="all 64 pixels"):
        denoiser.denoise(frame.with_aovs(color=np.full_like(frame["color"], np.nan)))


def test_an_unknown_source_gets_the_encoder_that_reads_most(denoiser: Denoiser) -> None:
    frame = replace(random_frame(4, 4), source="someone else's")
    assert denoiser.choose_encoder(frame) == "kpcn"
    shipped = Denoiser.load(device="cpu")
    assert shipped.choose_encoder(frame) == "kpcn"


def test_the_encoder_is_the_sources_own_or_one_that_fits(denoiser: Denoiser) -> None:
    frame = random_frame(8, 8)
    assert denoiser.choose_encoder(frame) == "kpcn"
    assert denoiser.choose_encoder(replace(frame, source="generic")) == "generic"
    plain = Frame({aov: frame[aov] for aov in ("color", "albedo", "normal")}, source="vray")
    assert denoiser.choose_encoder(plain) == "generic"
    assert denoiser.denoise(plain)["color"].shape == (3, 8, 8)


def test_a_frame_that_no_encoder_reads_names_what_is_missing(denoiser: Denoiser) -> None:
    frame = Frame({"color": random_frame(8, 8)["color"]})
    with pytest.raises(MissingAov, match="generic: albedo, normal"):
        denoiser.denoise(frame)


@pytest.mark.parametrize(
    ("aovs", "error"), [(("depth",), UnknownName), (("specular",), MissingAov)]
)
def test_an_aov_that_cannot_be_denoised_is_refused(
    denoiser: Denoiser, aovs: tuple[str, ...], error: type[Exception]
) -> None:
    frame = random_frame(8, 8)
    plain = Frame({aov: frame[aov] for aov in ("color", "albedo", "normal")})
    with pytest.raises(error, match="denois"):
        denoiser.denoise(plain, aovs)
