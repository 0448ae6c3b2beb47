"""Procedural meshes: closed surfaces over a grid of two parameters."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Generator = np.random.Generator


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh within about the unit sphere.

    Attributes:
        positions: [V,3].
        texcoords: [V,2].
        faces: [F,3] vertex indices.
        smooth: whether normals are interpolated.
    """

    positions: NDArray[np.float32]
    texcoords: NDArray[np.float32]
    faces: NDArray[np.uint32]
    smooth: bool


def random_mesh(rng: Generator) -> Mesh:
    """Any of the shapes below."""
    kinds: tuple[Callable[[Generator], Mesh], ...] = (
        torus, superquadric, lathe, pebble, twisted_prism, knot, leaf_tuft,
    )  # fmt: skip
    return kinds[rng.integers(len(kinds))](rng)


def ball(columns: int = 48, rows: int = 32) -> Mesh:
    """The unit sphere."""
    u, v = _parameters(columns, rows)
    v = (v - np.pi) / 2
    return surface(np.cos(v) * np.cos(u), np.cos(v) * np.sin(u), np.sin(v))


def torus(rng: Generator) -> Mesh:
    """A ring."""
    u, v = _parameters(48, 24)
    tube = rng.uniform(0.1, 0.45)
    ring = (1 - tube) + tube * np.cos(v)
    return surface(ring * np.cos(u), ring * np.sin(u), tube * np.sin(v))


def superquadric(rng: Generator) -> Mesh:
    """Between a box, a ball and an octahedron (Barr 1981)."""
    u, v = _parameters(48, 32)
    v = (v - np.pi) / 2
    a, b = rng.uniform(0.2, 2.0, 2)
    return surface(
        _power(np.cos(v), a) * _power(np.cos(u), b),
        _power(np.cos(v), a) * _power(np.sin(u), b),
        _power(np.sin(v), a),
    )


def lathe(rng: Generator) -> Mesh:
    """A turned vessel: a smooth random profile around an axis."""
    u, v = _parameters(48, 40)
    height = v / np.pi - 1
    waves = sum(rng.uniform(-1, 1) / k * np.sin(k * v / 2 + rng.uniform(0, 6)) for k in range(1, 6))
    radius = np.clip(0.5 + 0.25 * waves, 0.08, 1) * np.sqrt(np.clip(1 - height**8, 0, 1))
    return surface(radius * np.cos(u), radius * np.sin(u), height)


def pebble(rng: Generator) -> Mesh:
    """A ball bent by a few random waves."""
    u, v = _parameters(48, 32)
    v = (v - np.pi) / 2
    direction = np.stack([np.cos(v) * np.cos(u), np.cos(v) * np.sin(u), np.sin(v)])
    bumps = sum(
        rng.uniform(0, 0.25) / k * np.sin(k * np.tensordot(rng.normal(size=3) * 3, direction, 1))
        for k in range(1, 5)
    )
    return surface(*(direction * (0.8 + bumps)))


def twisted_prism(rng: Generator) -> Mesh:
    """A star-shaped column that turns as it rises; flat faces."""
    u, v = _parameters(int(rng.integers(3, 9)) * 2, 12)
    height = v / np.pi - 1
    star = np.where(np.arange(u.shape[1]) % 2 == 0, 1.0, rng.uniform(0.4, 1.0))
    turn = u + rng.uniform(-1, 1) * height
    radius = 0.6 * star * np.where(np.abs(height) > 0.999, 0.0, 1.0)
    return surface(radius * np.cos(turn), radius * np.sin(turn), height, smooth=False)


def knot(rng: Generator) -> Mesh:
    """A thin tube along a torus knot: wires and grilles."""
    u, v = _parameters(240, 8)
    p, q = rng.choice([1, 2, 3, 5]), rng.choice([2, 3, 7])
    thickness = rng.uniform(0.01, 0.08)
    ring = 0.65 + 0.25 * np.cos(q * u)
    centre = np.stack([ring * np.cos(p * u), ring * np.sin(p * u), 0.3 * np.sin(q * u)])
    along = np.gradient(centre, axis=2)
    along /= np.linalg.norm(along, axis=0)
    side = np.cross(along, [0.0, 0.0, 1.0], axisa=0, axisc=0)
    side /= np.linalg.norm(side, axis=0) + 1e-9
    up = np.cross(side, along, axisa=0, axisb=0, axisc=0)
    return surface(*(centre + thickness * (np.cos(v) * side + np.sin(v) * up)))


