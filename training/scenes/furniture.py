"""Furniture of many small parts of one albedo: joints, handles, spindles, steps and books.

What tells the parts apart is their normals and the shadows between them.
"""

import numpy as np

from training.scenes.description import Material, Pane
from training.scenes.lights import emitter
from training.scenes.materials import painted, rough_metal, surface_material, wooden
from training.scenes.meshes import Mesh
from training.scenes.ornaments import bottles, candlestick, vase
from training.scenes.parts import boxes, merged, moved, panels, rods, turned
from training.scenes.places import Floor, Spot
from training.scenes.stage import Stage

Generator = np.random.Generator

BOARD = 0.02  # thickness of boards, metres


def carpentry(rng: Generator) -> Material:
    """Painted or wooden, now and then anything."""
    kind = rng.random()
    return painted(rng) if kind < 0.45 else wooden(rng) if kind < 0.85 else surface_material(rng)


def chests(rng: Generator, stage: Stage, floor: Floor) -> None:
    """One or two chests of drawers or rows of doors by the walls."""
    for _ in range(int(rng.integers(1, 3))):
        width, depth = float(rng.uniform(0.5, 2.2)), float(rng.uniform(0.35, 0.6))
        spot = floor.by_wall(rng, width, depth)
        if spot is not None:
            tall = min(2.2, 0.9 * floor.inside.height)
            height = float(rng.choice([rng.uniform(0.5, 1.1), rng.uniform(1.2, tall)]))
            chest(rng, stage, spot, width, depth, height)
            if height < 1.2:
                ornaments(rng, stage, spot.moved(0.0, depth / 2, height), width)


def chest(
    rng: Generator, stage: Stage, spot: Spot, width: float, depth: float, height: float
) -> None:
    """Drawers or doors with narrow joints and handles, by a wall."""
    material, foot = carpentry(rng), float(rng.uniform(0.02, 0.12))
    body = boxes([-width / 2, 0.0, foot], [width / 2, depth - BOARD, height])
    top = boxes([-width / 2 - 0.01, 0.0, height], [width / 2 + 0.01, depth + 0.01, height + BOARD])
    low, high = _fronts(rng, width, foot, height)
    bevel = float(rng.choice([0.001, rng.uniform(0.004, 0.02)]))
    fronts = [panels(low, high, BOARD, bevel, depth - BOARD)]
    if rng.random() < 0.5:  # a raised field on each
        inset = np.minimum(0.05, 0.2 * (high - low).min(axis=1, keepdims=True))
        fronts.append(panels(low + inset, high - inset, 0.008, 0.006, depth))
    feet = width / 2 - 0.05
    legs = rods(
        [(x, y, 0.0) for x in (-feet, feet) for y in (0.05, depth - 0.06)],
        [(x, y, foot) for x in (-feet, feet) for y in (0.05, depth - 0.06)], 0.02,
    )  # fmt: skip
    spot.put(stage, merged(body, top, legs, *fronts), material)
    handle = material if rng.random() < 0.4 else rough_metal(rng)
    spot.put(stage, _handles(rng, low, high, depth), handle)


def _fronts(
    rng: Generator, width: float, foot: float, height: float
) -> tuple["np.ndarray", "np.ndarray"]:
    """Corners [N,2] in x and z of what fills the front, with joints between."""
    columns = int(rng.integers(1, max(2, round(width / 0.4)) + 1))
    rows = int(rng.integers(1, max(2, round((height - foot) / 0.22)) + 1))
    joint = float(rng.uniform(0.002, 0.008))
    x = np.linspace(-width / 2, width / 2, columns + 1)
    z = foot + (height - foot) * np.linspace(0, 1, rows + 1) ** float(rng.choice([1.0, 0.8]))
    left, bottom = np.meshgrid(x[:-1], z[:-1])
    right, top = np.meshgrid(x[1:], z[1:])
    low = np.stack([left.ravel(), bottom.ravel()], -1) + joint
    return low, np.stack([right.ravel(), top.ravel()], -1) - joint


