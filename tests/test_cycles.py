"""Cycles as a renderer, in the real Blender."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from kpcn_core import adaptive
from kpcn_core.errors import InvalidScene, RenderFailed
from kpcn_core.renderers.cycles import cycles_renderer
from tests.adaptive_runs import denoiser
from tests.blender import BLENDER, needs_blender, start

SIZE = (24, 32)
SCENE = """
import bpy, sys
bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene
camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
camera.location = (0, 0, 8)
scene.collection.objects.link(camera)
scene.camera = camera
bpy.ops.mesh.primitive_uv_sphere_add()
light = bpy.data.objects.new("light", bpy.data.lights.new("light", "AREA"))
light.data.energy, light.location = 300, (2, 1, 4)
scene.collection.objects.link(light)
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1])
"""


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scene")
    script, path = folder / "make.py", folder / "ball.blend"
    script.write_text(SCENE)
    subprocess.run(start(script, path), check=True)
    return path


@needs_blender
def test_squares_get_the_samples_of_the_map(scene: Path) -> None:
    counts = np.full(SIZE, 8, np.uint32)
    counts[:, 16:] = 32
    renderer = cycles_renderer(scene, SIZE, BLENDER, side=8)
    found = renderer.render(counts, 1)
    assert_array_equal(found.count, counts)
    assert found.source == "cycles"
    whole = renderer.render(64, 2)
    assert_allclose(found.mean["albedo"], whole.mean["albedo"], atol=0.4)
    assert_allclose(found.mean["color"].mean(), whole.mean["color"].mean(), rtol=0.05)
    frame = found.frame()
    assert {"color_mse", "albedo_mse", "normal_mse", "diffuse_mse"} <= frame.aovs.keys()
    assert frame["color_mse"].any()


@needs_blender
def test_the_loop_closes(scene: Path) -> None:
    renderer = cycles_renderer(scene, SIZE, BLENDER, side=8)
    first, second = adaptive.run(renderer, denoiser(), budget=32, guide="variance")
    assert (first.spp, second.stop) == (16, "budget")
    assert second.spp == pytest.approx(32, abs=0.5)
    assert second.samples.max() > second.samples.min()


def test_a_missing_scene(tmp_path: Path) -> None:
    with pytest.raises(InvalidScene, match=r"no\.blend: no such scene file"):
        cycles_renderer(tmp_path / "no.blend", SIZE)


def test_a_missing_blender(tmp_path: Path) -> None:
    (tmp_path / "a.blend").touch()
    renderer = cycles_renderer(tmp_path / "a.blend", SIZE, "no-such-blender")
    with pytest.raises(RenderFailed, match="cannot be started"):
        renderer.render(4, 0)
