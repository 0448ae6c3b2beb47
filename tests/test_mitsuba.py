"""The Mitsuba renderer: its layers, its means and its noise."""

import signal
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from kpcn_core.errors import InvalidPixels
from kpcn_core.frame import Frame, Pixels
from kpcn_core.renderers import mitsuba, mitsuba_path
from kpcn_core.renderers.mitsuba import MitsubaRenderer, mi
from tests.mitsuba_scenes import (
    HEIGHT,
    WIDTH,
    Scene,
    Transform,
    camera,
    cell,
    film,
    matte,
    rgb,
    room,
    scene,
    stock,
    z_scores,
)

SKY, LAMP = 0.5, 3.0
COLOR = np.array([0.2, 0.4, 0.6], np.float32)

# Squares that face an orthographic camera, 8x8 pixels each, four in a row.
MATERIALS: dict[str, Scene] = {
    "matte": matte(*COLOR),
    "mirror": {"type": "conductor"},
    "glass": {"type": "dielectric"},
    "metal": {"type": "roughconductor", "material": "Au", "alpha": 0.3},
    "plastic": {"type": "plastic", "diffuse_reflectance": rgb(*COLOR)},
    "rough plastic": {"type": "roughplastic", "diffuse_reflectance": rgb(*COLOR)},
    "principled": {"type": "principled", "base_color": rgb(*COLOR), "roughness": 0.4},
    "mask": {"type": "mask", "opacity": 0.0, "nested": {"type": "conductor"}},
    "window": {"type": "thindielectric"},
    "half mask": {"type": "mask", "opacity": 0.5, "nested": matte(*COLOR)},
}
CELLS = [*MATERIALS, "lamp", "sky"]
BEHIND = ("mask", "window")  # stand before a matte square
DISTANCE = 5.0


def square(name: str, z: float = 0.0, **more: Any) -> Scene:
    row, column = divmod(CELLS.index(name), 4)
    place = Transform().translate([column - 1.5, 1 - row, z]).scale(0.5)
    return {"type": "rectangle", "to_world": place, **more}


@pytest.fixture(scope="module")
def materials() -> Frame:
    front = {f"{name}_front": square(name, bsdf=bsdf) for name, bsdf in MATERIALS.items()}
    behind = {f"{name}_behind": square(name, -1, bsdf=matte(*COLOR)) for name in BEHIND}
    lamp = square("lamp", bsdf={"type": "null"}, emitter={"type": "area", "radiance": rgb(LAMP)})
    place = Transform().look_at((0, 0, DISTANCE), (0, 0, 0), (0, 1, 0)).scale([2, 2, 1])
    sensor = {"type": "orthographic", "to_world": place, "film": film(), "near_clip": 1e-3}
    sky = {"type": "constant", "radiance": rgb(SKY)}
    parts = scene(camera=sensor, sky=sky, lamp=lamp, **front, **behind)
    return MitsubaRenderer.from_dict(parts).render(256, 0).frame()


def at(frame: Frame, aov: str, name: str) -> Pixels:
    row, column = divmod(CELLS.index(name), 4)
    return cell(frame[aov], column, row)


def test_layers_and_what_is_seen_directly_add_up_to_the_color(materials: Frame) -> None:
    seen = materials["color"] - materials["diffuse"] - materials["specular"]
    expected = np.zeros((3, HEIGHT, WIDTH), np.float32)
    for name, radiance in {"lamp": LAMP + SKY, "sky": SKY}.items():  # the lamp is see-through
        row, column = divmod(CELLS.index(name), 4)
        cell(expected, column, row)[:] = radiance
    row, column = divmod(CELLS.index("half mask"), 4)
    uncovered = 1 - at(materials, "normal", "half mask")[2:]
    cell(expected, column, row)[:] = SKY * uncovered
    assert_allclose(seen, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["lamp", "sky"])
@pytest.mark.parametrize("aov", ["diffuse", "specular", "albedo", "normal"])
def test_what_is_seen_directly_is_in_no_layer(materials: Frame, name: str, aov: str) -> None:
    assert not at(materials, aov, name).any()
    assert np.isinf(at(materials, "depth", name)).all()


@pytest.mark.parametrize("name", ["mirror", "glass", "metal"])
def test_mirrors_glass_and_metal_are_specular_alone(materials: Frame, name: str) -> None:
    assert not at(materials, "diffuse", name).any()
    assert at(materials, "specular", name).all()


