"""Meshes in metres of many parts: boxes, bevelled panels, rods, turned pieces.

Many parts in one mesh are one object, of one material. Texture coordinates are metres.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.scenes.meshes import Mesh, cube, surface

Array = NDArray[np.float64]


def merged(*meshes: Mesh) -> Mesh:
    """Several meshes as one; smooth where they share vertices."""
    starts = np.cumsum([0, *(len(mesh.positions) for mesh in meshes)])
    return Mesh(
        np.concatenate([mesh.positions for mesh in meshes]),
        np.concatenate([mesh.texcoords for mesh in meshes]),
        np.concatenate([
            mesh.faces + np.uint32(start) for mesh, start in zip(meshes, starts, strict=False)
        ]),
        smooth=True,
    )  # fmt: skip


def boxes(low: ArrayLike, high: ArrayLike, tilt: ArrayLike = 0.0) -> Mesh:
    """Boxes between corners [N,3]; `tilt` turns each around its own x, radians."""
    corners = np.atleast_2d(low).astype(float), np.atleast_2d(high).astype(float)
    centre, half = (corners[0] + corners[1]) / 2, (corners[1] - corners[0]) / 2
    unit = cube()
    around = half[:, None] * unit.positions  # [N,24,3]
    axis = np.arange(24) // 8  # of each vertex' face
    across = np.stack([np.where(axis == 0, 1, 0), np.where(axis == 2, 1, 2)], axis=-1)
    texcoords = np.take_along_axis(around + centre[:, None], across[None], axis=2)
    sine, cosine = (np.asarray(f(tilt)).reshape(-1, 1) for f in (np.sin, np.cos))
    x, y, z = np.moveaxis(around, -1, 0)
    turned = np.stack([x, cosine * y - sine * z, sine * y + cosine * z], axis=-1)
    return _mesh(turned + centre[:, None], texcoords, unit.faces, smooth=False)


def panels(low: ArrayLike, high: ArrayLike, depth: float, bevel: float, back: float = 0.0) -> Mesh:
    """Rectangles [N,2] in x and z that stand out towards y from `back`, with bevelled edges."""
    a, b = np.atleast_2d(low).astype(float), np.atleast_2d(high).astype(float)
    inset = np.minimum(bevel, 0.4 * (b - a).min(axis=1, keepdims=True))
    outer, inner = _ring(a, b, back), _ring(a + inset, b - inset, back + depth)
    following = [1, 2, 3, 0]
    edges = np.stack(
        [outer, outer[:, following], inner[:, following], inner], axis=2
    )  # [N,side,corner,3]
    faces = np.concatenate([inner[:, None], edges], axis=1).reshape(len(a), 20, 3)
    index = 4 * np.arange(5)[:, None]
    triangles = np.concatenate([index + corners for corners in ([0, 1, 2], [0, 2, 3])])
    return _mesh(faces, faces[..., [0, 2]], triangles, smooth=False)


def rods(start: ArrayLike, end: ArrayLike, radius: ArrayLike, sides: int = 6) -> Mesh:
    """Round rods between points [N,3]; one radius, or one for each end."""
    a, b = np.atleast_2d(start).astype(float), np.atleast_2d(end).astype(float)
    along = unit(b - a)
    away = np.where(np.abs(along[:, 2:]) < 0.9, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    u = unit(np.cross(away, along))
    v = np.cross(along, u)
    turn = np.linspace(0, 2 * np.pi, sides + 1)[:, None]
    ring = np.cos(turn) * u[:, None] + np.sin(turn) * v[:, None]  # [N,sides+1,3]
    width = np.broadcast_to(radius, (2,))[:, None, None]
    ends = np.stack([a, b], axis=1)[:, :, None]
    positions = ends + width * ring[:, None]  # [N,2,sides+1,3]
    length = np.linalg.norm(b - a, axis=1)
    texcoords = np.zeros((*positions.shape[:3], 2))
    texcoords[..., 0] = turn[:, 0] / (2 * np.pi)
    texcoords[:, 1, :, 1] = length[:, None]
    index = np.arange(sides)
    low, high = np.stack([index, index + 1]), np.stack([index, index + 1]) + sides + 1
    triangles = np.concatenate(
        [np.stack([low[0], low[1], high[1]], -1), np.stack([low[0], high[1], high[0]], -1)]
    )
    count = len(a)
    return _mesh(positions.reshape(count, -1, 3), texcoords.reshape(count, -1, 2), triangles, True)


def turned(radius: ArrayLike, height: ArrayLike, columns: int = 24) -> Mesh:
    """A profile [K] around z, from below to above."""
    u = np.linspace(0, 2 * np.pi, columns + 1)[None]
    r, z = np.asarray(radius, float)[:, None], np.asarray(height, float)[:, None]
    return surface(r * np.cos(u), r * np.sin(u), z + 0 * u)


def moved(mesh: Mesh, *offsets: ArrayLike) -> Mesh:
    """Copies of a mesh at offsets [3], as one."""
    copies = [
        Mesh(
            (mesh.positions + np.asarray(offset)).astype(np.float32),
            mesh.texcoords, mesh.faces, mesh.smooth,
        )
        for offset in offsets
    ]  # fmt: skip
    return merged(*copies)


def unit(vectors: Array) -> Array:
    """Vectors [...,3] of length 1."""
    lengths: Array = np.linalg.norm(vectors, axis=-1, keepdims=True)
    scaled: Array = vectors / np.maximum(lengths, 1e-9)
    return scaled


def _ring(low: Array, high: Array, y: float) -> Array:
    """Corners [N,4,3] of rectangles in x and z, in the order that faces y."""
    left, right, bottom, top = low[:, 0], high[:, 0], low[:, 1], high[:, 1]
    x, z = np.stack([left, left, right, right], -1), np.stack([bottom, top, top, bottom], -1)
    return np.stack([x, np.full_like(x, y), z], axis=-1)


def _mesh(positions: Array, texcoords: Array, faces: NDArray[np.integer], smooth: bool) -> Mesh:
    """Copies [N,V,3] that share their faces [F,3]."""
    count, vertices, _ = positions.shape
    starts = vertices * np.arange(count)[:, None, None]
    return Mesh(
        positions.reshape(-1, 3).astype(np.float32),
        texcoords.reshape(-1, 2).astype(np.float32),
        (starts + faces).reshape(-1, 3).astype(np.uint32),
        smooth,
    )
