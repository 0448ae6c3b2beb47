"""Procedural stages for tests, whatever the version of the scenes: a room, and piles."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.renderers.program import Program, ProgramScene
from training.scenes import stored
from training.scenes.coverings import wall_covering, window_dressing
from training.scenes.description import Camera
from training.scenes.lights import environment
from training.scenes.materials import matte
from training.scenes.meshes import PRIMITIVES, Mesh
from training.scenes.piles import pile
from training.scenes.places import Floor, Room
from training.scenes.rooms import KINDS
from training.scenes.stage import Placed, Stage

INSIDE = Room(7.0, 6.0, 2.8)
CAMERA = Camera((3.5, 0.9, 1.5), (3.5, 6.0, 1.0), 80.0)


def empty(seed: int) -> Stage:
    """A floor under a sky, seen by a camera that stands still."""
    stage = Stage(CAMERA, environment=environment(np.random.default_rng(seed)))
    floor = (0.0, 0.0, -0.1), (INSIDE.width, INSIDE.depth, 0.0)
    stage.box(*floor, matte(np.random.default_rng(seed)))
    return stage


def furnished(seed: int) -> Stage:
    """Each kind once, where it found a place."""
    rng, stage = np.random.default_rng(seed), empty(seed)
    floor = Floor(INSIDE, CAMERA)
    for furnish in KINDS:
        furnish(rng, stage, floor)
    wall_covering(rng, stage, INSIDE, 2, matte(rng), 1.2)
    window_dressing(rng, stage, INSIDE, 3, ((1.0, 1.0), (2.5, 2.2)))
    return stage


def heap(seed: int) -> Stage:
    """A pile of objects: of 9 the camera moves by a pixel a frame, over 20 there is sky."""
    stage = pile(np.random.default_rng(seed))
    stage.clear_camera()
    return stage


def points(placed: Placed) -> NDArray[np.float64]:
    """The vertices of an object in the room [V,3]."""
    shape = placed.shape
    mesh = shape if isinstance(shape, Mesh) else PRIMITIVES[shape]()
    matrix = placed.pose.matrix(0)
    moved: NDArray[np.float64] = mesh.positions @ matrix[:3, :3].T + matrix[:3, 3]
    return moved


def in_view(places: NDArray[np.float64], camera: Camera) -> bool:
    """Whether any of some points [N,3] lies in a 4:3 image."""
    ahead = np.subtract(camera.target, camera.origin)
    ahead = ahead / np.linalg.norm(ahead)
    right = np.cross(ahead, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    seen = (places - camera.origin) @ np.stack([right, np.cross(right, ahead), ahead], axis=-1)
    half = np.tan(np.radians(camera.fov / 2))
    x, y = seen[:, :2].T / np.maximum(seen[:, 2], 1e-6)
    return bool(((seen[:, 2] > 0) & (np.abs(x) < half) & (np.abs(y) < 0.75 * half)).any())


def assert_renders(program: Program, size: tuple[int, int], folder: Path) -> None:
    """A renderer that is a program of its own renders all that rooms are furnished with."""
    stored.save(folder / "stage.npz", furnished(3))
    view = ProgramScene(program, 0, size, stage=folder / "stage.npz")
    color = view.renderer().render(2, 1).mean["color"]
    assert np.isfinite(color).all()
    assert color.mean() > 0
