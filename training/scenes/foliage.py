"""Pot plants: clusters of thin leaves that hide and shade each other and the wall behind.

Four habits: blades from a root, round leaves on stalks, shrubs of branches, feathery fronds.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from training.scenes.description import Color, Material, Matte, Plastic, Texture
from training.scenes.materials import surface_material
from training.scenes.meshes import Mesh
from training.scenes.parts import merged, rods, turned, unit
from training.scenes.places import Floor, Spot
from training.scenes.stage import Stage
from training.scenes.textures import spectral_noise

Generator = np.random.Generator
Array = NDArray[np.float64]

ROWS = 6  # points along a leaf


def plants(rng: Generator, stage: Stage, floor: Floor) -> None:
    """One to three plants by the walls."""
    for _ in range(int(rng.integers(1, 4))):
        height = float(rng.uniform(0.5, min(1.8, 0.75 * floor.inside.height)))
        spread = height * float(rng.uniform(0.25, 0.5))
        spot = floor.by_wall(rng, 2 * spread, 2 * spread)
        if spot is not None:
            pot_plant(rng, stage, spot.moved(0.0, spread, 0.0), spread, height)


def pot_plant(rng: Generator, stage: Stage, spot: Spot, spread: float, height: float) -> None:
    """A plant in its pot, at most `spread` wide each way and so high, metres."""
    rim = height * rng.uniform(0.15, 0.3)
    radius = min(0.8 * spread, rim * rng.uniform(0.4, 0.7))
    waist = radius * rng.uniform(0.6, 1.0)
    inner = 0.92 * radius
    profile = [0.0, waist, (waist + radius) / 2, radius, radius, inner, 0.9 * inner, 0.0]
    levels = [0.0, 0.0, 0.5, 0.9, 1.0, 1.0, 0.9, 0.9]
    spot.put(stage, turned(profile, np.multiply(rim, levels)), surface_material(rng))
    leaves, stems = HABITS[rng.integers(len(HABITS))](rng)
    above = spot.moved(0.0, 0.0, 0.85 * rim)
    size = np.array([spread, spread, height - 0.85 * rim])
    points = leaves.positions if stems is None else merged(leaves, stems).positions
    # What hangs over the rim may not hang through the floor.
    reach = np.array([*np.abs(points[:, :2]).max(axis=0), points[:, 2].max()])
    scale = size / np.maximum(reach, 1e-3)
    scale[:2] = scale[:2].min()
    lowest = points[:, 2].min() * scale[2]
    if lowest < -0.8 * rim:
        scale[2] *= 0.8 * rim / -lowest
    for mesh, material in ((leaves, _leaf(rng)), (stems, Matte(_green(rng, 0.3)))):
        if mesh is not None:
            grown = (mesh.positions * scale).astype(np.float32)
            above.put(stage, Mesh(grown, mesh.texcoords, mesh.faces, mesh.smooth), material)


def blades(rng: Generator) -> tuple[Mesh, None]:
    """Long leaves from one root, upright or arching."""
    count = int(rng.integers(12, 60))
    lean = rng.uniform(0.05, rng.uniform(0.3, 1.1), count)
    length = rng.uniform(0.5, 1.0, count)
    base = rng.normal(scale=0.04, size=(count, 3)) * [1, 1, 0]
    width = rng.uniform(0.02, 0.06)
    droop = rng.uniform(0.0, 0.9) * rng.uniform(0.3, 1.0, count)
    along = _heading(rng.uniform(0, 2 * np.pi, count), lean)
    return leaf_mesh(base, along, length, width, droop, blunt=0.5, fold=0.4), None


def stalks(rng: Generator) -> tuple[Mesh, Mesh]:
    """Round or heart-shaped leaves, one on each stalk."""
    count = int(rng.integers(15, 70))
    turn, lean = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.0, 1.2, count)
    tip = _heading(turn, lean) * rng.uniform(0.4, 1.0, (count, 1))
    size = rng.uniform(0.12, 0.3) * rng.uniform(0.6, 1.2, count)
    along = _heading(turn + rng.normal(scale=0.4, size=count), rng.uniform(0.9, 2.0, count))
    droop = rng.uniform(0.1, 0.5, count)
    width = rng.uniform(0.3, 0.5) * size
    leaves = leaf_mesh(tip, along, size, width, droop, blunt=rng.uniform(0.6, 1.1), fold=0.15)
    root = tip * [0.1, 0.1, 0.0]
    return leaves, rods(root, tip, (0.012, 0.006), 5)


def shrub(rng: Generator) -> tuple[Mesh, Mesh]:
    """Branches with leaves all along."""
    stems, each = int(rng.integers(6, 16)), int(rng.integers(12, 30))
    turn, lean = rng.uniform(0, 2 * np.pi, stems), rng.uniform(0.05, 0.9, stems)
    tip = _heading(turn, lean) * rng.uniform(0.6, 1.0, (stems, 1))
    share = rng.uniform(0.25, 1.0, (stems, each, 1))
    base = (share * tip[:, None]).reshape(-1, 3)
    around = np.repeat(turn, each) + rng.uniform(-2.5, 2.5, stems * each)
    along = _heading(around, rng.uniform(0.5, 1.9, stems * each))
    size = rng.uniform(0.07, 0.2) * rng.uniform(0.6, 1.2, stems * each)
    width, droop = rng.uniform(0.15, 0.4) * size, rng.uniform(0.0, 0.5, stems * each)
    leaves = leaf_mesh(base, along, size, width, droop, blunt=rng.uniform(0.6, 1.0), fold=0.25)
    return leaves, rods(tip * [0.05, 0.05, 0.0], tip, (0.018, 0.006), 5)


def fronds(rng: Generator) -> tuple[Mesh, Mesh]:
    """Arching ribs with a row of leaflets on either side."""
    count, pairs = int(rng.integers(8, 22)), int(rng.integers(14, 28))
    turn, lean = rng.uniform(0, 2 * np.pi, count), rng.uniform(0.1, 1.0, count)
    length, droop = rng.uniform(0.6, 1.0, (count, 1, 1)), rng.uniform(0.2, 0.8, (count, 1, 1))
    heading = _heading(turn, lean)[:, None]
    s = np.linspace(0.0, 1.0, pairs + 1)[None, :, None]
    rib = length * (heading * s - droop * [0, 0, 1] * s**2)  # [count,pairs+1,3]
    forward = unit(np.diff(rib, axis=1))
    side = unit(np.cross(forward, [0.0, 0.0, 1.0]))
    angle = rng.uniform(0.2, 0.9)
    taper = np.sin(np.pi * np.linspace(0.12, 0.95, pairs))[None] * rng.uniform(0.15, 0.4)
    size = np.broadcast_to(taper * length[..., 0], (count, pairs))
    both = [
        leaf_mesh(
            rib[:, 1:].reshape(-1, 3), unit(sign * side + angle * forward).reshape(-1, 3),
            size.ravel(), rng.uniform(0.06, 0.14) * size.ravel(), np.full(size.size, 0.3),
            blunt=0.7, fold=0.1, rows=4,
        )
        for sign in (-1, 1)
    ]  # fmt: skip
    ribs = rods(rib[:, :-1].reshape(-1, 3), rib[:, 1:].reshape(-1, 3), 0.005, 4)
    return merged(*both), ribs


def leaf_mesh(
    base: Array,
    along: Array,
    length: Array,
    width: "Array | float",
    droop: Array,
    blunt: float,
    fold: float,
    rows: int = ROWS,
) -> Mesh:
    """Many leaves as one mesh; texture coordinates go across and along each.

    Args:
        base: where they begin [N,3].
        along: where they point to [N,3], unit vectors.
        length: of each [N].
        width: half of it, at the widest.
        droop: how far the tips sink, in lengths [N].
        blunt: below 1 the widest part is near the base.
        fold: how deep they are folded along their middle, in widths.
        rows: points along each.
    """
    s = np.linspace(0.0, 1.0, rows)[None, :, None, None]
    c = np.array([-1.0, 0.0, 1.0])[None, None, :, None]
    away = np.where(np.abs(along[:, 2:]) < 0.95, [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    side = unit(np.cross(along, away))
    up = np.cross(side, along)
    ahead, side, up = (vector[:, None, None] for vector in (along, side, up))
    reach = length[:, None, None, None]
    half = np.broadcast_to(width, length.shape)[:, None, None, None]
    half = half * np.maximum(np.sin(np.pi * s**blunt), 0.08)
    sunk = droop[:, None, None, None] * np.array([0.0, 0.0, -1.0])
    positions = base[:, None, None] + reach * (s * ahead + s**2 * sunk)
    positions = positions + half * (c * side + fold * np.abs(c) * up)  # [N,rows,3,3]
    texcoords = np.concatenate(np.broadcast_arrays((c + 1) / 2, s), axis=-1)
    index = np.arange(len(base) * rows * 3).reshape(len(base), rows, 3)
    a, b, d, e = index[:, :-1, :-1], index[:, :-1, 1:], index[:, 1:, :-1], index[:, 1:, 1:]
    faces = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, e), (a, e, d))])
    return Mesh(
        positions.reshape(-1, 3).astype(np.float32),
        np.broadcast_to(texcoords, (len(base), rows, 3, 2)).reshape(-1, 2).astype(np.float32),
        faces.astype(np.uint32),
        smooth=True,
    )


HABITS: tuple[Callable[[Generator], tuple[Mesh, Mesh | None]], ...] = (
    blades, stalks, shrub, fronds,
)  # fmt: skip


def _heading(turn: Array, lean: Array) -> Array:
    """Unit vectors [N,3] by their direction and how far they lean from upright, radians."""
    return np.stack(
        [np.sin(lean) * np.cos(turn), np.sin(lean) * np.sin(turn), np.cos(lean)], axis=-1
    )


def _green(rng: Generator, brightness: float) -> tuple[float, float, float]:
    """From yellow green to blue green, now and then red."""
    color = np.array([rng.uniform(0.2, 0.75), 1.0, rng.uniform(0.05, 0.45)])
    if rng.random() < 0.1:
        color = color[[1, 0, 2]]
    red, green, blue = np.clip(color * brightness * rng.uniform(0.5, 1.2), 0.01, 0.8).tolist()
    return red, green, blue


def _leaf(rng: Generator) -> Material:
    """Plain, mottled or with a pale middle; matte or with a sheen."""
    color: Color = _green(rng, 0.35)
    if rng.random() < 0.5:
        across = np.abs(np.linspace(-1, 1, 64))[None, :, None]
        pale = np.clip(1 - across / rng.uniform(0.1, 0.6), 0, 1)
        mottled = spectral_noise(rng, rng.uniform(1.0, 2.0))[::4, ::4, None]
        image = np.array(color) * (0.6 + 0.6 * mottled)
        image = image * (1 - pale) + np.array(_green(rng, 0.7)) * pale
        color = Texture(np.clip(image, 0.01, 0.9).astype(np.float32), 1.0, 0.0)
    if rng.random() < 0.5:
        return Matte(color)
    return Plastic(color, float(rng.uniform(0.1, 0.4)), 1.4)