def leaf_tuft(rng: Generator) -> Mesh:
    """Many thin bent blades from one root: grass, foliage, fur-like detail."""
    blades, rows = int(rng.integers(40, 160)), 5
    turn = rng.uniform(0, 2 * np.pi, (blades, 1))
    along = np.linspace(0, 1, rows)[None]
    lean = rng.uniform(0.05, 0.9, (blades, 1))
    length = rng.uniform(0.6, 1.4, (blades, 1))
    root = rng.normal(scale=0.15, size=(blades, 2))
    width = rng.uniform(0.005, 0.04) * (1 - along)
    radial = lean * along**2 * length
    points = []
    for sign in (-1, 1):
        x = root[:, :1] + radial * np.cos(turn) - sign * width * np.sin(turn)
        y = root[:, 1:] + radial * np.sin(turn) + sign * width * np.cos(turn)
        points.append(np.stack([x, y, length * along * (1 - 0.4 * lean * along) - 0.6], axis=-1))
    positions = np.stack(points, axis=2)  # [blades,rows,2,3]
    index = np.arange(positions[..., 0].size).reshape(positions.shape[:3])
    a, b = index[:, :-1, 0], index[:, :-1, 1]
    c, d = index[:, 1:, 0], index[:, 1:, 1]
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (b, d, c))])
    texcoords = np.broadcast_to(along[..., None, None], (*positions.shape[:3], 2))
    return Mesh(
        positions.reshape(-1, 3).astype(np.float32),
        texcoords.reshape(-1, 2).astype(np.float32),
        faces.astype(np.uint32),
        smooth=False,
    )


def cube() -> Mesh:
    """From -1 to 1; each face has the whole texture."""
    u, v = np.meshgrid([-1.0, 1.0], [-1.0, 1.0])
    sides: list[Array] = []
    faces = []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            # Mirrored on the other side, so that all faces point outwards.
            corners = np.stack([np.full(4, sign), sign * u.ravel(), v.ravel()], axis=-1)
            start = 4 * len(sides)
            sides.append(np.roll(corners, axis, axis=1))
            faces += [[start, start + 1, start + 3], [start, start + 3, start + 2]]
    texcoords = np.tile(np.stack([u.ravel(), v.ravel()], axis=-1) / 2 + 0.5, (6, 1))
    return _flat(np.concatenate(sides), texcoords, np.array(faces))


def rectangle() -> Mesh:
    """From -1 to 1 in x and y, facing z."""
    u, v = np.meshgrid([-1.0, 1.0], [-1.0, 1.0])
    corners = np.stack([u.ravel(), v.ravel(), np.zeros(4)], axis=-1)
    return _flat(corners, corners[:, :2] / 2 + 0.5, np.array([[0, 1, 3], [0, 3, 2]]))


def disk() -> Mesh:
    """The unit disk in x and y, facing z."""
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    rim = np.stack([np.cos(turn), np.sin(turn), 0 * turn], axis=-1)
    points = np.concatenate([np.zeros((1, 3)), rim])
    index = np.arange(48)
    faces = np.stack([0 * index, index + 1, (index + 1) % 48 + 1], axis=-1)
    return _flat(points, points[:, :2] / 2 + 0.5, faces)


def cylinder() -> Mesh:
    """An open tube of radius 1 around z, from 0 to 1."""
    u, v = np.meshgrid(np.linspace(0, 2 * np.pi, 49), [0.0, 1.0])
    return surface(np.cos(u), np.sin(u), v)


PRIMITIVES = {
    "cube": cube, "rectangle": rectangle, "disk": disk, "cylinder": cylinder, "sphere": ball,
}  # fmt: skip


def _flat(positions: Array, texcoords: Array, faces: NDArray[np.integer]) -> Mesh:
    """A mesh with flat faces."""
    return Mesh(
        positions.astype(np.float32), texcoords.astype(np.float32), faces.astype(np.uint32), False
    )


def _parameters(columns: int, rows: int) -> tuple[Array, Array]:
    """Angles u and v from 0 to 2 pi, [rows+1, columns+1]."""
    u, v = np.meshgrid(np.linspace(0, 2 * np.pi, columns + 1), np.linspace(0, 2 * np.pi, rows + 1))
    return u, v


def _power(values: Array, exponent: float) -> Array:
    return np.sign(values) * np.abs(values) ** exponent


def surface(x: Array, y: Array, z: Array, smooth: bool = True) -> Mesh:
    """Triangles over a grid of points [R,C]."""
    rows, columns = z.shape if z.ndim == 2 else x.shape
    positions = np.stack(np.broadcast_arrays(x, y, z), axis=-1)
    u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    index = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, d), (a, d, c))])
    return Mesh(
        positions.reshape(-1, 3).astype(np.float32),
        np.stack([u, v], axis=-1).reshape(-1, 2).astype(np.float32),
        faces.astype(np.uint32),
        smooth,
    )
