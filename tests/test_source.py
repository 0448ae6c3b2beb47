"""Sources: each renderer's layers are recognized and become the right AOVs."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from kpcn_core import exr, source
from kpcn_core.aov import AOVS
from kpcn_core.errors import UnknownName, UnreadableFile
from kpcn_core.frame import Frame, Pixels
from kpcn_core.layer import Channel, layers, split
from tests.exr_files import HEIGHT, WIDTH, named, rgb, save_exr, save_parts

GOLDEN = Path(__file__).parent / "golden"
BLENDER = {"BlenderMultiChannel": "Blender V2.55.1 and newer", "Software": "Blender 5.1.0"}

# source -> metadata, channels as the renderer writes them, AOV -> what makes it
RENDERERS: dict[str, tuple[dict[str, str], str, dict[str, str]]] = {
    "kpcn": (
        {},
        ":RGBA, mse:RGB, albedo:RGB, albedo_mse:RGB, diffuse:RGB, diffuse_mse:RGB, sampleCount:Y, "
        "forward:XY",
        {"color": "main layer", "color_mse": "mse", "sample_count": "sampleCount"},
    ),
    "renderman": (
        {},
        "Ci:rgb, a, albedo:RGB, normal:XYZ, directDiffuse:RGB, indirectDiffuse:RGB, sampleCount, "
        "mse:RGB, "
        "albedo_mse:RGB, z",
        {
            "color": "Ci",
            "alpha": "a",
            "normal": "normal",
            "diffuse": "directDiffuse + indirectDiffuse",
            "depth": "z",
            "sample_count": "sampleCount",
        },
    ),
    "mitsuba": (
        {"generatedBy": "Mitsuba version 3.9.1"},
        ":RGB, image:RGBA, albedo:RGB, nn:XYZ, dd.y:T",
        {"color": "main layer", "alpha": "image", "normal": "nn", "depth": "dd.y"},
    ),
    "cycles": (
        BLENDER,
        "View Layer.Combined:RGBA, View Layer.Denoising Albedo:RGB, "
        "View Layer.Denoising Normal:XYZ",
        {"albedo": "View Layer.Denoising Albedo", "normal": "View Layer.Denoising Normal"},
    ),
    "cycles-4": (
        {},
        "ViewLayer.Combined:RGB, ViewLayer.DiffCol:RGB, ViewLayer.DiffDir:RGB, "
        "ViewLayer.DiffInd:RGB, "
        "ViewLayer.Emit:RGB, ViewLayer.Env:RGB, "
        "ViewLayer.Depth:Z, ViewLayer.Vector:XYZW",
        {
            "specular": "ViewLayer.Combined - (ViewLayer.DiffDir + ViewLayer.DiffInd) "
            "x ViewLayer.DiffCol - ViewLayer.Emit - ViewLayer.Env",
            "diffuse": "(ViewLayer.DiffDir + ViewLayer.DiffInd) x ViewLayer.DiffCol",
            "depth": "ViewLayer.Depth",
            "backward": "ViewLayer.Vector",
        },
    ),
    "luxcore": (
        BLENDER,
        "V.Combined:RGB, V.ALBEDO:RGB, V.AVG_SHADING_NORMAL:XYZ, V.DIRECT_DIFFUSE:RGB, "
        "V.INDIRECT_DIFFUSE:RGB, V.SAMPLECOUNT:RGB",
        {
            "normal": "V.AVG_SHADING_NORMAL",
            "diffuse": "V.DIRECT_DIFFUSE + V.INDIRECT_DIFFUSE",
            "sample_count": "V.SAMPLECOUNT",
        },
    ),
    "arnold": (
        {"arnold/aovs/N/filter": "closest_filter"},
        ":RGBA, diffuse_albedo:RGB, N:XYZ, diffuse_direct:RGB, diffuse_indirect:RGB, Z, "
        "variance:RGB, "
        "motionvector:RG",
        {
            "albedo": "diffuse_albedo",
            "diffuse": "diffuse_direct + diffuse_indirect",
            "depth": "Z",
            "color_mse": "variance",
            "forward": "motionvector",
        },
    ),
    "vray": (
        {},
        ":RGBA, diffuse:RGB, lighting:RGB, GI:RGB, bumpnormals:XYZ, zDepth, velocity:XYZ",
        {"albedo": "diffuse", "diffuse": "lighting + GI", "depth": "zDepth", "forward": "velocity"},
    ),
    "vray-max": (
        {},
        ":RGBA, VRayDiffuseFilter:RGB, VRayNormals:XYZ, VRayLighting:RGB, "
        "VRayGlobalIllumination:RGB, "
        "VRayZDepth",
        {
            "albedo": "VRayDiffuseFilter",
            "diffuse": "VRayLighting + VRayGlobalIllumination",
            "depth": "VRayZDepth",
        },
    ),
    "redshift": (
        {},
        ":RGBA, DiffuseFilter:RGB, BumpNormals:XYZ, DiffuseLighting:RGB, GI:RGB, Depth:Z, "
        "MotionVectors:RG",
        {"albedo": "DiffuseFilter", "diffuse": "DiffuseLighting + GI", "depth": "Depth"},
    ),
    "moonray": (
        {},
        ":RGBA, albedo:RGB, normal:XYZ, depth, motionvec:XY",
        {"albedo": "albedo", "normal": "normal", "depth": "depth", "forward": "motionvec"},
    ),
    "karma": (
        {},
        "C:rgb, alpha:Z, N:xyz, albedodiffuse:RGB, directdiffuse:RGB, indirectdiffuse:RGB, "
        "beauty_mse:RGB, primarysamples",
        {
            "color": "C",
            "alpha": "alpha",
            "diffuse": "directdiffuse + indirectdiffuse",
            "color_mse": "beauty_mse",
            "sample_count": "primarysamples",
        },
    ),
    "generic": (
        {},
        ":RGBA, Albedo:rgb, Normal:RGB, Z",
        {"color": "main layer", "albedo": "albedo", "normal": "normal", "depth": "Z"},
    ),
}


def rendered(path: Path, name: str, **changed: float) -> tuple[Frame, dict[str, Pixels]]:
    """A file as a renderer writes it, read; and its channels."""
    metadata, layout, _ = RENDERERS[name]
    pixels = named(*channels(layout))
    for channel, value in changed.items():
        pixels[f"ViewLayer.{channel}"][0, 0] = value
    return exr.read(save_exr(path, pixels, **metadata)), pixels


def channels(layout: str) -> list[str]:
    """Names in full: a.b.R, a.b.G and Z for "a.b:RG, Z"."""
    found = []
    for word in layout.split(", "):
        layer, _, suffixes = word.partition(":")
        found += [f"{layer}.{suffix}".lstrip(".") for suffix in suffixes] or [layer]
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "in.exr"


@pytest.mark.parametrize("name", RENDERERS)
def test_every_renderer_is_recognized_and_mapped(path: Path, name: str) -> None:
    metadata, layout, expected = RENDERERS[name]
    inside = exr.contents(save_exr(path, named(*channels(layout)), **metadata))
    assert inside.source.name == name, inside.reason
    found = {aov: str(where.recipe) for aov, where in inside.aovs.items()}
    assert expected.items() <= found.items()
    assert exr.read(path).aovs.keys() == inside.aovs.keys()


def test_every_source_that_ships_is_tested() -> None:
    assert set(RENDERERS) == set(source.names())


@pytest.mark.parametrize("name", source.names())
def test_a_source_can_be_named_and_is_complete(name: str) -> None:
    loaded = source.load(name)
    assert loaded.name == name
    assert loaded.title
    assert "color" in loaded.aovs
    assert loaded.clues or name == source.FALLBACK
    for aov, recipes in loaded.aovs.items():
        for recipe in recipes:
            assert len(recipe.scale) in (1, AOVS[aov].channels)
            assert len(recipe.channels) in (0, AOVS[aov].channels)


def test_files_that_blender_wrote() -> None:
    for name in ("cycles5_multipart.0001.exr", "cycles5_interleaved.exr"):
        frame = exr.read(GOLDEN / name)
        assert frame.source == "cycles"
        assert {"color", "alpha", "albedo", "forward", "backward"} <= frame.aovs.keys()
    frame = exr.read(GOLDEN / "cycles5_multipart.0001.exr")
    empty, covered = frame["alpha"][0] == 0, frame["alpha"][0] == 1
    assert empty.any()
    assert np.isinf(frame["depth"][0, empty]).all()
    assert_allclose(frame["normal"][2, covered], 1, atol=1e-3)
    # The scene is lit once by one light, so nearly all light is diffuse, and never more than all.
    assert (frame["diffuse"] <= frame["color"] * 1.01 + 1e-3).all()
    assert frame["diffuse"].mean() > 0.5 * frame["color"].mean()


def test_a_file_that_mitsuba_wrote() -> None:
    frame = exr.read(GOLDEN / "mitsuba_aov.exr")
    assert frame.source == "mitsuba"
    assert {"color", "alpha", "albedo", "normal", "depth"} == set(frame.aovs)
    assert 0 <= frame["albedo"].min() <= frame["albedo"].max() <= 1


def test_light_is_the_sum_of_layers_times_color(path: Path) -> None:
    frame, pixels = rendered(path, "cycles-4")
    direct, indirect, color = (
        np.stack([pixels[name] for name in rgb(f"ViewLayer.{layer}")])
        for layer in ("DiffDir", "DiffInd", "DiffCol")
    )
    assert_allclose(frame["diffuse"], (direct + indirect) * color, rtol=1e-6)


def test_gloss_is_what_is_left_without_diffuse_light_and_what_is_seen_directly(path: Path) -> None:
    frame, pixels = rendered(path, "cycles-4")
    combined, emit, env = (
        np.stack([pixels[name] for name in rgb(f"ViewLayer.{layer}")])
        for layer in ("Combined", "Emit", "Env")
    )
    assert_allclose(frame["specular"], combined - frame["diffuse"] - emit - env, rtol=1e-5)


def test_motion_of_blender_turns_into_pixels_with_y_down(path: Path) -> None:
    frame, pixels = rendered(path, "cycles-4")
    x, y, z, w = (pixels[f"ViewLayer.Vector.{suffix}"] for suffix in "XYZW")
    assert_array_equal(frame["backward"], np.stack([x, -y]))
    assert_array_equal(frame["forward"], np.stack([-z, w]))


def test_the_sky_is_infinitely_far(path: Path) -> None:
    frame, _ = rendered(path, "cycles-4", **{"Depth.Z": 1e10})
    assert np.isinf(frame["depth"][0, 0, 0])
    assert np.isfinite(frame["depth"]).sum() == HEIGHT * WIDTH - 1


def test_a_layer_may_be_a_part_with_plain_channels(path: Path) -> None:
    layout = {"C": "RGB", "albedo": "RGB", "N": "XYZ", "depth": "Z"}
    frame = exr.read(save_parts(path, {part: named(*names) for part, names in layout.items()}))
    assert frame.aovs.keys() == {"color", "albedo", "normal", "depth"}
    assert frame.channels["albedo"][0] == Channel(1, "R")
    assert frame.channels["depth"] == (Channel(3, "Z"),)


def test_of_several_view_layers_the_one_with_most_aovs_is_taken_as_a_whole(path: Path) -> None:
    layout = (
        "Composite.Combined:RGB, Fog.Combined:RGB, Fog.DiffCol:RGB, "
        "Main.Combined:RGB, Main.DiffCol:RGB, Main.Normal:XYZ"
    )
    inside = exr.contents(save_exr(path, named(*channels(layout)), **BLENDER), "cycles-4")
    assert {found.recipe.layers[0].split(".")[0] for found in inside.aovs.values()} == {"Main"}


def test_a_beauty_that_is_named_chooses_its_view_layer_for_all_aovs(path: Path) -> None:
    layout = "Fog.Combined:RGB, Fog.DiffCol:RGB, Main.Combined:RGB, Main.DiffCol:RGB, Main.Depth:Z"
    save_exr(path, named(*channels(layout)), **BLENDER)
    for layer, aovs in (("fog", set[str]()), ("Main", {"depth"})):
        inside = exr.contents(path, "cycles-4", {"color": f"{layer}.Combined"})
        names = {found.recipe.layers[0].split(".")[0].lower() for found in inside.aovs.values()}
        assert inside.aovs.keys() == {"color", "alpha", "albedo"} | aovs
        assert names == {layer.lower()}
    plain = exr.contents(path, "cycles-4", {"color": "Combined"})
    assert plain.aovs["color"].recipe.layers == ("Main.Combined",)


def test_grey_beauty_and_scalars_in_three_channels(path: Path) -> None:
    frame = exr.read(save_exr(path, named("Y", "A", *rgb("depth"))))
    assert_array_equal(frame["color"][0], frame["color"][2])
    assert frame["depth"].shape == (1, HEIGHT, WIDTH)


@pytest.mark.parametrize(
    ("channel", "expected"),
    [
        ("R", ("", "R")),
        ("albedo.red", ("albedo", "R")),
        ("View Layer.Diffuse Color.b", ("View Layer.Diffuse Color", "B")),
        ("normal.x", ("normal", "X")),
        ("depth", ("depth", "")),
        ("dd.y.T", ("dd.y", "T")),
        ("lights.key", ("lights.key", "")),
    ],
)
def test_a_channel_is_a_layer_and_a_suffix(channel: str, expected: tuple[str, str]) -> None:
    assert split(channel) == expected


def test_layers_are_found_whatever_their_case() -> None:
    found = layers([("", ["Albedo.R", "Albedo.G", "Albedo.B", "Z"])])
    albedo, depth = found.find("ALBEDO"), found.find("z")
    assert albedo is not None
    assert depth is not None
    assert set(albedo.channels) == set("RGB")
    assert list(depth.channels.values()) == [Channel(0, "Z")]
    assert found.find("alb") is None


def described(tmp_path: Path, text: str) -> str:
    file = tmp_path / "house.toml"
    file.write_text(f'title = "In-house"\n[aovs]\ncolor = ""\n{text}', encoding="utf-8")
    return str(file)


def read_described(tmp_path: Path, text: str, channels: Mapping[str, Pixels]) -> Frame:
    path = save_exr(tmp_path / "in.exr", {**named(*rgb()), **channels})
    return exr.read(path, described(tmp_path, text))


def constant(**values: float) -> dict[str, Pixels]:
    return {
        name.replace("_", "."): np.full((HEIGHT, WIDTH), value, dtype=np.float32)
        for name, value in values.items()
    }


def test_a_source_of_your_own(tmp_path: Path) -> None:
    frame = read_described(tmp_path, 'albedo = "paint"', named(*rgb("paint")))
    assert frame.source == "house"
    assert "albedo" in frame


def test_normals_stored_from_0_to_1(tmp_path: Path) -> None:
    text = 'normal = { layer = "n", offset = 0.5, scale = 2 }'
    frame = read_described(tmp_path, text, constant(n_R=0.5, n_G=0.0, n_B=1.0))
    assert_array_equal(frame["normal"][:, 0, 0], [0, -1, 1])


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ("pixels", [0.5, -0.5]),
        ("screen", [0.5 * WIDTH, -0.5 * HEIGHT]),
        ("clip", [0.25 * WIDTH, -0.25 * HEIGHT]),
        ("width", [0.5 * WIDTH, -0.5 * WIDTH]),
    ],
)
def test_units_of_motion(tmp_path: Path, units: str, expected: list[float]) -> None:
    text = f'forward = {{ layer = "m", units = "{units}", scale = [1, -1] }}'
    frame = read_described(tmp_path, text, constant(m_X=0.5, m_Y=0.5))
    assert_array_equal(frame["forward"][:, 0, 0], expected)


def test_premultiplied_motion_is_divided_by_alpha(tmp_path: Path) -> None:
    text = 'alpha = ""\nforward = { layer = "m", premultiplied = true }'
    frame = read_described(tmp_path, text, constant(m_X=0.5, m_Y=1, A=0.25))
    assert_array_equal(frame["forward"][:, 0, 0], [2, 4])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('albedoo = "x"', "no AOV is called albedoo"),
        ('albedo = { layer = "x", unit = "pixels" }', "unknown keys unit"),
        ('forward = { layer = "x", units = "miles" }', "units 'miles'"),
        ("albedo = {}", "layers"),
        ("albedo = 3", "house.toml"),
        ("albedo = [", "house.toml"),
    ],
)
def test_a_wrong_description_says_what_is_wrong(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(UnreadableFile, match=problem):
        source.load(described(tmp_path, text))


def test_a_source_that_does_not_exist_lists_those_that_do() -> None:
    with pytest.raises(UnknownName, match=r"auto, renderman, .*generic"):
        source.load("povray")
    with pytest.raises(UnreadableFile, match=r"nowhere\.toml"):
        source.load("nowhere.toml")


def test_the_example_in_the_documents_is_a_source(tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "docs" / "formats.md").read_text(encoding="utf-8")
    example = text.split("```toml\n")[1].split("```")[0]
    file = tmp_path / "house.toml"
    file.write_text(example, encoding="utf-8")
    loaded = source.load(str(file))
    assert loaded.title == "Our renderer"
    assert loaded.aovs["forward"][0].units == "clip"
