"""Network inputs of paper §6.1: what goes in comes out again."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from kpcn_core import features


@pytest.fixture
def aovs() -> dict[str, Tensor]:
    """A random frame with every estimated AOV, black albedo in one corner."""
    generator = torch.Generator().manual_seed(3)
    found = {
        name: torch.rand(1, 3, 20, 24, generator=generator)
        for name in ("color", "albedo", "normal", "diffuse", "specular")
    }
    found["color"] = found["diffuse"] + found["specular"] + 0.1
    found["albedo"][..., :4, :4] = 0.0
    return found | {f"{name}_mse": 0.01 * found[name].abs() for name in list(found)}


def test_components_compose_to_the_color(aovs: dict[str, Tensor]) -> None:
    gain = features.exposure(aovs["color"])
    parts = features.components(aovs, gain)
    filtered = {name: part.radiance for name, part in parts.items()}
    assert set(filtered) == {"irradiance", "specular", "albedo"}
    assert_close(features.compose(filtered, gain), aovs["color"])


def test_a_plain_beauty_is_one_component(aovs: dict[str, Tensor]) -> None:
    gain = features.exposure(aovs["color"])
    parts = features.components({"color": aovs["color"]}, gain)
    assert list(parts) == ["specular"]
    assert_close(features.compose({"specular": parts["specular"].radiance}, gain), aovs["color"])


def test_what_the_network_sees_does_not_depend_on_the_brightness(aovs: dict[str, Tensor]) -> None:
    scaled = dict(aovs)
    for name in ("color", "diffuse", "specular"):
        scaled[name] = aovs[name] * 8
        scaled[f"{name}_mse"] = aovs[f"{name}_mse"] * 64
    for name in ("irradiance", "specular", "albedo"):
        seen = [
            features.planes(features.components(each, features.exposure(each["color"]))[name], each)
            for each in (aovs, scaled)
        ]
        assert seen[0].keys() == features.PLANES.keys()
        for plane, values in seen[0].items():
            assert_close(seen[1][plane], values)


def test_exposure_brings_a_grey_card_to_middle_grey() -> None:
    card = torch.full((1, 3, 40, 33), 5.0)
    assert_close(features.exposure(card) * card, torch.full_like(card, 0.18))


def test_exposure_ignores_nan_black_and_is_1_for_a_black_frame() -> None:
    card = torch.full((1, 3, 64, 64), 2.0)
    card[..., :16, :16] = 0.0
    card[0, 0, 40, 40] = torch.nan
    assert features.exposure(card).item() == pytest.approx(0.09, rel=0.01)
    assert features.exposure(torch.zeros(1, 3, 5, 5)).item() == 1.0


def test_relative_deviation_lies_between_0_and_1_and_knows_known_values() -> None:
    mean, variance = torch.full((1, 3, 1, 2), 2.0), torch.zeros(1, 3, 1, 2)
    variance[..., 1] = 1.0
    values = features.relative_deviation(mean, variance).flatten()
    assert_close(values, torch.tensor([0.0, 0.5]), atol=1e-4, rtol=1e-4)
    assert features.relative_deviation(mean * 0, variance + 9).max() == 1.0


def test_pixels_that_are_not_finite_are_masked_and_no_plane_holds_them(
    aovs: dict[str, Tensor],
) -> None:
    aovs["color"][0, 1, 5, 6] = torch.inf
    aovs["albedo_mse"][0, 0, 7, 7] = torch.nan
    parts = features.components(aovs, features.exposure(aovs["color"]))
    assert (parts["specular"].valid == 0).nonzero().tolist() == [[0, 0, 5, 6]]
    assert parts["irradiance"].valid.all()
    for part in parts.values():
        assert part.radiance.isfinite().all()
        assert all(plane.isfinite().all() for plane in features.planes(part, aovs).values())


@pytest.mark.parametrize(
    ("missing", "lost"),
    [
        ((), set()),
        (("specular_mse",), {"color_variance"}),
        (("normal",), {"normal", "normal_variance"}),
        (("diffuse",), set()),
    ],
)
def test_available_planes_are_those_that_every_component_gives(
    aovs: dict[str, Tensor], missing: tuple[str, ...], lost: set[str]
) -> None:
    kept = {name: image for name, image in aovs.items() if name not in missing}
    available = features.available_planes(kept)
    assert available == features.PLANES.keys() - lost
    for part in features.components(kept, torch.ones(1, 1, 1, 1)).values():
        assert available <= features.planes(part, kept).keys()