def _handles(rng: Generator, low: "np.ndarray", high: "np.ndarray", depth: float) -> Mesh:
    """A knob or a bar on each front."""
    middle, size = (low + high) / 2, high - low
    at = np.stack([middle[:, 0], np.full(len(middle), depth), middle[:, 1]], -1)
    doors = size[:, 1] > 1.3 * size[:, 0]
    at[doors, 0] += 0.35 * size[doors, 0]
    out = np.array([0.0, 0.03, 0.0])
    if rng.random() < 0.5:
        stem = rods(at, at + out, 0.006)
        return merged(stem, rods(at + 0.6 * out, at + out, (0.014, 0.01), 10))
    reach = np.minimum(0.3 * size, rng.uniform(0.04, 0.15))
    side = np.where(doors[:, None], [[0.0, 0.0, 1.0]], [[1.0, 0.0, 0.0]])
    side = side * np.where(doors, reach[:, 1], reach[:, 0])[:, None]
    bar = rods(at + out - side, at + out + side, 0.006)
    feet = [rods(at + sign * 0.8 * side, at + out + sign * 0.8 * side, 0.005) for sign in (-1, 1)]
    return merged(bar, *feet)


def bookcases(rng: Generator, stage: Stage, floor: Floor) -> None:
    """A bookcase or a glass cabinet by a wall."""
    width, depth = float(rng.uniform(0.6, 2.0)), float(rng.uniform(0.22, 0.4))
    spot = floor.by_wall(rng, width, depth)
    if spot is not None:
        height = float(rng.uniform(0.9, min(2.2, 0.9 * floor.inside.height)))
        bookcase(rng, stage, spot, width, depth, height, glazed=rng.random() < 0.4)


def bookcase(
    rng: Generator, stage: Stage, spot: Spot, width: float, depth: float, height: float,
    glazed: bool = False,
) -> None:  # fmt: skip
    """Boards with books, bottles and vases on them; behind sliding panes if glazed."""
    a, levels = width / 2, max(2, round(height / rng.uniform(0.28, 0.42)))
    heights = np.linspace(0.06, height - BOARD, levels + 1)
    low, high = (
        [(-a, 0.0, 0.0), (a - BOARD, 0.0, 0.0)],
        [(-a + BOARD, depth, height), (a, depth, height)],
    )
    for z in heights:
        low.append((-a, 0.0, float(z)))
        high.append((a, depth, float(z) + BOARD))
    if rng.random() < 0.6:  # a back
        low.append((-a, 0.0, 0.0))
        high.append((a, 0.006, height))
    spot.put(stage, boxes(low, high), carpentry(rng))
    colors = [painted(rng) for _ in range(int(rng.integers(2, 6)))]
    shelved: list[list[Mesh]] = [[] for _ in colors]
    for z, above in zip(heights[:-1] + BOARD, heights[1:], strict=True):
        kind, gap = rng.random(), float(above - z) - 0.02
        if kind < 0.6:
            for index, mesh in _books(rng, a - 1.5 * BOARD, depth, float(z), gap, len(colors)):
                shelved[index].append(mesh)
        elif kind < 0.9:
            bottles(rng, stage, spot.moved(0.0, depth / 2, float(z)), width - 0.1, gap)
    for color, meshes in zip(colors, shelved, strict=True):
        if meshes:
            spot.put(stage, merged(*meshes), color)
    if glazed:
        right = float(rng.choice([0.0, a]))  # one leaf may be open
        spot.put(stage, boxes([-a, depth, 0.02], [right, depth + 0.004, height - 0.02]), Pane())


