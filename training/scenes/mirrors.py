"""Mirrors that show something: where the camera looks through them, things are put.

What a mirror shows has no AOVs of its own; a denoiser can only find it in the color.
"""

import numpy as np

from training.scenes.description import Material
from training.scenes.furniture import bookcase, carpentry, chest
from training.scenes.materials import mirror, polished_metal
from training.scenes.ornaments import bottles, candlestick
from training.scenes.parts import boxes
from training.scenes.places import Floor, Room, Spot, on_wall
from training.scenes.stage import Stage

Generator = np.random.Generator


def mirrors(rng: Generator, stage: Stage, floor: Floor) -> None:
    """A framed mirror in view, things on a board below it, and things where it looks."""
    inside = floor.inside
    a, b = float(rng.uniform(0.25, 0.9)), float(rng.uniform(0.25, 0.7))
    a, b = min(a, 0.2 * (inside.width + inside.depth)), min(b, 0.3 * inside.height)
    found = floor.wall(rng, 2 * a + 0.1)
    if found is None:
        return
    side, along = found
    eye = stage.camera.origin
    up = float(np.clip(eye[2] + rng.uniform(-0.2, 0.4), b + 0.2, inside.height - b - 0.1))
    spot = on_wall(inside, side, along, up)
    face = mirror(rng) if rng.random() < 0.75 else polished_metal(rng)
    _framed(rng, stage, spot, a, b, face)
    if rng.random() < 0.6:
        board = float(rng.uniform(0.08, 0.2))
        below = spot.moved(0.0, 0.0, -b - 0.08)
        below.put(stage, boxes([-a, 0.0, -0.02], [a, board, 0.0]), carpentry(rng))
        bottles(rng, stage, below.moved(0.0, board / 2 + 0.02, 0.0), 2 * a, 0.3)
        if rng.random() < 0.5:
            candlestick(rng, stage, below.moved(float(rng.uniform(-a, a) * 0.9), board / 2, 0.0))
    wall, at = shown(inside, eye, spot.position, side)
    width = float(rng.uniform(0.8, 1.8))
    least = width / 2 + 0.02
    at = float(np.clip(at, least, inside.length(wall) - least))
    if floor.whole(wall, at, width):
        _opposite(rng, stage, floor, on_wall(inside, wall, at), width)


def _framed(rng: Generator, stage: Stage, spot: Spot, a: float, b: float, face: Material) -> None:
    spot.put(stage, boxes([-a, 0.0, -b], [a, 0.015, b]), face)
    edge, out = float(rng.uniform(0.01, 0.08)), float(rng.uniform(0.02, 0.05))
    low = [(-a - edge, 0.0, -b - edge), (a, 0.0, -b - edge), (-a, 0.0, -b - edge), (-a, 0.0, b)]
    high = [(-a, out, b + edge), (a + edge, out, b + edge), (a, out, -b), (a, out, b + edge)]
    spot.put(stage, boxes(low, high), carpentry(rng))


def shown(
    inside: Room, eye: tuple[float, float, float], mirrored: tuple[float, float, float], side: int
) -> tuple[int, float]:
    """The wall that a mirror's centre shows to an eye, and where along it."""
    ahead = np.subtract(mirrored, eye)[:2]
    ahead[1 if side % 2 == 0 else 0] *= -1
    x, y = mirrored[:2]
    reach = [
        -y / ahead[1] if ahead[1] < 0 else np.inf,
        -x / ahead[0] if ahead[0] < 0 else np.inf,
        (inside.depth - y) / ahead[1] if ahead[1] > 0 else np.inf,
        (inside.width - x) / ahead[0] if ahead[0] > 0 else np.inf,
    ]
    reach[side] = np.inf
    wall = int(np.argmin(reach))
    at = np.array([x, y]) + reach[wall] * ahead
    return wall, float(at[0 if wall % 2 == 0 else 1])


def _opposite(rng: Generator, stage: Stage, floor: Floor, spot: Spot, width: float) -> None:
    """A bookcase, a chest with bottles, or boards with bottles on the wall."""
    depth = 0.3
    clear = floor.clear(spot.moved(0.0, depth / 2, 0.0), width / 2)
    kind, height = rng.random(), min(2.0, 0.85 * floor.inside.height)
    if clear and kind < 0.5:
        bookcase(rng, stage, spot, width, depth, height)
    elif clear and kind < 0.7:
        chest(rng, stage, spot, width, depth, 0.9)
        bottles(rng, stage, spot.moved(0.0, depth / 2, 0.92), width, 0.35)
    else:
        material = carpentry(rng)
        for z in np.arange(0.8, floor.inside.height - 0.5, rng.uniform(0.35, 0.5)).tolist():
            level = spot.moved(0.0, 0.0, z)
            level.put(stage, boxes([-width / 2, 0.0, -0.02], [width / 2, 0.18, 0.0]), material)
            bottles(rng, stage, level.moved(0.0, 0.09, 0.0), width, 0.33)
