"""What covers walls and windows: tiles with grout, panelling, slats, blinds, curtains."""

import numpy as np

from training.scenes.description import Material
from training.scenes.materials import painted, polished, surface_material, wooden
from training.scenes.meshes import Mesh, surface
from training.scenes.parts import boxes, merged, panels
from training.scenes.places import Rectangle, Room, on_wall
from training.scenes.stage import Stage

Generator = np.random.Generator

MOST = 900  # tiles on a wall


def wall_covering(
    rng: Generator, stage: Stage, inside: Room, side: int, material: Material, top: float
) -> None:
    """Tiles, panels or slats on the lower part of a wall, up to a height."""
    length = inside.length(side)
    spot = on_wall(inside, side, length / 2)
    kind = rng.random()
    if kind < 0.4:
        face = material if rng.random() < 0.4 else polished(rng)
        spot.put(stage, _tiles(rng, length, top), face)
        return
    face = material if rng.random() < 0.3 else painted(rng) if rng.random() < 0.6 else wooden(rng)
    spot.put(stage, _panelling(rng, length, top) if kind < 0.75 else _slats(rng, length, top), face)


def _tiles(rng: Generator, length: float, top: float) -> Mesh:
    """Bevelled tiles; the wall is seen in the joints."""
    width = max(rng.uniform(0.08, 0.35), length / 60)
    height = max(width * float(rng.choice([1.0, 1.0, 0.5, 0.33])), width * length * top / MOST)
    joint = rng.uniform(0.002, 0.008)
    rows, columns = max(1, int(top / height)), int(np.ceil(length / width))
    shift = 0.5 * width * rng.integers(0, 2)
    row, column = (axis.ravel() for axis in np.mgrid[:rows, : columns + 1])
    left = -length / 2 + column * width - shift * (row % 2)
    low = np.stack([left, row * height], -1) + joint / 2
    high = np.stack([left + width, (row + 1) * height], -1) - joint / 2
    low[:, 0], high[:, 0] = (np.clip(x[:, 0], -length / 2, length / 2) for x in (low, high))
    kept = high[:, 0] - low[:, 0] > 0.01
    return panels(low[kept], high[kept], rng.uniform(0.004, 0.01), rng.uniform(0.001, 0.006))


def _panelling(rng: Generator, length: float, top: float) -> Mesh:
    """Raised fields in a frame, a skirting board and a rail."""
    columns = max(1, int(length / rng.uniform(0.3, 0.9)))
    rows = 1 if top < 1.4 else int(rng.integers(1, 4))
    gap = rng.uniform(0.04, 0.1)
    x = np.linspace(-length / 2, length / 2, columns + 1)
    z = 0.12 + (top - 0.18) * np.linspace(0, 1, rows + 1)
    left, bottom = (axis.ravel() for axis in np.meshgrid(x[:-1], z[:-1]))
    right, above = (axis.ravel() for axis in np.meshgrid(x[1:], z[1:]))
    low = np.stack([left, bottom], -1) + gap / 2
    high = np.stack([right, above], -1) - gap / 2
    outer = panels(low, high, rng.uniform(0.005, 0.015), rng.uniform(0.004, 0.012))
    inset = np.minimum(0.05, 0.2 * (high - low).min(axis=1, keepdims=True))
    inner = panels(low + inset, high - inset, 0.012, rng.uniform(0.004, 0.02), 0.005)
    skirting = boxes([-length / 2, 0.0, 0.0], [length / 2, 0.02, 0.11])
    rail = boxes([-length / 2, 0.0, top - 0.04], [length / 2, 0.03, top])
    return merged(outer, inner, skirting, rail)


