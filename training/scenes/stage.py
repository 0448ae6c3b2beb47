"""A scene under construction: placed objects, light, and a camera."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from training.scenes.description import Camera, Environment, Material, Pose, Vector
from training.scenes.meshes import Mesh

Generator = np.random.Generator


class Placed(NamedTuple):
    """An object of a scene: a mesh or one of `meshes.PRIMITIVES`, of a material, somewhere."""

    shape: str | Mesh
    material: Material
    pose: Pose


@dataclass
class Stage:
    """What has been put on stage so far.

    Attributes:
        camera: who looks at it.
        max_depth: bounces of light.
        environment: light from around it.
        objects: everything else.
    """

    camera: Camera
    max_depth: int = 8
    environment: Environment | None = None
    objects: list[Placed] = field(default_factory=list)

    def add(self, shape: str | Mesh, material: Material, pose: Pose) -> None:
        """Place a mesh or a primitive; a `Light` makes it shine."""
        self.objects.append(Placed(shape, material, pose))

    def box(self, low: Vector, high: Vector, material: Material) -> None:
        """Place a box along the axes."""
        centre = (np.add(low, high) / 2).tolist()
        half = (np.subtract(high, low) / 2).tolist()
        self.add("cube", material, Pose(tuple(centre), scale=tuple(half)))

    def clear_camera(self, distance: float = 0.2) -> None:
        """Take away what is so near to the camera that it would block or enclose it."""
        self.objects = [placed for placed in self.objects if not self._encloses(placed, distance)]

    def _encloses(self, placed: Placed, distance: float) -> bool:
        if placed.shape in ("rectangle", "disk"):
            return False
        local = np.linalg.inv(placed.pose.matrix(0)) @ [*self.camera.origin, 1.0]
        margin = distance / np.array(placed.pose.scale)
        return bool((np.abs(local[:3]) < 1.1 + margin).all())