def _books(
    rng: Generator, a: float, depth: float, z: float, gap: float, colors: int
) -> list[tuple[int, Mesh]]:
    """Upright books from -a on, by which color each has."""
    x, low, high, color = -a, [], [], []
    until = a * rng.uniform(0.2, 1.0)
    while x < until:
        thick, tall = rng.uniform(0.012, 0.05), gap * rng.uniform(0.6, 0.98)
        if rng.random() < 0.06:
            x += rng.uniform(0.02, 0.15)  # a gap
        if x + thick > a:
            break
        low.append((x, 0.01, z))
        high.append((x + thick - 0.001, depth * rng.uniform(0.6, 0.95), z + tall))
        color.append(int(rng.integers(colors)))
        x += thick
    chosen = np.array(color)
    corners = np.array(low).reshape(-1, 3), np.array(high).reshape(-1, 3)
    found = sorted(set(color))
    return [(one, boxes(corners[0][chosen == one], corners[1][chosen == one])) for one in found]


def chairs(rng: Generator, stage: Stage, floor: Floor) -> None:
    """Chairs of one make, whose backs have spindles."""
    material, count = carpentry(rng), int(rng.integers(1, 4))
    made = chair(rng)
    for _ in range(count):
        spot = floor.free(rng, 0.35)
        if spot is not None:
            spot.put(stage, made, material)


def chair(rng: Generator) -> Mesh:
    """Seat, legs, spindles and rails, all turned."""
    a, seat, back = rng.uniform(0.18, 0.24), rng.uniform(0.4, 0.5), rng.uniform(0.8, 1.15)
    corners = np.array([(-a, -a), (a, -a), (-a, a), (a, a)])
    splay = rng.uniform(0.9, 1.15)
    feet = np.concatenate([corners * splay, np.zeros((4, 1))], axis=1)
    tops = np.concatenate([corners * 0.85, np.full((4, 1), seat)], axis=1)
    legs = rods(feet, tops, (0.014, 0.02), 8)
    lean = rng.uniform(0.0, 0.12)
    x = np.linspace(-0.85 * a, 0.85 * a, int(rng.integers(4, 11)))
    base = np.stack([x, np.full_like(x, -0.85 * a), np.full_like(x, seat)], -1)
    head = base + np.array([0.0, -lean, back - seat])
    spindles = rods(base, head, rng.uniform(0.005, 0.011), 7)
    ends = rods(base[[0, -1]], head[[0, -1]] + [0, 0, 0.03], 0.016, 8)
    rail = boxes(head[0] - [0.02, 0.012, 0.0], head[-1] + [0.02, 0.012, 0.06])
    stretcher = rods((0.4 * feet + 0.6 * tops)[[0, 2]], (0.4 * feet + 0.6 * tops)[[1, 3]], 0.01)
    plate = boxes([-1.05 * a, -a, seat], [1.05 * a, 1.05 * a, seat + 0.03])
    return merged(legs, spindles, ends, rail, stretcher, plate)


