"""Motion, beside a pinhole projection worked out here by hand."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from kpcn_core.frame import Frame
from kpcn_core.renderers.mitsuba import MitsubaRenderer
from tests.mitsuba_scenes import (
    FIELD,
    HEIGHT,
    WIDTH,
    Floats,
    Scene,
    Transform,
    camera,
    film,
    matte,
    scene,
)

# So narrow that every sample is at its pixel's centre, where the projection is compared.
CENTRE = film({"type": "gaussian", "stddev": 2e-3})
OBJECTS = ("ball", "box", "card", "sheet", "copies")
SKY: Scene = {"type": "constant"}

# Camera placements in the frames before, of and after the rendered one.
EYES = {-1: (0.15, 0.1, 4.1), 0: (0.0, 0.0, 4.0), 1: (-0.2, 0.05, 3.8)}
TARGETS = {-1: (-0.1, 0.0, 0.0), 0: (0.0, 0.0, 0.0), 1: (0.15, -0.1, 0.0)}


def placement(name: str, step: int) -> Any:
    """Object to world in the frame before (-1), of (0) or after (1) the rendered one."""
    t = Transform
    placements = {
        "ball": t().translate([-1 + 0.1 * step, 0.6, 0]).rotate([1, 2, 0], 25 * step).scale(0.45),
        "box": t().translate([0.2, 0.6 - 0.1 * step, 0]).rotate([0, 1, 1], 9 * step).scale(0.3),
        "card": t().translate([1.1, 0.5, 0.3 * step]).rotate([0, 1, 0], 15 * step).scale(0.4),
        "copies": t().translate([0.8, -0.6 + 0.1 * step, 0]).rotate([0, 0, 1], 9 * step).scale(0.4),
    }
    return placements[name]


def corners(step: int) -> Floats:
    """A triangle whose corners move each on its own [3,3]."""
    still = np.array([[-1.4, -1.0, 0.0], [0.2, -0.9, 0.3], [-0.7, 0.0, -0.2]])
    found: Floats = still + step * np.array([[0.1, 0.0, 0.1], [0.0, -0.1, 0.0], [-0.05, 0.1, 0.2]])
    return found


def sheet(folder: Path, step: int) -> str:
    path = folder / f"sheet{step}.obj"
    lines = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in corners(step)]
    path.write_text("\n".join([*lines, "f 1 2 3"]) + "\n")
    return str(path)


def dance(folder: Path, step: int) -> Scene:
    """Everything moves; each object has a reflectance of its own."""
    bsdfs = {
        name: {"type": "twosided", "nested": matte(0.1 * (index + 1))}
        for index, name in enumerate(OBJECTS)
    }
    disk = {"type": "disk", "bsdf": bsdfs["copies"]}
    shapes: dict[str, Scene] = {
        "ball": {"type": "sphere"}, "box": {"type": "cube"}, "card": {"type": "rectangle"},
    }  # fmt: skip
    for name, shape in shapes.items():
        shape |= {"to_world": placement(name, step), "bsdf": bsdfs[name]}
    return scene(
        camera=camera(EYES[step], TARGETS[step], film=CENTRE, near_clip=0.3),
        sky=SKY,
        sheet={"type": "obj", "filename": sheet(folder, step), "bsdf": bsdfs["sheet"]},
        group={"type": "shapegroup", "disk": disk},
        copies={
            "type": "instance", "group": {"type": "ref", "id": "group"},
            "to_world": placement("copies", step),
        },
        **shapes,
    )  # fmt: skip


def axes(step: int) -> Floats:
    """Right, down and forward of the camera [3,3]."""
    eye, target = np.array(EYES[step]), np.array(TARGETS[step])
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0, 1, 0])
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])


FOCAL = WIDTH / 2 / np.tan(np.radians(FIELD) / 2)
MIDDLE = np.array([WIDTH, HEIGHT])[:, None, None] / 2
PIXELS = np.stack(np.meshgrid(np.arange(WIDTH) + 0.5, np.arange(HEIGHT) + 0.5))


def projected(offsets: Floats, step: int) -> Floats:
    """Film positions [2,H,W] of offsets from the camera [3,H,W]."""
    x, y, z = np.einsum("ij,jhw->ihw", axes(step), offsets)
    found: Floats = MIDDLE + FOCAL * np.stack([x, y]) / z
    return found


def rays() -> Floats:
    """Unit directions through the pixels' centres [3,H,W]."""
    local = np.concatenate([(PIXELS - MIDDLE) / FOCAL, np.ones((1, HEIGHT, WIDTH))])
    world = np.einsum("ji,jhw->ihw", axes(0), local)
    found: Floats = world / np.linalg.norm(world, axis=0)
    return found


