"""LuxCore as a renderer, where pyluxcore is installed."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from kpcn_core import adaptive
from kpcn_core.errors import InvalidScene, MissingDependency
from kpcn_core.renderers import luxcore
from kpcn_core.renderers.luxcore import film_size, luxcore_renderer
from tests.adaptive_runs import denoiser

SETTINGS = """
film.width = 32
film.height = 24
scene.file = "room.scn"
"""
SCENE = """
scene.camera.type = "perspective"
scene.camera.lookat.orig = 1 6 3
scene.camera.lookat.target = 0 0 0.5
scene.camera.fieldofview = 60
scene.materials.mat.type = "matte"
scene.materials.mat.kd = 0.7 0.5 0.3
scene.lights.sky.type = "constantinfinite"
scene.lights.sky.color = 0.3 0.3 0.3
scene.shapes.floor.type = "inlinedmesh"
scene.shapes.floor.vertices = -3 -3 0 3 -3 0 3 3 0 -3 3 0
scene.shapes.floor.faces = 0 1 2 2 3 0
scene.shapes.wall.type = "inlinedmesh"
scene.shapes.wall.vertices = -3 -1 0 3 -1 0 3 -1 1.5 -3 -1 1.5
scene.shapes.wall.faces = 0 1 2 2 3 0
scene.objects.floor.shape = "floor"
scene.objects.floor.material = "mat"
scene.objects.wall.shape = "wall"
scene.objects.wall.material = "mat"
"""

needs_luxcore = pytest.mark.skipif(not find_spec("pyluxcore"), reason="pyluxcore is not installed")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    (tmp_path / "room.scn").write_text(SCENE)
    path = tmp_path / "room.cfg"
    path.write_text(SETTINGS)
    return path


@needs_luxcore
def test_samples_go_where_the_map_says(scene: Path) -> None:
    counts = np.full((24, 32), 4, np.uint32)
    counts[:12, :16] = 32
    found = luxcore_renderer(scene, batches=2).render(counts, 1)
    # On a film as small as this LuxCore stops late; what it did is read back.
    much, little = found.count[:12, :16].mean(), found.count[12:, 16:].mean()
    assert much / little == pytest.approx(8, rel=0.2)
    assert counts.mean() * 0.9 < found.count.mean() < counts.mean() * 3
    frame = found.frame()
    assert np.isinf(frame["depth"][0, 0, 0])  # the sky is above
    inside = frame["alpha"][0] == 1
    np.testing.assert_allclose(
        frame["albedo"][:, inside].T, [[0.7, 0.5, 0.3]] * inside.sum(), atol=0.01
    )
    parts = frame["diffuse"] + frame["specular"]
    np.testing.assert_allclose(parts[:, inside], frame["color"][:, inside], rtol=1e-3)
    assert frame["color_mse"].any()


@needs_luxcore
def test_the_loop_closes(scene: Path) -> None:
    renderer = luxcore_renderer(scene, batches=2)
    steps = list(adaptive.run(renderer, denoiser(), budget=16, initial=8, guide="variance"))
    assert steps[-1].stop == "budget"
    assert 15 <= steps[-1].spp < 48


def test_the_size_is_that_of_the_film(scene: Path) -> None:
    assert film_size(scene) == (24, 32)
    scene.write_text("scene.file = a.scn\n# film.width = 3\n")
    assert film_size(scene) == (480, 640)


def test_a_missing_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(luxcore, "find_spec", lambda name: name)
    with pytest.raises(InvalidScene, match=r"no\.cfg: no such scene file"):
        luxcore_renderer(tmp_path / "no.cfg")


def test_a_missing_luxcore(scene: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(luxcore, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match=r"pip install 'kpcn\[luxcore\]'"):
        luxcore_renderer(scene)
