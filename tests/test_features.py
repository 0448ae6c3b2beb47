"""Network inputs of paper §6.1: what goes in comes out again."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from kpcn_core import features
from kpcn_core.features import COMPONENTS, PLANES
from kpcn_core.model.config import COMPONENT_PLANES, JOINT_PLANES

LIT = 0.1  # what is seen directly in the frame below


@pytest.fixture
def aovs() -> dict[str, Tensor]:
    """A random frame with every estimated AOV, black albedo in one corner."""
    generator = torch.Generator().manual_seed(3)
    found = {
        name: torch.rand(1, 3, 20, 24, generator=generator)
        for name in ("color", "albedo", "normal", "diffuse", "specular")
    }
    found["color"] = found["diffuse"] + found["specular"] + LIT
    found["albedo"][..., :4, :4] = 0.0
    return found | {f"{name}_mse": 0.01 * found[name].abs() for name in list(found)}


def without(aovs: dict[str, Tensor], *names: str) -> dict[str, Tensor]:
    return {name: image for name, image in aovs.items() if name not in names}


@pytest.mark.parametrize(
    ("lacking", "split", "names"),
    [
        ((), True, COMPONENTS),
        (("specular",), True, ("irradiance", "specular", "albedo")),
        (("diffuse",), True, ("specular",)),
        (("albedo",), True, ("specular",)),
        ((), False, ("specular",)),
    ],
)
def test_components_compose_to_the_color_whatever_a_frame_has(
    aovs: dict[str, Tensor], lacking: tuple[str, ...], split: bool, names: tuple[str, ...]
) -> None:
    found = without(aovs, *lacking)
    gain = features.exposure(found["color"])
    parts = features.components(found, gain, split)
    assert {name: part.name for name, part in parts.items()} == dict(zip(names, names, strict=True))
    filtered = {name: part.radiance for name, part in parts.items()}
    assert_close(features.compose(filtered, gain), aovs["color"])


def test_what_is_seen_directly_is_a_component_of_its_own_without_noise(
    aovs: dict[str, Tensor],
) -> None:
    gain = features.exposure(aovs["color"])
    emission = features.components(aovs, gain)["emission"]
    assert_close(emission.radiance, torch.full_like(emission.radiance, LIT) * gain)
    assert emission.variance is not None
    assert not emission.variance.any()
    unknown = features.components(without(aovs, "specular_mse"), gain)["emission"]
    assert unknown.variance is None


def test_variance_scales_with_the_square_of_what_an_image_is_divided_by(
    aovs: dict[str, Tensor],
) -> None:
    gain = features.exposure(aovs["color"])
    parts = features.components(aovs, gain)
    for name, image in (("irradiance", "diffuse"), ("specular", "specular")):
        scale = parts[name].radiance / aovs[image]
        assert_close(parts[name].variance, aovs[f"{image}_mse"] * scale.square())
    assert_close(parts["albedo"].variance, aovs["albedo_mse"])


def planes_of(aovs: dict[str, Tensor], split: bool = True) -> list[dict[str, Tensor]]:
    """All that an encoder can read of a frame: component by component, and of all together."""
    parts = features.components(aovs, features.exposure(aovs["color"]), split)
    apart = [features.component_planes(part, aovs) for part in parts.values()]
    return [*apart, features.joint_planes(parts, aovs)]


def test_what_the_network_sees_does_not_depend_on_the_brightness(aovs: dict[str, Tensor]) -> None:
    scaled = dict(aovs)
    for name in ("color", "diffuse", "specular"):
        scaled[name] = aovs[name] * 8
        scaled[f"{name}_mse"] = aovs[f"{name}_mse"] * 64
    for seen, other in zip(planes_of(aovs), planes_of(scaled), strict=True):
        assert seen.keys() == other.keys()
        for plane, values in seen.items():
            assert_close(other[plane], values)


def test_a_full_frame_gives_every_plane_with_as_many_channels_as_it_says(
    aovs: dict[str, Tensor],
) -> None:
    *apart, together = planes_of(aovs)
    for found, names in (
        *((planes, COMPONENT_PLANES) for planes in apart),
        (together, JOINT_PLANES),
    ):
        assert found.keys() == set(names)
        assert all(plane.shape == (1, PLANES[name], 20, 24) for name, plane in found.items())
    assert set(COMPONENT_PLANES) | set(JOINT_PLANES) == PLANES.keys()


def test_the_flag_tells_irradiance_from_the_other_components(aovs: dict[str, Tensor]) -> None:
    parts = features.components(aovs, torch.ones(1, 1, 1, 1))
    flags = {
        name: set(features.component_planes(part, aovs)["irradiance_flag"].flatten().tolist())
        for name, part in parts.items()
    }
    assert flags == {name: {float(name == "irradiance")} for name in COMPONENTS}


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
    aovs["specular"][0, 2, 9, 9] = torch.nan
    aovs["albedo_mse"][0, 0, 7, 7] = torch.nan
    parts = features.components(aovs, features.exposure(aovs["color"]))
    invalid = {name: (part.valid == 0).nonzero().tolist() for name, part in parts.items()}
    assert invalid == {
        "irradiance": [],
        "specular": [[0, 0, 9, 9]],
        "emission": [[0, 0, 5, 6], [0, 0, 9, 9]],
        "albedo": [],
    }
    assert all(part.radiance.isfinite().all() for part in parts.values())
    for planes in planes_of(aovs):
        assert all(plane.isfinite().all() for plane in planes.values())


def test_a_part_of_a_component_is_the_component_of_a_part(aovs: dict[str, Tensor]) -> None:
    rows, columns, gain = slice(3, 11), slice(5, 20), torch.full((1, 1, 1, 1), 0.7)
    cut = {name: image[..., rows, columns] for name, image in aovs.items()}
    parts = features.components(aovs, gain)
    for name, expected in features.components(cut, gain).items():
        found = parts[name].cropped(rows, columns)
        for values, other in (
            (found.radiance, expected.radiance),
            (found.variance, expected.variance),
            (found.valid, expected.valid),
        ):
            assert_close(values, other)


@pytest.mark.parametrize("split", [True, False])
@pytest.mark.parametrize(
    "lacking",
    [
        (),
        ("specular_mse",),
        ("diffuse_mse",),
        ("albedo_mse",),
        ("color_mse",),
        ("normal",),
        ("specular", "specular_mse"),
        ("diffuse",),
        ("albedo", "normal"),
        ("color_mse", "diffuse", "specular", "normal_mse"),
    ],
)
def test_available_planes_are_those_that_a_frame_gives(
    aovs: dict[str, Tensor], lacking: tuple[str, ...], split: bool
) -> None:
    kept = without(aovs, *lacking)
    available = features.available_planes(kept, split)
    *apart, together = planes_of(kept, split)
    assert available & set(JOINT_PLANES) == set(together)
    assert available & set(COMPONENT_PLANES) == set.intersection(*map(set, apart))


def test_an_encoder_reads_split_light_if_it_names_it() -> None:
    assert features.reads_split(("color", "irradiance_flag"))
    assert features.reads_split(("irradiance", "specular"))
    assert not features.reads_split(("specular", "albedo", "normal"))