def _slats(rng: Generator, length: float, top: float) -> Mesh:
    """Upright battens or boards, close beside each other."""
    pitch = max(rng.uniform(0.04, 0.16), length / 150)
    left = np.arange(-length / 2, length / 2 - pitch, pitch)
    share = rng.uniform(0.4, 0.97)
    low = np.stack([left, 0 * left], -1)
    high = np.stack([left + share * pitch, 0 * left + top], -1)
    return panels(low, high, rng.uniform(0.008, 0.03), rng.uniform(0.0005, 0.006))


def window_dressing(rng: Generator, stage: Stage, inside: Room, side: int, hole: Rectangle) -> None:
    """Blinds, curtains or both before a window."""
    (left, bottom), (right, top) = hole
    spot = on_wall(inside, side, (left + right) / 2)
    width, kind = right - left, rng.random()
    if kind < 0.55:
        slats = painted(rng) if rng.random() < 0.7 else wooden(rng)
        spot.put(stage, _blinds(rng, width, bottom, top), slats)
    if kind > 0.4:
        cloth = surface_material(rng) if rng.random() < 0.3 else painted(rng, coat=0.1)
        length = inside.length(side)
        # On either side of the window, or drawn across a part of it.
        for sign in (-1, 1):
            reach = width * rng.uniform(0.15, 0.45)
            outer = sign * (width / 2 + 0.1)
            low, high = sorted([outer, outer - sign * reach])
            # By the spot's axis, which may run against the room's.
            limit = min((left + right) / 2, length - (left + right) / 2)
            low, high = max(low, -limit), min(high, limit)
            above = min(top + 0.12, inside.height - 0.02)
            below = float(rng.choice([0.02, max(0.02, bottom - 0.1)]))
            spot.put(stage, _curtain(rng, low, high, below, above), cloth)


def _blinds(rng: Generator, width: float, bottom: float, top: float) -> Mesh:
    """Tilted slats on cords, let down all or part of the way."""
    slat = max(rng.uniform(0.025, 0.08), (top - bottom) / 60)
    pitch = slat * rng.uniform(0.7, 1.1)
    lowest = bottom + (top - bottom) * float(rng.choice([0.0, rng.uniform(0.0, 0.6)]))
    z = np.arange(top - pitch, lowest, -pitch)
    a, middle = width / 2, 0.05
    low = np.stack([0 * z - a, 0 * z + middle - slat / 2, z - 0.001], -1)
    high = np.stack([0 * z + a, 0 * z + middle + slat / 2, z + 0.001], -1)
    tilt = float(rng.uniform(-1.2, 1.2)) + rng.normal(scale=0.03, size=len(z))
    cords = np.array([-0.7 * a, 0.7 * a])
    strings = boxes(
        np.stack([cords - 0.001, 0 * cords + middle, 0 * cords + lowest], -1),
        np.stack([cords + 0.001, 0 * cords + middle + 0.002, 0 * cords + top], -1),
    )
    head = boxes([-a, 0.02, top - 0.02], [a, 0.08, top + 0.02])
    return merged(boxes(low, high, tilt), strings, head)


def _curtain(rng: Generator, left: float, right: float, bottom: float, top: float) -> Mesh:
    """A sheet with folds, which widen downwards."""
    width = max(right - left, 0.05)
    columns, rows = int(np.clip(width * 160, 24, 160)), 8
    x = np.linspace(0.0, width, columns)[None]
    down = np.linspace(0.0, 1.0, rows)[:, None]
    pitch = rng.uniform(0.06, 0.16)
    bend = 0.6 * np.sin(2 * np.pi * x / rng.uniform(0.3, 0.8) + rng.uniform(0, 6))
    phase = 2 * np.pi * x / pitch + bend + rng.normal(scale=0.5) * down
    depth = rng.uniform(0.015, 0.04) * (0.6 + 0.4 * down)
    y = 0.12 + depth * np.sin(phase) + 0.3 * depth * np.sin(0.5 * phase + 1)
    sheet = surface(left + x + 0 * down, y, top - (top - bottom) * down + 0 * x)
    sheet.texcoords[:] *= [width, top - bottom]
    return sheet
