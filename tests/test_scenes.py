from collections.abc import Callable
from typing import Any

import drjit as dr
import numpy as np
import pytest

from kpcn_core.renderers.mitsuba import mi
from training.renderers.mitsuba import MitsubaScene, dictionary, plugin
from training.scenes import SIZE, Scene, materials, meshes, scene, textures
from training.scenes.description import Camera, Pose
from training.scenes.extras import extras
from training.scenes.stage import Stage

SMALL = (24, 32)


@pytest.mark.parametrize(
    "paint",
    [
        textures.marble, textures.checks, textures.bricks, textures.stripes,
        textures.dots, textures.wood, textures.printed, textures.patches,
    ],
)  # fmt: skip
def test_textures_are_colors(paint: Callable[..., Any]) -> None:
    image = paint(np.random.default_rng(0))
    assert image.shape == (textures.SIZE, textures.SIZE, 3)
    assert np.isfinite(image).all()
    assert image.std() > 0


def test_random_textures_stay_physical() -> None:
    rng = np.random.default_rng(1)
    images = [textures.random_texture(rng) for _ in range(30)]
    assert min(image.min() for image in images) >= 0.02 - 1e-6
    assert max(image.max() for image in images) <= 0.95 + 1e-6


def test_noise_is_tileable() -> None:
    noise = textures.spectral_noise(np.random.default_rng(2), 2.0)
    inside = np.abs(np.diff(noise, axis=0)).max()
    assert np.abs(noise[0] - noise[-1]).max() <= 1.5 * inside


@pytest.mark.parametrize("seed", range(14))
def test_meshes_are_valid(seed: int) -> None:
    mesh = meshes.random_mesh(np.random.default_rng(seed))
    assert np.isfinite(mesh.positions).all()
    assert np.abs(mesh.positions).max() < 2.5
    assert mesh.faces.max() < len(mesh.positions) == len(mesh.texcoords)
    corners = mesh.positions[mesh.faces]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    assert (area > 0).mean() > 0.8  # poles may be degenerate


@pytest.mark.parametrize("make", [meshes.ball, meshes.cube])
def test_closed_shapes_face_outwards(make: Callable[[], meshes.Mesh]) -> None:
    ball = make()
    corners = ball.positions[ball.faces].astype(np.float64)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((normal * corners.mean(axis=1)).sum(axis=1) >= -1e-9).all()


@pytest.mark.parametrize(
    "make",
    [
        materials.matte, materials.rough_plastic, materials.smooth_plastic, materials.rough_metal,
        materials.mirror, materials.glass, materials.frosted_glass, materials.foliage,
    ],
)  # fmt: skip
def test_materials_reflect_no_more_than_they_receive(make: Callable[..., Any]) -> None:
    rng = np.random.default_rng(3)
    for _ in range(3):
        bsdf = mi.load_dict(plugin(make(rng)))
        si = dr.zeros(mi.SurfaceInteraction3f, 4096)
        si.t = mi.Float(1)
        si.sh_frame = mi.Frame3f(mi.Normal3f(0, 0, 1))
        si.wi = dr.normalize(mi.Vector3f(0.3, 0.2, 0.9))
        si.uv = mi.Point2f(np.random.default_rng(0).random((2, 4096)).astype(np.float32))
        uniform = np.random.default_rng(1).random((3, 4096)).astype(np.float32)
        sample, weight = bsdf.sample(
            mi.BSDFContext(), si, mi.Float(uniform[0]), mi.Point2f(uniform[1:])
        )
        scaled = (weight * dr.square(sample.eta)).numpy()
        assert np.isfinite(scaled).all()
        assert scaled.mean(axis=1).max() < 1.02


def test_a_seed_is_a_scene() -> None:
    first, again, other = scene(5), scene(5), scene(6)
    assert first.stage.camera == again.stage.camera != other.stage.camera
    dictionaries = [dictionary(each, 0) for each in (first, again)]
    assert dictionaries[0].keys() == dictionaries[1].keys()
    assert first.size == SIZE


def test_a_pose_is_the_matrix_that_mitsuba_makes_of_it() -> None:
    pose = Pose((1, 2, 3), (0.5, -2, 0.3), 40, (0.1, 0.2, 0.7), (0.1, 0, 0), 7)
    stage = Stage(Camera((0, -3, 0), (0, 0, 0), 40))
    stage.add("cube", materials.mirror(np.random.default_rng(0)), pose)
    theirs = dictionary(Scene(stage, SMALL), 3)["object000"]["to_world"].matrix
    np.testing.assert_allclose(pose.matrix(3), np.array(theirs), atol=1e-6)


def test_extras_are_of_every_kind_and_a_matter_of_the_seed() -> None:
    found = [extras(seed, scene(seed).stage) for seed in range(1, 41)]
    for kind in ("hair", "patterns", "subdivided", "skin", "fog", "shutter"):
        assert any(getattr(one, kind) for one in found), kind
        assert not all(getattr(one, kind) for one in found), kind
    strands = next(hair for one in found for hair in one.hair.values()).strands
    assert np.isfinite(strands).all()
    again = [extras(seed, scene(seed).stage) for seed in range(1, 41)]
    assert repr(again) == repr(found)


def test_a_moving_stage_moves() -> None:
    stage = Stage(Camera((0, -3, 0), (0, 0, 0), 40, velocity=(0.1, 0, 0)))
    stage.add(
        "cube", materials.mirror(np.random.default_rng(0)), Pose((0, 0, 0), velocity=(0, 0, 1))
    )
    before, after = (dictionary(Scene(stage, SMALL), time) for time in (0, 2))
    shift = np.array(after["object000"]["to_world"].matrix - before["object000"]["to_world"].matrix)
    np.testing.assert_allclose(shift.reshape(4, 4)[:3, 3], [0, 0, 2], atol=1e-6)
    assert str(before["sensor"]["to_world"]) != str(after["sensor"]["to_world"])


def test_nothing_encloses_the_camera() -> None:
    stage = Stage(Camera((0, 0, 1), (0, 3, 1), 40))
    grey = materials.mirror(np.random.default_rng(0))
    stage.box((-1, -1, 0.5), (1, 1, 1.5), grey)
    stage.box((-1, 3, 0), (1, 4, 2), grey)
    stage.clear_camera()
    assert len(stage.objects) == 1


def test_a_scene_renders_with_motion() -> None:
    moving = next(seed for seed in range(20) if scene(seed).stage.camera.velocity != (0, 0, 0))
    frame = MitsubaScene(scene(moving, SMALL)).renderer(motion=True).render(4, 0).frame()
    assert frame.size == SMALL
    assert np.isfinite(frame["color"]).all()
    assert frame["color"].max() > 0
    assert np.abs(frame["forward"]).max() > 0
