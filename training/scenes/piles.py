"""Objects on a ground under a sky or in a studio."""

import numpy as np

from training.scenes.description import Camera, Pose
from training.scenes.lights import emitter, environment
from training.scenes.materials import foliage, random_material, surface_material
from training.scenes.meshes import Mesh, ball, leaf_tuft, random_mesh
from training.scenes.stage import Stage

Generator = np.random.Generator


def pile(rng: Generator) -> Stage:
    """6 to 60 objects of all kinds, seen from anywhere above."""
    radius = rng.uniform(0.7, 2.0)
    stage = Stage(_camera(rng, radius), environment=environment(rng))
    if rng.random() < 0.9:
        ground = Pose((0, 0, 0), angle=rng.uniform(0, 360), scale=(12, 12, 1))
        stage.add("rectangle", surface_material(rng), ground)
    for _ in range(int(np.exp(rng.uniform(np.log(6), np.log(60))))):
        size = float(np.clip(rng.exponential(0.35), 0.06, 0.9))
        away, turn = radius * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
        lift = size if rng.random() < 0.8 else rng.uniform(size, 2.0)
        place_object(rng, stage, (away * np.cos(turn), away * np.sin(turn), lift), size)
    if rng.random() < 0.4:
        _lamp(rng, stage, radius)
    return stage


def place_object(
    rng: Generator, stage: Stage, position: tuple[float, float, float], size: float
) -> None:
    """A random object of about a size, turned at random; one in three moves."""
    moving = rng.random() < 0.33
    velocity = rng.normal(scale=0.05, size=3) if moving else np.zeros(3)
    shape = random_shape(rng)
    stretch = rng.uniform(0.5, 1.0, 3)
    if shape == "cylinder":  # Mitsuba's keeps its normals only under uniform scaling
        stretch[:] = stretch[0]
    pose = Pose(
        position,
        tuple(rng.normal(size=3).tolist()),
        float(rng.uniform(0, 360)),
        tuple((size * stretch).tolist()),
        tuple(velocity.tolist()),
        float(rng.normal(scale=4)) if moving else 0.0,
    )
    material = foliage(rng) if rng.random() < 0.06 else random_material(rng)
    stage.add(shape, material, pose)


def random_shape(rng: Generator) -> str | Mesh:
    """A primitive or a mesh.

    Mitsuba's sphere is not among them: textured and small, in 3.9.1 it gives NaN radiance now and
    then (in the stock path tracer as in ours).
    """
    if rng.random() < 0.08:
        return leaf_tuft(rng)
    if rng.random() < 0.5:
        return random_mesh(rng)
    shape = str(rng.choice(["ball", "cube", "cylinder", "disk"]))
    return ball() if shape == "ball" else shape


def _lamp(rng: Generator, stage: Stage, radius: float) -> None:
    """A ball or a panel of light among the objects."""
    size = rng.uniform(0.05, 0.5)
    position = tuple((rng.uniform(-1, 1, 3) * radius + np.array([0, 0, radius + 0.8])).tolist())
    light = emitter(rng, float(rng.uniform(0.5, 4.0) / size**2))
    shape = str(rng.choice(["sphere", "rectangle"]))
    stage.add(shape, light, Pose(position, (1.0, 0.0, 0.0), 180.0, (size, size, size)))


def _camera(rng: Generator, radius: float) -> Camera:
    turn, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.08, 1.2)
    distance = 0.5 + radius * rng.uniform(1.0, 2.2)
    origin = distance * np.array([np.cos(turn), np.sin(turn), height]) + [0, 0, 0.1]
    target = rng.normal(scale=0.2, size=3) * radius + [0, 0, 0.3]
    aperture = rng.uniform(0.01, 0.08) if rng.random() < 0.35 else 0.0
    return Camera(
        tuple(origin.tolist()), tuple(target.tolist()), float(rng.uniform(20, 65)),
        float(aperture), float(np.linalg.norm(origin - target) * rng.uniform(0.7, 1.2)),
        tuple(rng.normal(scale=0.02, size=3).tolist()),
        tuple(rng.normal(scale=0.02, size=3).tolist()),
    )  # fmt: skip