@pytest.mark.parametrize("name", ["matte", "mask"])
def test_matte_surfaces_are_diffuse_alone(materials: Frame, name: str) -> None:
    assert not at(materials, "specular", name).any()
    assert at(materials, "diffuse", name).all()


def test_a_matte_surface_reflects_its_albedo(materials: Frame) -> None:
    assert_allclose(at(materials, "diffuse", "matte").mean(axis=(1, 2)), COLOR * SKY, rtol=0.02)


@pytest.mark.parametrize("name", ["plastic", "rough plastic", "principled", "window"])
def test_mixed_lobes_are_both(materials: Frame, name: str) -> None:
    for aov in ("diffuse", "specular"):
        assert (at(materials, aov, name).mean(axis=(1, 2)) > 0.01).all()


def integrated(name: str, diffuse_of: Any, samples: int = 1 << 18) -> tuple[Pixels, Pixels]:
    """Diffuse and whole reflectance [3] of a material seen along its normal, by quadrature."""
    bsdf = mi.load_dict(MATERIALS[name])
    uniform = np.random.default_rng(0).random((2, samples)).astype(np.float32)
    wo = mi.warp.square_to_uniform_hemisphere(mi.Point2f(uniform))
    si = mi.SurfaceInteraction3f()
    si.wi = mi.Vector3f(0, 0, 1)
    whole = np.array(bsdf.eval(mi.BSDFContext(), si, wo))
    part = diffuse_of(bsdf, si, wo, whole)
    return part.mean(axis=1) * 2 * np.pi, whole.mean(axis=1) * 2 * np.pi


def diffuse_lobe(bsdf: Any, si: Any, wo: Any, _: Pixels) -> Pixels:
    context = mi.BSDFContext()
    context.type_mask = mi.BSDFFlags.Diffuse
    value: Pixels = np.array(bsdf.eval(context, si, wo))
    return value


def at_most_lambertian(bsdf: Any, si: Any, wo: Any, whole: Pixels) -> Pixels:
    reflectance = np.array(bsdf.eval_diffuse_reflectance(si)).reshape(3, 1)
    bound: Pixels = np.minimum(whole, reflectance * np.array(wo.z) / np.pi)
    return bound


@pytest.mark.parametrize(
    ("name", "diffuse_of"),
    [("rough plastic", diffuse_lobe), ("principled", at_most_lambertian)],
)
def test_mixed_lobes_are_split_by_their_values(
    materials: Frame, name: str, diffuse_of: Any
) -> None:
    part, whole = integrated(name, diffuse_of)
    diffuse = at(materials, "diffuse", name).mean(axis=(1, 2))
    specular = at(materials, "specular", name).mean(axis=(1, 2))
    assert_allclose(diffuse, part * SKY, rtol=0.02)
    assert_allclose(specular, (whole - part) * SKY, rtol=0.04)


@pytest.mark.parametrize("name", ["matte", "plastic", "rough plastic", "principled", "mask"])
def test_albedo_is_the_diffuse_reflectance(materials: Frame, name: str) -> None:
    expected = np.broadcast_to(COLOR[:, None, None], (3, 8, 8))
    assert_allclose(at(materials, "albedo", name), expected, rtol=1e-5)


def test_albedo_of_metal_and_glass_is_how_much_they_reflect(materials: Frame) -> None:
    assert_allclose(at(materials, "albedo", "glass"), 1, rtol=1e-5)
    assert_allclose(at(materials, "albedo", "mirror"), 1, rtol=1e-5)
    metal = at(materials, "albedo", "metal").mean(axis=(1, 2))
    assert_allclose(metal, at(materials, "specular", "metal").mean(axis=(1, 2)) / SKY, rtol=0.03)


def test_normal_and_depth_are_of_the_first_surface_that_scatters(materials: Frame) -> None:
    for name in set(CELLS) - {"half mask", "window", "lamp", "sky"}:
        normal = at(materials, "normal", name)
        assert_allclose(normal, np.broadcast_to([[[0]], [[0]], [[1]]], normal.shape), atol=1e-6)
        distance = DISTANCE + (name in BEHIND)
        assert_allclose(at(materials, "depth", name), distance, rtol=1e-3)


