"""Rooms: light through windows and doors, small lamps, furniture, clutter, pictures, mirrors."""

from collections.abc import Callable

import numpy as np

from training.scenes.coverings import wall_covering, window_dressing
from training.scenes.description import Camera, Pane, Pose
from training.scenes.foliage import plants
from training.scenes.furniture import bookcases, chairs, chests, lamp_stands, staircases
from training.scenes.lights import emitter, environment
from training.scenes.materials import (
    foliage,
    matte,
    mirror,
    polished,
    rough_metal,
    surface_material,
)
from training.scenes.meshes import leaf_tuft
from training.scenes.mirrors import mirrors
from training.scenes.ornaments import baskets
from training.scenes.piles import place_object
from training.scenes.places import Floor, Rectangle, Room
from training.scenes.stage import Stage

Generator = np.random.Generator

THICKNESS = 0.1


Furnish = Callable[[Generator, Stage, Floor], None]
KINDS: tuple[Furnish, ...] = (
    mirrors, chests, bookcases, plants, staircases, chairs, lamp_stands, baskets,
)  # fmt: skip
OFTEN = 0.4  # how many rooms have one of the kinds


def room(rng: Generator) -> Stage:
    """A furnished room in one of four kinds of light."""
    inside = Room(*rng.uniform([3, 3, 2.3], [8, 8, 3.8]).tolist())
    stage = Stage(_camera(rng, inside))
    daylight = rng.random() < 0.6
    openings = rng.random(4) < 0.55 if daylight else np.zeros(4, bool)
    if daylight and not openings.any():
        openings[rng.integers(4)] = True
    holes = _shell(rng, stage, inside, openings)
    if daylight:
        stage.environment = environment(rng, float(rng.uniform(2, 8)))
    if not daylight or rng.random() < 0.7:
        _lamps(rng, stage, inside)
    floor = Floor(inside, stage.camera, holes)
    for furnish in KINDS:
        if rng.random() < OFTEN:
            furnish(rng, stage, floor)
    _furniture(rng, stage, floor)
    _pictures(rng, stage, inside)
    return stage


def _shell(
    rng: Generator, stage: Stage, inside: Room, openings: "np.ndarray"
) -> dict[int, Rectangle]:
    """Floor, ceiling and four walls; gives the windows and doors in them, by side."""
    holes = {}
    w, d, h, t = inside.width, inside.depth, inside.height, THICKNESS
    ground = polished(rng) if rng.random() < 0.2 else surface_material(rng)
    stage.box((-t, -t, -t), (w + t, d + t, 0), ground)
    stage.box((-t, -t, h), (w + t, d + t, h + t), matte(rng))
    wall = matte(rng) if rng.random() < 0.7 else surface_material(rng)
    for side in range(4):
        material = wall if rng.random() < 0.75 else surface_material(rng)
        length = w if side % 2 == 0 else d
        hole = _hole(rng, length, h) if openings[side] else None
        for low, high in _around(hole, length, h):
            stage.box(*_on_wall(side, inside, low, high), material)
        if hole is not None:
            holes[side] = hole
            _window(rng, stage, inside, side, hole)
        # A wall with a door has nothing on it, one with a window only below that.
        top = hole[0][1] if hole is not None else h
        if top > 0.4 and rng.random() < 0.5 * OFTEN:
            wall_covering(rng, stage, inside, side, material, top * rng.uniform(0.4, 1.0))
    return holes


def _hole(rng: Generator, length: float, height: float) -> Rectangle:
    """A window, or a door in one of four."""
    width = rng.uniform(0.25, 0.85) * length
    left = rng.uniform(0.05, 0.95) * (length - width)
    if rng.random() < 0.25:
        return (left, 0.0), (left + min(width, 1.2), min(2.1, 0.9 * height))
    sill = rng.uniform(0.2, 0.45) * height
    return (left, sill), (left + width, rng.uniform(0.65, 0.95) * height)


def _around(hole: Rectangle | None, length: float, height: float) -> list[Rectangle]:
    """The parts of a wall that a hole leaves."""
    if hole is None:
        return [((0.0, 0.0), (length, height))]
    (left, bottom), (right, top) = hole
    parts = [((0.0, 0.0), (left, height)), ((right, 0.0), (length, height))]
    parts += [((left, 0.0), (right, bottom)), ((left, top), (right, height))]
    return [part for part in parts if part[1][0] > part[0][0] and part[1][1] > part[0][1]]