def moved(name: str, points: Floats, step: int) -> Floats:
    """Where surface points [3,H,W] of the rendered frame are in another."""
    if name == "sheet":
        weights = np.einsum("ij,jhw->ihw", np.linalg.inv(corners(0).T), points)
        by_corners: Floats = np.einsum("ij,jhw->ihw", corners(step).T, weights)
        return by_corners
    there, here = (np.array(placement(name, i).matrix, np.float64) for i in (step, 0))
    matrix = there @ np.linalg.inv(here)
    found: Floats = np.einsum("ij,jhw->ihw", matrix[:3, :3], points) + matrix[:3, 3, None, None]
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("meshes")


@pytest.fixture(scope="module")
def frame(folder: Path) -> Frame:
    states = (dance(folder, step) for step in (0, -1, 1))
    return MitsubaRenderer.from_dict(*states).render(1, 0).frame()


@pytest.mark.parametrize(("aov", "step"), [("forward", 1), ("backward", -1)])
@pytest.mark.parametrize("name", OBJECTS)
def test_surfaces_move_to_their_projection(frame: Frame, name: str, aov: str, step: int) -> None:
    seen = np.isclose(frame["albedo"][0], 0.1 * (OBJECTS.index(name) + 1))
    assert seen.sum() > 15
    depth = np.where(seen, frame["depth"], 1).astype(np.float64)
    points = moved(name, np.array(EYES[0])[:, None, None] + depth * rays(), step)
    expected = projected(points - np.array(EYES[step])[:, None, None], step) - PIXELS
    assert np.abs(expected[:, seen]).max() > 0.3
    assert_allclose(frame[aov][:, seen], expected[:, seen], atol=0.01)


@pytest.mark.parametrize(("aov", "step"), [("forward", 1), ("backward", -1)])
def test_the_sky_turns_with_the_camera_but_does_not_travel(
    frame: Frame, aov: str, step: int
) -> None:
    seen = np.isinf(frame["depth"][0])
    expected = projected(rays(), step) - PIXELS
    assert np.abs(expected).max() > 0.5
    assert_allclose(frame[aov][:, seen], expected[:, seen], atol=0.01)


def test_what_stands_still_has_no_motion(folder: Path) -> None:
    still = dance(folder, 0)
    frame = MitsubaRenderer.from_dict(still, still, still).render(1, 0).frame()
    assert_allclose(frame["forward"], 0, atol=2e-3)
    assert_allclose(frame["backward"], 0, atol=2e-3)


def ball(x: float = 0.0, y: float = 0.0, **more: Any) -> Scene:
    place = Transform().translate([x, y, 0]).scale(0.6)
    return scene(sky=SKY, ball={"type": "sphere", "to_world": place, "bsdf": matte(0.5)}, **more)


def centroid(frame: Frame) -> Floats:
    covered = frame["albedo"][0].astype(np.float64)
    found: Floats = (PIXELS * covered).sum(axis=(1, 2)) / covered.sum()
    return found


def test_forward_points_to_where_the_ball_is_in_the_next_image() -> None:
    here, there = ball(), ball(x=0.3, y=-0.2)  # y is up in the world: the ball moves down
    first = MitsubaRenderer.from_dict(here, following=there).render(64, 0).frame()
    second = MitsubaRenderer.from_dict(there, previous=here).render(64, 0).frame()
    travel = centroid(second) - centroid(first)
    assert travel[0] > 1
    assert travel[1] > 0.5
    for found, sign in ((first["forward"], 1), (second["backward"], -1)):
        seen = (found != 0).any(axis=0)
        assert_allclose(np.median(found[:, seen], axis=1), sign * travel, rtol=0.15)
    assert "backward" not in first
    assert "forward" not in second


def test_an_edge_has_the_motion_of_its_front() -> None:
    frame = MitsubaRenderer.from_dict(ball(), following=ball(x=0.3)).render(64, 0).frame()
    reached = np.isfinite(frame["depth"][0])
    partly = reached & (frame["albedo"][0] < 0.45)
    assert partly.sum() > 10
    assert (frame["forward"][0, partly] > 1).all()
    assert not frame["forward"][:, ~reached].any()