def test_half_a_mask_is_half_its_surface(materials: Frame) -> None:
    assert_allclose(at(materials, "normal", "half mask")[2].mean(), 0.5, atol=0.02)
    assert_allclose(at(materials, "depth", "half mask"), DISTANCE, rtol=1e-3)
    expected = 0.5 * COLOR * SKY
    assert_allclose(at(materials, "diffuse", "half mask").mean(axis=(1, 2)), expected, rtol=0.05)


def test_alpha_counts_samples_that_meet_something() -> None:
    ball = {"type": "sphere", "bsdf": matte(0.5)}
    lamp = {"type": "point", "position": [0, 0, 3]}
    frame = MitsubaRenderer.from_dict(scene(ball=ball, lamp=lamp)).render(16, 0).frame()
    assert_array_equal(frame["alpha"] > 0, np.isfinite(frame["depth"]))
    assert not frame["alpha"][:, 0, 0].any()
    assert frame["alpha"][:, 12, 16].all()


VARIANTS: dict[str, Scene] = {
    "all light": {},
    "directly seen only": {"integrator": {"type": "path", "max_depth": 1}},
    "one bounce": {"integrator": {"type": "path", "max_depth": 2}},
    "early roulette": {"integrator": {"type": "path", "rr_depth": 1}},
    "hidden emitters": {"integrator": {"type": "path", "hide_emitters": True}},
    "direct": {"integrator": {"type": "direct"}},
    "prb": {"integrator": {"type": "prb", "max_depth": 3, "hide_emitters": True}},
    "wrapped": {
        "integrator": {"type": "moment", "nested": {"type": "path", "max_depth": 2}},
    },
    "thin lens": {
        "camera": camera(type="thinlens", aperture_radius=0.2, focus_distance=4.0),
    },
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_means_agree_with_mitsuba_within_the_noise(name: str) -> None:
    description = {**room(), **VARIANTS[name]}
    _, renders = stock(description, spp=64, renders=16)
    z = z_scores(MitsubaRenderer.from_dict(description).render(256, 0).frame(), renders)
    assert np.abs(z).max() < 4.5
    assert np.square(z).mean() < 1.6


def test_a_path_without_an_environment_still_shows_the_lamp() -> None:
    lamp = {"type": "sphere", "emitter": {"type": "area", "radiance": rgb(LAMP)}}
    description = scene(lamp=lamp, integrator={"type": "path", "max_depth": 1})
    frame = MitsubaRenderer.from_dict(description).render(4, 0).frame()
    assert_allclose(frame["color"][:, 12, 16], LAMP)
    assert frame["alpha"][0, 12, 16] == 1


def test_light_on_a_mask_before_nothing_is_left_out_of_all_layers() -> None:
    # Mitsuba's path integrator drops samples that end in nothing, with the light they met before.
    mask = {"type": "mask", "opacity": 0.5, "nested": matte(0.5)}
    lamp = {"type": "point", "position": [0, 0, 3], "intensity": rgb(9)}
    description = scene(ball={"type": "sphere", "bsdf": mask}, lamp=lamp)
    frame = MitsubaRenderer.from_dict(description).render(64, 0).frame()
    assert_allclose(frame["color"], frame["diffuse"] + frame["specular"], atol=1e-5)
    _, renders = stock(description, spp=64, renders=16)
    assert np.abs(z_scores(frame, renders)).max() < 4.5


@pytest.fixture(scope="module")
def renderer() -> MitsubaRenderer:
    return MitsubaRenderer.from_dict(room())


@pytest.fixture(scope="module")
def seeds(renderer: MitsubaRenderer) -> list[Frame]:
    return [renderer.render(4, seed).frame() for seed in range(64)]


@pytest.mark.parametrize("aov", ["color", "diffuse", "specular", "albedo", "normal"])
def test_variance_twins_predict_the_spread_over_seeds(seeds: list[Frame], aov: str) -> None:
    spread = np.stack([frame[aov] for frame in seeds]).astype(np.float64).var(axis=0, ddof=1)
    predicted = np.mean([frame[f"{aov}_mse"] for frame in seeds], axis=0, dtype=np.float64)
    assert_allclose(predicted.mean(axis=(1, 2)), spread.mean(axis=(1, 2)), rtol=0.1)


def test_seeds_and_pixels_are_independent(seeds: list[Frame]) -> None:
    colors = np.stack([frame["color"][1] for frame in seeds]).astype(np.float64)
    noise = (colors - colors.mean(axis=0)) / np.maximum(colors.std(axis=0), 1e-6)

    def correlation(first: Any, second: Any) -> float:
        return float((noise[first] * noise[second]).mean())

    everything = slice(None)
    assert abs(correlation(slice(1, None), slice(None, -1))) < 0.03
    across = np.s_[:, :, 1:], np.s_[:, :, :-1]
    down = np.s_[:, 1:], np.s_[:, :-1]
    assert abs(correlation(*across)) < 0.03
    assert abs(correlation(*down)) < 0.03
    assert 0.5 < correlation(everything, everything) <= 1


def test_a_seed_repeats_exactly(renderer: MitsubaRenderer, seeds: list[Frame]) -> None:
    again = renderer.render(4, 3).frame()
    for aov, pixels in seeds[3].aovs.items():
        assert_array_equal(again[aov], pixels)
    assert (again["color"] != seeds[4]["color"]).any()


def random_map(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 6, (HEIGHT, WIDTH), dtype=np.uint32)


def test_a_map_sets_the_samples_of_each_pixel(renderer: MitsubaRenderer) -> None:
    counts = random_map(0)
    frame = renderer.render(counts, 0).frame()
    assert_array_equal(frame["sample_count"][0], counts)
    left_out = counts == 0
    for aov in ("color", "albedo", "normal", "alpha", "color_mse"):
        assert not frame[aov][:, left_out].any()
    assert np.isinf(frame["depth"][:, left_out]).all()
    assert frame["alpha"][:, ~left_out].all()


def test_passes_merge_to_means_weighted_by_their_counts(renderer: MitsubaRenderer) -> None:
    first, second = renderer.render(2, 1), renderer.render(random_map(1), 2)
    merged = first.merged(second)
    counts = np.stack([first.count, second.count]).astype(np.float64)
    for aov in ("color", "normal"):
        means = np.stack([first.mean[aov], second.mean[aov]])
        expected = (means * counts[:, None]).sum(axis=0) / counts.sum(axis=0)
        assert_allclose(merged.mean[aov], expected, rtol=1e-9, atol=1e-12)


def test_a_map_without_samples_gives_every_layer(renderer: MitsubaRenderer) -> None:
    nothing = renderer.render(np.zeros((HEIGHT, WIDTH), np.uint32), 0)
    some = renderer.render(2, 0)
    assert not nothing.frame()["color"].any()
    for merged in (nothing.merged(some), some.merged(nothing)):
        for aov, pixels in some.frame().aovs.items():
            assert_array_equal(merged.frame()[aov], pixels)


def test_small_chunks_change_no_more_than_the_noise(
    renderer: MitsubaRenderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = random_map(2) * 16
    whole = renderer.render(counts, 0).frame()
    monkeypatch.setattr(mitsuba, "CHUNK", 5000)
    reports: list[tuple[int, int]] = []
    cut = renderer.render(counts, 0, lambda done, total: reports.append((done, total))).frame()
    assert_array_equal(cut["sample_count"], whole["sample_count"])
    total = int(counts.sum())
    assert reports == [*((done, total) for done in range(5000, total, 5000)), (total, total)]
    noisy = (counts > 0) & (whole["color_mse"][0] > 0)
    difference = (cut["color"] - whole["color"])[0, noisy].astype(np.float64)
    variance = (cut["color_mse"] + whole["color_mse"])[0, noisy]
    assert abs(np.median(np.square(difference) / variance) - 0.455) < 0.15  # of chi-square


def test_a_map_of_another_size_is_an_error(renderer: MitsubaRenderer) -> None:
    with pytest.raises(InvalidPixels, match=r"expected \[24, 32\] like the film; it is \[32, 24\]"):
        renderer.render(np.ones((WIDTH, HEIGHT), np.uint32), 0)


def test_ctrl_c_waits_until_a_chunk_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the tracer's loop it would become an error of the tracer."""
    renderer = MitsubaRenderer.from_dict(room())
    share = mitsuba_path.diffuse_share

    def interrupted(*given: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return share(*given)

    monkeypatch.setattr(mitsuba_path, "diffuse_share", interrupted)
    with pytest.raises(KeyboardInterrupt):
        renderer.render(1, 0)
