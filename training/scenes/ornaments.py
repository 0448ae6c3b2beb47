"""Small things that stand on others: candlesticks, bottles, vases, baskets."""

import numpy as np

from training.scenes.description import Glass, Material, Matte, Plastic
from training.scenes.lights import emitter
from training.scenes.materials import (
    painted,
    random_material,
    rough_metal,
    rough_plastic,
    surface_material,
)
from training.scenes.meshes import Mesh
from training.scenes.parts import merged, moved, rods, turned
from training.scenes.places import Floor, Spot
from training.scenes.stage import Stage
from training.scenes.textures import random_color

Generator = np.random.Generator


def candlestick(rng: Generator, stage: Stage, spot: Spot) -> None:
    """A turned stick with a candle, now and then lit."""
    height, foot = rng.uniform(0.12, 0.4), rng.uniform(0.03, 0.06)
    knots = int(rng.integers(3, 9))
    waist = rng.uniform(0.006, 0.02, knots)
    radius = np.concatenate([[0.0, foot, foot], waist, [0.022, 0.022, 0.0]])
    levels = np.concatenate([[0.0, 0.0, 0.01], np.linspace(0.02, height, knots)])
    levels = np.concatenate([levels, [height, height + 0.015, height + 0.015]])
    spot.put(stage, turned(radius, levels, 16), _stick(rng))
    top, thick = height + 0.015, rng.uniform(0.008, 0.016)
    length = rng.uniform(0.05, 0.25)
    candle = turned([0.0, thick, thick, 0.0], [top, top, top + length, top + length], 12)
    spot.put(stage, candle, Matte((0.8, 0.78, 0.7)))
    if rng.random() < 0.15:
        size = float(rng.uniform(0.006, 0.012))
        flame = turned([0.0, size, 0.6 * size, 0.0], np.multiply(size, [0.0, 0.8, 2.0, 3.5]), 8)
        light = emitter(rng, float(rng.uniform(0.01, 0.04) / size**2))
        spot.moved(0.0, 0.0, float(top + length + 0.003)).put(stage, flame, light)


def _stick(rng: Generator) -> Material:
    return rough_metal(rng) if rng.random() < 0.5 else surface_material(rng)


def bottles(rng: Generator, stage: Stage, spot: Spot, width: float, tallest: float) -> None:
    """A row of bottles and jars, some alike, within a width around a spot."""
    x = -width / 2 + rng.uniform(0.02, 0.1)
    limit = min(0.35, tallest)
    shape, material, radius = *_bottle(rng, limit), 0.0
    while True:
        if rng.random() < 0.6 or radius == 0.0:
            shape, material = _bottle(rng, limit)
            radius = float(np.abs(shape.positions[:, 0]).max())
        if x + 2 * radius > width / 2:
            return
        y = float(rng.uniform(-0.03, 0.03))
        spot.moved(float(x + radius), y, 0.0, float(rng.uniform(0, 360))).put(
            stage, shape, material
        )
        x += 2 * radius + rng.exponential(0.04) + 0.004


def _bottle(rng: Generator, tallest: float) -> tuple[Mesh, Material]:
    """Body, shoulder, neck and cap."""
    height = tallest * rng.uniform(0.4, 0.95)
    body = min(0.055, height * rng.uniform(0.15, 0.35))
    neck, shoulder = body * rng.uniform(0.25, 0.95), rng.uniform(0.45, 0.8)
    radius = [0.0, body, body, body, neck, neck, 1.1 * neck, 1.1 * neck, 0.0]
    levels = [0.0, 0.0, 0.05, shoulder, shoulder + 0.12, 0.9, 0.9, 1.0, 1.0]
    return turned(radius, np.multiply(levels, height), 16), _vessel(rng)


def _vessel(rng: Generator) -> Material:
    kind = rng.random()
    if kind < 0.55:
        red, green, blue = random_color(rng).tolist()
        return Plastic((red, green, blue), float(rng.choice([0.0, rng.uniform(0.05, 0.3)])))
    if kind < 0.65:
        return Glass(1.5)
    return painted(rng) if kind < 0.85 else rough_plastic(rng)


def vase(rng: Generator, stage: Stage, spot: Spot) -> None:
    """A turned vessel."""
    height, knots = rng.uniform(0.12, 0.35), 14
    u = np.linspace(0, 1, knots)
    bulge = 0.6 + 0.4 * np.sin(np.pi * u * rng.uniform(0.8, 1.8) + rng.uniform(0, 2))
    radius = height * rng.uniform(0.15, 0.35) * bulge
    profile = np.concatenate([[0.0], radius, 0.9 * radius[::-1][:4], [0.0]])
    levels = height * np.concatenate([[0.0], u, u[::-1][:4], [u[-4]]])
    spot.put(stage, turned(profile, levels, 24), random_material(rng))


def baskets(rng: Generator, stage: Stage, floor: Floor) -> None:
    """Wire and wicker baskets, and grids that stand before the wall."""
    for _ in range(int(rng.integers(1, 4))):
        if rng.random() < 0.6:
            radius = float(rng.uniform(0.12, 0.35))
            spot = floor.free(rng, radius)
            if spot is not None:
                spot.put(stage, _basket(rng, radius), surface_material(rng))
            continue
        width = float(rng.uniform(0.5, 1.6))
        spot = floor.by_wall(rng, width, 0.2)
        if spot is not None:
            spot.put(stage, _grid(rng, width), surface_material(rng))


def _basket(rng: Generator, radius: float) -> Mesh:
    """Upright rods and rings, wider above."""
    ribs, rings = int(rng.integers(16, 40)), int(rng.integers(4, 12))
    height, flare = radius * rng.uniform(0.8, 2.0), rng.uniform(0.6, 0.95)
    wire = rng.uniform(0.002, 0.006)
    turn = np.linspace(0, 2 * np.pi, ribs, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn), 0 * turn], -1) * radius
    up = np.array([0.0, 0.0, height])
    made = [rods(flare * circle, circle + up, wire, 5)]
    for share in np.linspace(0.0, 1.0, rings):
        ring = (flare + (1 - flare) * share) * circle + share * up
        made.append(rods(ring, np.roll(ring, -1, axis=0), wire, 5))
    return moved(merged(*made), [0.0, 0.0, wire])


def _grid(rng: Generator, width: float) -> Mesh:
    """Bars of a radiator or a fire guard."""
    height, count = rng.uniform(0.5, 0.9), int(width / rng.uniform(0.03, 0.09))
    thick = rng.uniform(0.003, 0.012)
    x = np.linspace(-width / 2, width / 2, count)
    foot = np.stack([x, 0 * x + 0.1, 0 * x + 0.08], -1)
    bars = rods(foot, np.add(foot, [0.0, 0.0, height]), thick, 6)
    across = np.linspace(0.1, 0.06 + height, int(rng.integers(2, 9)))
    left = np.stack([0 * across - width / 2, 0 * across + 0.1, across], -1)
    rails = rods(left, np.add(left, [width, 0.0, 0.0]), thick, 6)
    ends = [[-width / 2, 0.1, 0.0], [width / 2, 0.1, 0.0]]
    return merged(bars, rails, rods(ends, np.add(ends, [0.0, 0.0, 0.1]), 1.5 * thick))
