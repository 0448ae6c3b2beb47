"""Where things stand in a room: by its walls or free, in view, not in each other."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training.scenes.description import Camera, Material, Pose, Vector
from training.scenes.meshes import Mesh
from training.scenes.stage import Stage

Generator = np.random.Generator

Rectangle = tuple[tuple[float, float], tuple[float, float]]  # (along, up) of two corners

TRIES = 16
CLEARANCE = 0.6  # around the camera, metres
THINNEST = 1e-4  # half of what a flat mesh is scaled to


@dataclass(frozen=True)
class Room:
    """A box with its floor at z = 0, width along x, depth along y, metres.

    Its sides are 0 at y = 0, 1 at x = 0, 2 at the far y and 3 at the far x.
    """

    width: float
    depth: float
    height: float

    def length(self, side: int) -> float:
        """How long a wall is."""
        return self.width if side % 2 == 0 else self.depth


@dataclass(frozen=True)
class Spot:
    """A place with axes of its own: x along the wall behind it, y into the room, z up.

    Attributes:
        position: its origin in the room.
        turn: degrees around z.
    """

    position: Vector
    turn: float = 0.0

    def point(self, x: float, y: float, z: float) -> Vector:
        """A point of the room, by these axes."""
        sine, cosine = np.sin(np.radians(self.turn)), np.cos(np.radians(self.turn))
        a, b, c = self.position
        return float(a + cosine * x - sine * y), float(b + sine * x + cosine * y), float(c + z)

    def moved(self, x: float, y: float, z: float, turn: float = 0.0) -> "Spot":
        """A spot beside this one."""
        return Spot(self.point(x, y, z), self.turn + turn)

    def put(self, stage: Stage, mesh: Mesh, material: Material) -> None:
        """Place a mesh in metres, by these axes."""
        low, high = mesh.positions.min(axis=0), mesh.positions.max(axis=0)
        centre, half = (low + high) / 2, np.maximum((high - low) / 2, THINNEST)
        fitted = ((mesh.positions - centre) / half).astype(np.float32)
        x, y, z = centre.tolist()
        a, b, c = half.tolist()
        pose = Pose(self.point(x, y, z), angle=float(self.turn), scale=(a, b, c))
        stage.add(Mesh(fitted, mesh.texcoords, mesh.faces, mesh.smooth), material, pose)


def on_wall(inside: Room, side: int, along: float, up: float = 0.0) -> Spot:
    """A spot on a wall; `along` is x or y of the room."""
    if side % 2 == 0:
        return Spot((along, 0.0 if side == 0 else inside.depth, up), 0.0 if side == 0 else 180.0)
    return Spot((0.0 if side == 1 else inside.width, along, up), -90.0 if side == 1 else 90.0)


class Floor:
    """The floor of a room, of which more and more is taken, and the walls around it.

    Attributes:
        inside: the room.
        camera: who looks at it.
        holes: the windows and doors, by side.
    """

    def __init__(
        self, inside: Room, camera: Camera, holes: Mapping[int, Rectangle] | None = None
    ) -> None:
        self.inside, self.camera, self.holes = inside, camera, holes or {}
        x, y, _ = camera.origin
        self.taken = [(x, y, CLEARANCE)]

    def by_wall(self, rng: Generator, width: float, depth: float) -> Spot | None:
        """A spot in view with so much room along a wall, or None; then it is taken."""
        for _ in range(TRIES):
            side = int(rng.choice([1, 2, 3], p=[0.25, 0.5, 0.25]))
            length = self.inside.length(side)
            if length < width + 0.1:
                continue
            spot = on_wall(self.inside, side, float(rng.uniform(width / 2, length - width / 2)))
            if self.take(spot.moved(0.0, depth / 2, 0.0), max(width, depth) / 2):
                return spot
        return None

    def free(self, rng: Generator, radius: float) -> Spot | None:
        """A spot in view with so much room around it, turned at random, or None."""
        sides = np.array([self.inside.width, self.inside.depth])
        for _ in range(TRIES):
            if (sides < 2 * radius).any():
                return None
            x, y = rng.uniform(radius, sides - radius).tolist()
            spot = Spot((x, y, 0.0), float(rng.uniform(0, 360)))
            if self.take(spot, radius):
                return spot
        return None

    def wall(self, rng: Generator, width: float) -> tuple[int, float] | None:
        """A side and where along it a wall without a hole is in view, so wide, or None."""
        for _ in range(TRIES):
            side = int(rng.choice([1, 2, 3], p=[0.2, 0.6, 0.2]))
            length = self.inside.length(side)
            along = float(rng.uniform(width / 2, max(width / 2, length - width / 2)))
            x, y, _z = on_wall(self.inside, side, along).position
            if self.sees(x, y) and self.whole(side, along, width):
                return side, along
        return None

    def whole(self, side: int, along: float, width: float) -> bool:
        """Whether a wall goes on so far, without a window or a door."""
        if along < width / 2 or along + width / 2 > self.inside.length(side):
            return False
        if side not in self.holes:
            return True
        (left, _), (right, _) = self.holes[side]
        return along + width / 2 < left or right < along - width / 2

    def take(self, spot: Spot, radius: float) -> bool:
        """Take a place, if it is in view and nothing is there."""
        x, y, _ = spot.position
        if not self.sees(x, y) or not self.clear(spot, radius):
            return False
        self.taken.append((x, y, radius))
        return True

    def clear(self, spot: Spot, radius: float) -> bool:
        """Whether nothing is there yet; the camera is."""
        x, y, _ = spot.position
        away = [np.hypot(x - a, y - b) - 0.9 * (radius + other) for a, b, other in self.taken]
        return bool(min(away) > 0)

    def sees(self, x: float, y: float) -> bool:
        """Whether a place lies within the camera's horizontal field of view."""
        origin, target = np.array(self.camera.origin[:2]), np.array(self.camera.target[:2])
        ahead, there = target - origin, np.array([x, y]) - origin
        cosine = ahead @ there / (np.linalg.norm(ahead) * np.linalg.norm(there) + 1e-9)
        return bool(np.arccos(np.clip(cosine, -1, 1)) < np.radians(self.camera.fov / 2))
