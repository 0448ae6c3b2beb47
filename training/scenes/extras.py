"""What only some renderers do well, added to a scene: hair, fog, subdivision, node textures, blur.

Drawn from random numbers of its own, so that the scene of a seed is otherwise the same for all
renderers. Cycles renders it; Mitsuba and LuxCore get the scene without it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from training.scenes import VERSION
from training.scenes.description import Color, Matte, Plastic, Vector
from training.scenes.meshes import PRIMITIVES, Mesh
from training.scenes.stage import Placed, Stage
from training.scenes.textures import random_color

Generator = np.random.Generator

PATTERNS = ("noise", "voronoi", "wave", "brick", "magic", "checker")
STRANDS, KNOTS = (300, 3000), 6


@dataclass(frozen=True)
class Hair:
    """Strands that grow from an object and move with it.

    Attributes:
        strands: points in the object's coordinates, root first [N,KNOTS,3].
        radius: at the root, metres.
        color: of the strands.
        roughness: along them.
    """

    strands: NDArray[np.float32]
    radius: float
    color: Vector
    roughness: float


@dataclass(frozen=True)
class Fog:
    """A participating medium in a box along the axes.

    Attributes:
        low: a corner.
        high: the opposite one.
        density: mean free paths a metre.
        color: single-scattering albedo.
        anisotropy: of the scattering, -1 to 1.
        patches: how often its density varies in a metre; 0 is even.
    """

    low: Vector
    high: Vector
    density: float
    color: Vector
    anisotropy: float
    patches: float


@dataclass(frozen=True)
class Pattern:
    """A texture that is computed where it is seen, instead of an image.

    Attributes:
        kind: one of `PATTERNS`.
        scale: periods in a unit of the object's coordinates.
        colors: that it blends.
        distortion: how much it is bent.
        bump: depth of its relief, metres; 0 is flat.
    """

    kind: str
    scale: float
    colors: tuple[Vector, Vector]
    distortion: float
    bump: float


@dataclass(frozen=True)
class Extras:
    """Additions to a scene; objects are told by their index.

    Attributes:
        hair: objects that are covered.
        patterns: objects whose color is computed.
        subdivided: objects that are smoothed, and how often.
        skin: objects that light enters, and how far, metres.
        fog: in the room, or over the ground.
        shutter: how long it is open, in frames; 0 renders a moment.
        soft_clamp: whether Blender's own limit of indirect light holds.
    """

    hair: Mapping[int, Hair] = field(default_factory=dict)
    patterns: Mapping[int, Pattern] = field(default_factory=dict)
    subdivided: Mapping[int, int] = field(default_factory=dict)
    skin: Mapping[int, float] = field(default_factory=dict)
    fog: Fog | None = None
    shutter: float = 0.0
    soft_clamp: bool = True


def extras(seed: int, stage: Stage) -> Extras:
    """The additions to the scene of a seed; the same for every call with the same `VERSION`."""
    rng = np.random.default_rng([VERSION, seed, 1])
    painted = [index for index, placed in enumerate(stage.objects) if _color(placed) is not None]
    # Not what is made of many parts: their faces share no corners.
    meshes = [index for index in painted if _joined(stage.objects[index].shape)]
    smoothed = [index for index in meshes if len(_mesh(stage.objects[index]).faces) < 500]
    return Extras(
        hair={index: _hair(rng, stage.objects[index]) for index in _some(rng, meshes, 0.4, 2)},
        patterns={index: _pattern(rng) for index in _some(rng, painted, 0.7, 12)},
        subdivided={index: int(rng.integers(1, 4)) for index in _some(rng, smoothed, 0.7, 9)},
        skin={index: float(rng.uniform(0.01, 0.2)) for index in _some(rng, painted, 0.3, 3)},
        fog=_fog(rng) if rng.random() < 0.15 else None,
        shutter=float(rng.uniform(0.3, 1.0)) if rng.random() < 0.3 else 0.0,
        soft_clamp=bool(rng.random() < 0.6),
    )


def _some(rng: Generator, indices: list[int], chance: float, most: int) -> list[int]:
    """None with some chance, else from one to `most` of them."""
    if not indices or rng.random() > chance:
        return []
    count = int(rng.integers(1, most, endpoint=True))
    return sorted(rng.permutation(indices)[:count].tolist())


def _color(placed: Placed) -> Color | None:
    material = placed.material
    return material.color if isinstance(material, Matte | Plastic) else None


def _joined(shape: str | Mesh) -> bool:
    return isinstance(shape, Mesh) and len(shape.positions) < 1.5 * len(shape.faces)


def _mesh(placed: Placed) -> Mesh:
    shape = placed.shape
    return shape if isinstance(shape, Mesh) else PRIMITIVES[shape]()


def _vector(values: NDArray[np.floating]) -> Vector:
    x, y, z = values.tolist()
    return x, y, z


def _hair(rng: Generator, placed: Placed) -> Hair:
    """Strands from random places on a mesh, along its normals, combed and curled."""
    mesh, count = _mesh(placed), int(np.exp(rng.uniform(*np.log(STRANDS))))
    roots, normals = _on_surface(rng, mesh, count)
    length = rng.uniform(0.1, 0.8) * rng.uniform(0.6, 1.0, (count, 1, 1))
    along = np.linspace(0, 1, KNOTS)[None, :, None]
    comb = rng.normal(scale=rng.uniform(0, 0.6), size=3)
    stray = rng.normal(scale=rng.uniform(0.05, 0.3), size=(count, 1, 3))
    curl = np.sin(along * rng.uniform(0, 12) + rng.uniform(0, 6, (count, 1, 3)))
    bent = (comb + stray) * along**2 + rng.uniform(0, 0.15) * curl * along
    strands = roots[:, None] + length * (normals[:, None] * along + bent)
    size = float(np.mean(placed.pose.scale))
    return Hair(
        strands.astype(np.float32),
        float(rng.uniform(0.002, 0.012)) * size,
        _vector(random_color(rng)),
        float(rng.uniform(0.15, 0.5)),
    )


def _on_surface(
    rng: Generator, mesh: Mesh, count: int
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Points spread evenly over a mesh [N,3], and the normals there."""
    corners = mesh.positions[mesh.faces].astype(np.float64)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normals, axis=1)
    chosen = rng.choice(len(corners), count, p=area / area.sum())
    weights = rng.dirichlet((1.0, 1.0, 1.0), count)
    points = (corners[chosen] * weights[..., None]).sum(axis=1)
    return points, normals[chosen] / area[chosen, None]


def _pattern(rng: Generator) -> Pattern:
    return Pattern(
        str(rng.choice(PATTERNS)),
        float(np.exp(rng.uniform(np.log(1.0), np.log(30.0)))),
        (_vector(random_color(rng)), _vector(random_color(rng))),
        float(rng.choice([0.0, rng.uniform(0, 4)])),
        float(rng.choice([0.0, rng.uniform(0.002, 0.05)])),
    )


def _fog(rng: Generator) -> Fog:
    """From thin haze to smoke in part of the space."""
    thickness = float(np.exp(rng.uniform(np.log(0.02), np.log(0.3))))
    patches = float(rng.choice([0.0, rng.uniform(0.5, 3.0)]))
    return Fog(
        (-9.0, -9.0, 0.001), (9.0, 9.0, float(rng.uniform(0.5, 4.0))), thickness,
        _vector(rng.uniform(0.6, 1.0, 3)), float(rng.uniform(-0.2, 0.7)), patches,
    )  # fmt: skip