def staircases(rng: Generator, stage: Stage, floor: Floor) -> None:
    """Wooden steps along a wall, with balusters and a handrail."""
    rise, run, width = rng.uniform(0.15, 0.2), rng.uniform(0.22, 0.3), rng.uniform(0.7, 1.1)
    steps = int(rng.integers(4, 13))
    steps = max(3, min(steps, int(0.8 * floor.inside.height / rise)))
    spot = floor.by_wall(rng, steps * run, float(width))
    if spot is None:
        return
    left = -steps * run / 2
    index = np.arange(steps)
    x, z = left + index * run, (index + 1) * rise
    none = np.zeros(steps)
    nosing, thick = rng.uniform(0.0, 0.03), rng.uniform(0.02, 0.04)
    treads = boxes(
        np.stack([x - nosing, none, z - thick], -1),
        np.stack([x + run, none + width, z], -1),
    )
    spot.put(stage, treads, wooden(rng))
    paint = painted(rng)
    if rng.random() < 0.7:  # risers, and all below them
        spot.put(
            stage,
            boxes(
                np.stack([x, none, none], -1),
                np.stack([x + run, none + width - 0.01, z - thick], -1),
            ),
            paint if rng.random() < 0.6 else wooden(rng),
        )
    per_step = int(rng.integers(1, 4))
    along = np.arange(steps * per_step)
    bx, bz = left + (along + 0.5) * run / per_step, (along // per_step + 1) * rise
    foot = np.stack([bx, np.full_like(bx, width - 0.05), bz], -1)
    head = foot.copy()
    head[:, 2] = (bx - left) / run * rise + rise / 2 + 0.85
    head[:, 2] = np.minimum(head[:, 2], floor.inside.height - 0.05)
    spot.put(stage, rods(foot, head, rng.uniform(0.008, 0.018), 8), paint)
    spot.put(stage, rods([head[0]], [head[-1]], 0.03, 10), wooden(rng))


def lamp_stands(rng: Generator, stage: Stage, floor: Floor) -> None:
    """Standing lamps: small, bright, with hard edges."""
    for _ in range(int(rng.integers(1, 3))):
        spot = floor.free(rng, 0.25)
        if spot is not None:
            lamp_stand(rng, stage, spot, float(rng.uniform(1.0, 0.75 * floor.inside.height)))


def lamp_stand(rng: Generator, stage: Stage, spot: Spot, height: float) -> None:
    """A foot, a pole, and a glowing shade or a few bare bulbs."""
    pole = rods([[0, 0, 0.02]], [[0, 0, height]], 0.012, 8)
    foot = turned([0.0, 0.14, 0.13, 0.012, 0.0], [0.0, 0.0, 0.02, 0.03, 0.03])
    metal = rough_metal(rng)
    if rng.random() < 0.5:
        spot.put(stage, merged(pole, foot), metal)
        low, high = rng.uniform(0.1, 0.2), rng.uniform(0.06, 0.14)
        top = height + rng.uniform(0.12, 0.25)
        shade = turned([low, high], [height - 0.02, top], 16)
        area = np.pi * (low + high) * (top - height)
        spot.put(stage, shade, emitter(rng, float(rng.uniform(0.5, 2.0) / area)))
        return
    count = int(rng.integers(1, 5))
    turn = rng.uniform(0, 6) + np.arange(count) * 2 * np.pi / count
    tips = np.stack([0.15 * np.cos(turn), 0.15 * np.sin(turn), 0 * turn + height + 0.1], -1)
    arms = rods(np.tile([[0.0, 0.0, height - 0.01]], (count, 1)), tips, 0.008)
    spot.put(stage, merged(pole, foot, arms), metal)
    radius = float(rng.uniform(0.015, 0.05))
    light = emitter(rng, float(rng.uniform(0.05, 0.3) / count / radius**2))
    # One light of many parts: renderers choose between lights, and more of them are more noise.
    spot.put(stage, moved(bulb(radius), *np.add(tips, [0.0, 0.0, 0.8 * radius])), light)


def bulb(radius: float) -> Mesh:
    """A small ball."""
    low = np.linspace(-np.pi / 2, np.pi / 2, 9)
    return turned(radius * np.cos(low), radius * np.sin(low), 12)


def ornaments(rng: Generator, stage: Stage, spot: Spot, width: float) -> None:
    """What stands on a chest or a mantelpiece: candlesticks, vases, bottles, small lamps."""
    for _ in range(int(rng.integers(1, 4))):
        kind, x = rng.random(), rng.uniform(-0.4, 0.4) * width
        here = spot.moved(float(x), 0.0, BOARD)
        if kind < 0.4:
            candlestick(rng, stage, here)
        elif kind < 0.65:
            vase(rng, stage, here)
        elif kind < 0.9:
            bottles(rng, stage, here, 0.3, 0.4)
        else:
            radius = float(rng.uniform(0.015, 0.04))
            stem = rods([[0, 0, 0]], [[0, 0, 0.3]], 0.012, 8)
            here.put(stage, stem, rough_metal(rng))
            light = emitter(rng, float(rng.uniform(0.03, 0.15) / radius**2))
            here.moved(0.0, 0.0, 0.3 + radius).put(stage, bulb(radius), light)
