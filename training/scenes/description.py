"""What scenes are made of, for any renderer: materials, lights, skies, poses and cameras.

Numpy only: the renderers that live in a process of their own build their scenes there.
World units are metres, z is up. Time is in frames; 0 is the centre frame.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.scenes.textures import Image

Vector = tuple[float, float, float]
Matrix = NDArray[np.float64]  # [4,4], columns: the axes and the origin


@dataclass(frozen=True, eq=False)
class Texture:
    """An image that repeats over a surface.

    Attributes:
        image: linear values [H,W,C], 0 to 1; one or three channels.
        scale: how often it repeats in a unit of the surface's coordinates.
        turn: degrees.
    """

    image: Image
    scale: float
    turn: float


Color = Texture | Vector


@dataclass(frozen=True)
class Matte:
    """Lambertian."""

    color: Color


@dataclass(frozen=True)
class Plastic:
    """A diffuse base under a coat; `roughness` is GGX's alpha, 0 for a clear coat."""

    color: Color
    roughness: float = 0.0
    ior: float = 1.49


@dataclass(frozen=True)
class Metal:
    """A conductor.

    Attributes:
        roughness: GGX's alpha; 0 for a mirror.
        color: its reflectance.
        element: a real metal instead of the color, as "Au".
    """

    roughness: float | Texture
    color: Color = (1.0, 1.0, 1.0)
    element: str | None = None


@dataclass(frozen=True)
class Glass:
    """A dielectric body; `roughness` is GGX's alpha, 0 for clear glass."""

    ior: float
    roughness: float = 0.0


@dataclass(frozen=True)
class Pane:
    """A thin sheet of glass that does not bend light."""


@dataclass(frozen=True)
class Leaf:
    """A matte surface with holes where `opacity` is 0."""

    base: Matte
    opacity: Texture


@dataclass(frozen=True)
class Light:
    """A surface that shines evenly."""

    radiance: Vector


Material = Matte | Plastic | Metal | Glass | Pane | Leaf | Light


@dataclass(frozen=True, eq=False)
class Environment:
    """Light from everywhere.

    Attributes:
        image: radiance by direction [H,W,3]; the first row is the zenith.
        turn: degrees around z.
    """

    image: Image
    turn: float


@dataclass(frozen=True)
class Pose:
    """Where something is, and how it moves.

    Attributes:
        position: centre at time 0.
        axis: of rotation. Where its length is not 1 it also distorts, see `rotation`.
        angle: degrees at time 0.
        scale: along its own axes.
        velocity: metres a frame.
        spin: degrees a frame.
    """

    position: Vector
    axis: Vector = (0.0, 0.0, 1.0)
    angle: float = 0.0
    scale: Vector = (1.0, 1.0, 1.0)
    velocity: Vector = (0.0, 0.0, 0.0)
    spin: float = 0.0

    @property
    def moves(self) -> bool:
        """Whether it is elsewhere at another time."""
        return any(self.velocity) or self.spin != 0

    def place(self, time: float) -> Vector:
        """Its centre at a time."""
        return _ahead(self.position, self.velocity, time)

    def turn(self, time: float) -> float:
        """Its angle at a time, degrees."""
        return float(self.angle + time * self.spin)

    def matrix(self, time: float) -> Matrix:
        """Object to world at a time."""
        matrix = np.eye(4)
        matrix[:3, :3] = rotation(self.axis, self.turn(time)) * np.array(self.scale)
        matrix[:3, 3] = self.place(time)
        return matrix


@dataclass(frozen=True)
class Camera:
    """A pinhole or thin-lens camera.

    Attributes:
        origin: its position at time 0.
        target: what it looks at.
        fov: horizontal field of view, degrees.
        aperture: radius of the lens; 0 is a pinhole.
        focus: distance that is sharp.
        velocity: of the position, metres a frame.
        pan: of the target, metres a frame.
    """

    origin: Vector
    target: Vector
    fov: float
    aperture: float = 0.0
    focus: float = 1.0
    velocity: Vector = (0.0, 0.0, 0.0)
    pan: Vector = (0.0, 0.0, 0.0)

    @property
    def moves(self) -> bool:
        """Whether it is elsewhere at another time."""
        return any(self.velocity) or any(self.pan)

    def at(self, time: float) -> tuple[Vector, Vector]:
        """Where it is at a time, and what it looks at."""
        return _ahead(self.origin, self.velocity, time), _ahead(self.target, self.pan, time)


def rotation(axis: Vector, angle: float) -> Matrix:
    """The matrix [3,3] that turns by an angle in degrees around an axis (Rodrigues).

    As Mitsuba's, it takes an axis of any length as it comes: others than 1 stretch and shear. The
    objects of `piles` are made like that.
    """
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    sine, cosine = np.sin(np.radians(angle)), np.cos(np.radians(angle))
    turned: Matrix = cosine * np.eye(3) + sine * cross + (1 - cosine) * np.outer(axis, axis)
    return turned


def _ahead(start: Vector, velocity: Vector, time: float) -> Vector:
    x, y, z = np.add(start, np.multiply(time, velocity)).tolist()
    return x, y, z