def _on_wall(
    side: int, inside: Room, low: tuple[float, float], high: tuple[float, float], out: float = 1.0
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Corners of a slab on a wall; `out` of its thickness lies outside the room."""
    near, far = -THICKNESS * out, THICKNESS * (1 - out)
    if side % 2 == 0:
        y = (near, far) if side == 0 else (inside.depth - far, inside.depth - near)
        return (low[0], y[0], low[1]), (high[0], y[1], high[1])
    x = (near, far) if side == 1 else (inside.width - far, inside.width - near)
    return (x[0], low[0], low[1]), (x[1], high[0], high[1])


def _window(rng: Generator, stage: Stage, inside: Room, side: int, hole: Rectangle) -> None:
    """Bars, and a pane in some."""
    (left, bottom), (right, top) = hole
    bar, material = rng.uniform(0.02, 0.05), surface_material(rng)
    for x in np.linspace(left, right, rng.integers(2, 6)):
        low, high = (float(x) - bar, bottom), (float(x) + bar, top)
        stage.box(*_on_wall(side, inside, low, high, 0.6), material)
    if rng.random() < 0.4:
        stage.box(*_on_wall(side, inside, (left, bottom), (right, top), 0.99), Pane())
    if bottom > 0 and rng.random() < OFTEN:
        window_dressing(rng, stage, inside, side, hole)


def _lamps(rng: Generator, stage: Stage, inside: Room) -> None:
    """Ceiling panels, bulbs, and lamps that light a wall or the ceiling alone."""
    for _ in range(int(rng.integers(1, 5))):
        x, y = rng.uniform(0.15, 0.85) * inside.width, rng.uniform(0.15, 0.85) * inside.depth
        kind, size = rng.random(), rng.uniform(0.04, 0.4)
        light = emitter(rng, float(rng.uniform(0.3, 3.0) / size**2))
        if kind < 0.45:  # a panel below the ceiling
            at = (float(x), float(y), inside.height - 0.02)
            stage.add("rectangle", light, Pose(at, (1.0, 0.0, 0.0), 180.0, (size, size, 1.0)))
        elif kind < 0.75:  # a bulb
            at = (float(x), float(y), float(rng.uniform(0.4, 0.9) * inside.height))
            stage.add("sphere", light, Pose(at, scale=(size * 0.3,) * 3))
        else:  # an uplight in a cup: the room sees only what the ceiling returns
            at = (float(x), float(y), float(rng.uniform(0.5, 0.7) * inside.height))
            stage.add("disk", light, Pose(at, scale=(size, size, 1.0)))
            cup = Pose(at, scale=(size * 1.1,) * 3)
            stage.add("cylinder", surface_material(rng), cup)


def _furniture(rng: Generator, stage: Stage, floor: Floor) -> None:
    """Tables, shelves, blocks and stairs, with clutter on them and on the floor."""
    builders = (_table, _shelf, _block, _stairs)
    for _ in range(int(rng.integers(1, 6))):
        spot = floor.free(rng, float(rng.uniform(0.4, 0.8)))
        if spot is not None:
            x, y, _z = spot.position
            builders[rng.integers(len(builders))](rng, stage, x, y)
    for _ in range(int(rng.integers(0, 10))):
        size = float(np.clip(rng.exponential(0.15), 0.04, 0.5))
        spot = floor.free(rng, size)
        if spot is not None:
            x, y, _z = spot.position
            place_object(rng, stage, (x, y, size), size)
    if rng.random() < 0.15:
        spot = floor.free(rng, 0.3)
        if spot is not None:
            x, y, _z = spot.position
            size = float(rng.uniform(0.3, 0.8))
            plant = Pose((x, y, size), scale=(size,) * 3)
            stage.add(leaf_tuft(rng), foliage(rng) if rng.random() < 0.5 else matte(rng), plant)


def _clutter(
    rng: Generator, stage: Stage, low: tuple[float, float], high: tuple[float, float], z: float
) -> None:
    for _ in range(int(rng.integers(0, 6))):
        size = float(np.clip(rng.exponential(0.08), 0.03, 0.25))
        x, y = rng.uniform(low, high)
        place_object(rng, stage, (float(x), float(y), z + size), size)


def _table(rng: Generator, stage: Stage, x: float, y: float) -> None:
    a, b = rng.uniform(0.3, 0.9, 2)
    height, leg = rng.uniform(0.4, 0.9), rng.uniform(0.02, 0.05)
    top, legs = surface_material(rng), surface_material(rng)
    stage.box((x - a, y - b, height - 0.04), (x + a, y + b, height), top)
    for i in (-1, 1):
        for j in (-1, 1):
            u, v = x + i * (a - 0.08), y + j * (b - 0.08)
            stage.box((u - leg, v - leg, 0), (u + leg, v + leg, height - 0.04), legs)
    _clutter(rng, stage, (x - a, y - b), (x + a, y + b), float(height))


def _shelf(rng: Generator, stage: Stage, x: float, y: float) -> None:
    a, b, levels = rng.uniform(0.3, 0.8), 0.2, int(rng.integers(2, 5))
    material, gap = surface_material(rng), rng.uniform(0.3, 0.5)
    for side in (-a, a):
        stage.box((x + side - 0.02, y - b, 0), (x + side + 0.02, y + b, levels * gap), material)
    for level in range(levels + 1):
        z = float(level * gap)
        stage.box((x - a, y - b, z - 0.015), (x + a, y + b, z + 0.015), material)
        _clutter(rng, stage, (x - a, y - b), (x + a, y + b), z + 0.015)


def _block(rng: Generator, stage: Stage, x: float, y: float) -> None:
    a, b, c = rng.uniform([0.2, 0.2, 0.2], [0.9, 0.9, 1.8])
    stage.box((x - a, y - b, 0), (x + a, y + b, float(c)), surface_material(rng))
    _clutter(rng, stage, (x - a, y - b), (x + a, y + b), float(c))


def _stairs(rng: Generator, stage: Stage, x: float, y: float) -> None:
    steps, run, rise = int(rng.integers(3, 9)), rng.uniform(0.15, 0.3), rng.uniform(0.1, 0.2)
    width, material = rng.uniform(0.3, 0.8), surface_material(rng)
    open_steps = rng.random() < 0.5
    for step in range(steps):
        low = (step + 1) * rise - 0.05 if open_steps else 0.0
        corner = (x + step * run, y - width, float(low))
        stage.box(corner, (x + (step + 1) * run, y + width, (step + 1) * rise), material)


def _pictures(rng: Generator, stage: Stage, inside: Room) -> None:
    """Framed pictures, and mirrors."""
    for _ in range(int(rng.integers(0, 5))):
        side = int(rng.integers(4))
        length = inside.width if side % 2 == 0 else inside.depth
        a, b = rng.uniform(0.1, 0.7, 2)
        along, up = rng.uniform(0.2, 0.8) * length, rng.uniform(0.4, 0.75) * inside.height
        face = mirror(rng) if rng.random() < 0.3 else matte(rng)
        frame = rough_metal(rng) if rng.random() < 0.3 else surface_material(rng)
        for grow, depth, material in ((0.04, 0.2, frame), (0.0, 0.25, face)):
            low, high = (along - a - grow, up - b - grow), (along + a + grow, up + b + grow)
            stage.box(*_on_wall(side, inside, low, high, 1 - depth), material)


def _camera(rng: Generator, inside: Room) -> Camera:
    """From near one end towards the other."""
    room_size = np.array([inside.width, inside.depth, inside.height])
    origin = rng.uniform([0.12, 0.12, 0.3], [0.88, 0.3, 0.75]) * room_size
    target = rng.uniform([0.1, 0.6, 0.1], [0.9, 1.0, 0.7]) * room_size
    aperture = rng.uniform(0.005, 0.04) if rng.random() < 0.2 else 0.0
    return Camera(
        tuple(origin.tolist()), tuple(target.tolist()), float(rng.uniform(40, 95)),
        float(aperture), float(np.linalg.norm(origin - target) * rng.uniform(0.3, 1.0)),
        tuple(rng.normal(scale=0.01, size=3).tolist()),
        tuple(rng.normal(scale=0.03, size=3).tolist()),
    )  # fmt: skip