def test_what_gets_behind_the_camera_leaves_the_film() -> None:
    beyond = ball(camera=camera((0, 0, -4), (0, 0, -8)))
    frame = MitsubaRenderer.from_dict(ball(), following=beyond).render(1, 0).frame()
    target = PIXELS + frame["forward"]
    seen = np.isfinite(frame["depth"][0])
    assert (target[0, seen] >= WIDTH).all()


@pytest.mark.parametrize("other", ["none", "cube"])
def test_what_the_neighbour_lacks_stands_still_with_a_warning(
    other: str, caplog: pytest.LogCaptureFixture
) -> None:
    neighbour = ball()
    neighbour["ball"] = {"type": "cube"}
    if other == "none":
        del neighbour["ball"]
    with caplog.at_level(logging.WARNING):
        frame = MitsubaRenderer.from_dict(ball(), following=neighbour).render(1, 0).frame()
    assert_allclose(frame["forward"], 0, atol=2e-3)
    assert "1 shapes that the neighbour frame lacks" in caplog.text
    assert "ball" in caplog.text


def test_shapes_without_ids_are_matched_by_their_order(tmp_path: Path) -> None:
    def written(step: int) -> Path:
        path = tmp_path / f"{step}.xml"
        balls = "".join(
            f'<shape type="sphere"><point name="center" x="{x + step * motion}" y="0" z="0"/>'
            f'<float name="radius" value="0.5"/></shape>'
            for x, motion in ((-0.8, 0.1), (0.8, -0.2))
        )
        place = '<lookat origin="0,0,4" target="0,0,0" up="0,1,0"/>'
        size = '<integer name="width" value="32"/><integer name="height" value="24"/>'
        path.write_text(
            f'<scene version="3.0.0"><sensor type="perspective"><film type="hdrfilm">{size}</film>'
            f'<transform name="to_world">{place}</transform></sensor>{balls}</scene>'
        )
        return path

    frame = MitsubaRenderer.from_file(written(0), following=written(1)).render(4, 0).frame()
    left, right = (frame["forward"][0, :, half] for half in (np.s_[:16], np.s_[16:]))
    assert 0.5 < left.max() < 1.5
    assert left.min() == 0
    assert -3 < right.min() < -1
    assert right.max() == 0


def test_a_crop_window_moves_like_that_part_of_the_film(folder: Path) -> None:
    x, y, width, height = 9, 5, 14, 11
    window: Scene = {
        "crop_offset_x": x, "crop_offset_y": y, "crop_width": width, "crop_height": height,
    }  # fmt: skip
    cameras = [
        {
            step: camera(EYES[step], TARGETS[step], film=each, principal_point_offset_x=0.1 * step)
            for step in (0, 1)
        }
        for each in ({**CENTRE, **window}, CENTRE)
    ]
    found, full = (
        MitsubaRenderer.from_dict(
            {**dance(folder, 0), "camera": sensors[0]},
            following={**dance(folder, 1), "camera": sensors[1]},
        ).render(1, 0).frame()["forward"]
        for sensors in cameras
    )  # fmt: skip
    difference = np.abs(found - full[:, y : y + height, x : x + width])
    assert np.median(difference) < 1e-3
    assert (difference > 0.02).mean() < 0.05  # a silhouette may pass through a pixel's centre


def test_a_thin_lens_moves_like_a_pinhole_where_it_is_sharp() -> None:
    lens = {"type": "thinlens", "aperture_radius": 0.05, "focus_distance": 4.0}
    card = {"type": "rectangle", "bsdf": matte(0.5)}

    def at(x: float, **more: Any) -> Scene:
        place = Transform().translate([x, 0, 0])
        return scene(sky=SKY, card={**card, "to_world": place}, camera=camera(**more))

    found = MitsubaRenderer.from_dict(at(0, **lens), following=at(0.2, **lens)).render(1, 0).frame()
    seen = np.isclose(found["albedo"][0], 0.5)
    assert_allclose(found["forward"][0, seen], FOCAL * 0.2 / 4, rtol=1e-3)
    assert_allclose(found["forward"][1, seen], 0, atol=1e-3)


def test_another_kind_of_camera_has_no_motion_and_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    flat: Scene = {"type": "orthographic", "film": film()}
    with caplog.at_level(logging.WARNING):
        frame = MitsubaRenderer.from_dict(ball(camera=flat), ball(camera=flat)).render(1, 0).frame()
    assert "backward" not in frame
    assert "no motion: it needs a perspective or thinlens sensor" in caplog.text
    assert_array_equal(frame["sample_count"], 1)
