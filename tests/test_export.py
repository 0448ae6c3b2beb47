"""The exported module does what the denoiser does, whatever the weights are."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import Tensor

from kpcn_core.denoiser import Denoiser
from kpcn_core.errors import UnknownName
from kpcn_core.export.inputs import inputs
from kpcn_core.export.nuke_channels import MASK, MOST, packing
from kpcn_core.export.operators import doubled, filtered, join
from kpcn_core.export.torchscript import halved, scripted
from kpcn_core.frame import Frame, Pixels
from kpcn_core.model.config import COMPONENT_PLANES
from kpcn_core.ops.kernels import renormalized, softmax_numerators, weighted_sum, with_mask
from kpcn_core.ops.pyramid import interpolating_join_masked, up
from tests.exports import (
    ENCODERS,
    compiled,
    denoiser,
    module,
    module_of,
    network_of_kernels,
    packed,
)
from tests.frames import random_frame

pytestmark = pytest.mark.usefixtures("kernels_alone")

SIZES = [(16, 24), (21, 27), (50, 33)]  # multiples of what the network reads, and others
ASYMMETRIES = [1.0, 2.0, 4.0, 10.0]
SHAPE = (2, 4, 12, 10)


def run(
    frame: Frame, encoder: str, asymmetry: float = 1.0, mask: Pixels | None = None
) -> tuple[Pixels, Pixels]:
    """Color and the mask of what was not finite."""
    found = compiled(encoder)
    found.asymmetry, found.use_mask = asymmetry, int(mask is not None)
    with torch.no_grad():
        result = found(packed(frame, packing(ENCODERS[encoder]), mask))[0].numpy()
    return result[:3], result[3]


def assert_close(found: Pixels, expected: Pixels, part: float = 1e-5) -> None:
    assert_allclose(found, expected, rtol=0, atol=part * np.abs(expected).max())


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("size", SIZES)
def test_it_equals_the_denoiser_at_any_size_and_asymmetry(
    encoder: str, size: tuple[int, int]
) -> None:
    frame = random_frame(*size)
    for asymmetry in ASYMMETRIES:
        expected = denoiser().denoise(frame, encoder=encoder, asymmetry=asymmetry)["color"]
        assert_close(run(frame, encoder, asymmetry)[0], expected)


def test_it_equals_the_denoiser_where_lambda_enters_the_kernels() -> None:
    network, frame = network_of_kernels(), random_frame(21, 27)
    exported = scripted(module_of(network, "split"))
    denoiser = Denoiser(network, torch.device("cpu"))
    for asymmetry in (1.0, 4.0):
        exported.asymmetry = asymmetry
        with torch.no_grad():
            found = exported(packed(frame, packing(ENCODERS["split"])))[0, :3].numpy()
        expected = denoiser.denoise(frame, encoder="split", asymmetry=asymmetry)["color"]
        assert_close(found, expected)


def test_a_mask_says_where_the_asymmetry_applies() -> None:
    frame = random_frame(21, 27)
    mask = np.random.default_rng(1).uniform(-0.5, 1.5, frame.size).astype("f4")
    mask[3, 4] = np.nan  # counts as 0
    slope = np.power(4.0, np.nan_to_num(mask).clip(0, 1)).astype("f4")
    expected = denoiser().denoise(frame, encoder="split", asymmetry=slope)["color"]
    assert_close(run(frame, "split", 4.0, mask)[0], expected)
    without = run(frame, "split", 4.0)[0]
    assert np.abs(without - expected).max() > 1e-3


@pytest.mark.parametrize("encoder", ["kpcn", "generic"])
def test_what_is_not_finite_is_left_out_and_shown(encoder: str) -> None:
    frame = random_frame(21, 27)
    color, normal = frame["color"].copy(), frame["normal"].copy()
    color[:, 5, 6], color[1, 9:12, 9:12], normal[2, 0, 0] = np.nan, np.inf, np.nan
    broken = frame.with_aovs(color=color, normal=normal)
    found, invalid = run(broken, encoder, 2.0)
    expected = denoiser().denoise(broken, encoder=encoder, asymmetry=2.0)["color"]
    assert np.isfinite(found).all()
    assert_close(found, expected)
    assert_array_equal(invalid, (~np.isfinite(color)).any(axis=0))


def test_a_frame_without_a_finite_pixel_comes_back_as_it_is() -> None:
    frame = random_frame(16, 16)
    found, invalid = run(frame.with_aovs(color=np.full((3, 16, 16), np.nan, "f4")), "plain")
    assert np.isnan(found).all()
    assert (invalid == 1).all()


def relative(found: Tensor, expected: Pixels) -> float:
    """Mean relative difference."""
    difference = np.abs(found[0, :3].float().numpy() - expected)
    return float((difference / (np.abs(expected) + 1e-2)).mean())


def test_the_half_copy_is_close_and_takes_any_brightness() -> None:
    frame = random_frame(21, 27)
    half = halved(module("split"))
    half.asymmetry = 4.0
    images = packed(frame, packing(ENCODERS["split"]))
    expected = denoiser().denoise(frame, encoder="split", asymmetry=4.0)["color"]
    found = half(images)
    assert found.dtype == torch.float32
    assert relative(found, expected) < 0.02
    brighter = images.clone()
    brighter[:, :10] *= 1e7  # color, diffuse, specular: beyond what float16 can hold
    assert relative(half(brighter) / 1e7, expected) < 0.02


def test_a_host_may_halve_the_module_and_its_input() -> None:
    frame = random_frame(21, 27)
    expected = denoiser().denoise(frame, encoder="split")["color"]
    found = deepcopy(compiled("split")).half()
    found.asymmetry = 1.0
    result = found(packed(frame, packing(ENCODERS["split"])).half())
    assert result.dtype == torch.float16
    assert result.is_contiguous()
    assert relative(result, expected) < 0.02


# --- what goes in ---


@pytest.mark.parametrize("encoder", ENCODERS)
def test_each_plane_has_a_channel_of_its_own(encoder: str) -> None:
    found = packing(ENCODERS[encoder])
    assert sum(one.channels for one in found.inputs) == len(found.channels) <= MOST
    assert len(set(found.channels)) == len(found.channels)
    assert found.of("color") == ("rgba.red", "rgba.green", "rgba.blue")
    carried = [channel for one in found.inputs for channel in found.of(one.name)]
    assert tuple(carried) == found.channels


def test_the_mask_rides_in_alpha_where_there_is_room() -> None:
    with_room = [name for name, planes in ENCODERS.items() if packing(planes).has_mask]
    assert with_room == ["split", "beauty", "generic", "plain"]
    assert packing(ENCODERS["split"]).of(MASK.name) == ("rgba.alpha",)


def test_encoders_that_cannot_be_exported_are_refused() -> None:
    with pytest.raises(UnknownName, match="one component at a time"):
        inputs(COMPONENT_PLANES)


# --- operators ---


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def masked(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """An image of three channels with holes, and its mask."""
    batch, _, height, width = shape
    valid = (torch.rand((batch, 1, height, width), generator=generator) > 0.3).float()
    return with_mask(torch.randn((batch, 3, height, width), generator=generator), valid)


@pytest.mark.parametrize("side", [1, 3, 5])
def test_kernels_are_applied_as_by_the_network(side: int, generator: torch.Generator) -> None:
    image = masked(SHAPE, generator)
    logits = 30 * torch.randn((2, side * side, 12, 10), generator=generator)
    expected = renormalized(weighted_sum(image, softmax_numerators(logits)))
    torch.testing.assert_close(filtered(image, logits, side), expected)


def test_scales_are_joined_as_by_the_network(generator: torch.Generator) -> None:
    fine, coarse = masked(SHAPE, generator), masked((2, 4, 6, 5), generator)
    logits = torch.randn((2, 6, 12, 10), generator=generator)
    expected = interpolating_join_masked(fine, coarse, logits)
    torch.testing.assert_close(join(fine, coarse, logits), expected)
    torch.testing.assert_close(doubled(coarse), up(coarse, 12, 10))
