"""A scene under construction: placed objects, light and camera that move over time.

World units are metres, z is up. Time is in frames; 0 is the centre frame.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kpcn_core.renderers.mitsuba import mi
from training.scenes.meshes import Mesh

Generator = np.random.Generator
Plugin = dict[str, Any]
Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Pose:
    """Where something is, and how it moves.

    Attributes:
        position: centre at time 0.
        axis: axis of rotation.
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

    def matrix(self, time: float) -> Any:
        """Object to world at a time."""
        at = [float(p + time * v) for p, v in zip(self.position, self.velocity, strict=True)]
        turn = float(self.angle + time * self.spin)
        transform = mi.ScalarTransform4f().translate(at).rotate(list(self.axis), turn)
        return transform.scale([float(s) for s in self.scale])


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

    def plugin(self, size: tuple[int, int], time: float) -> Plugin:
        """Mitsuba's sensor for a film of (height, width)."""
        origin = np.add(self.origin, np.multiply(time, self.velocity)).tolist()
        target = np.add(self.target, np.multiply(time, self.pan)).tolist()
        sensor: Plugin = {
            "type": "thinlens" if self.aperture else "perspective",
            "fov": float(self.fov),
            "fov_axis": "x",
            "near_clip": 0.01,
            "to_world": mi.ScalarTransform4f().look_at(origin, target, [0, 0, 1]),
            "film": {
                "type": "hdrfilm",
                "width": size[1],
                "height": size[0],
                "rfilter": {"type": "box"},
            },
        }
        if self.aperture:
            sensor |= {"aperture_radius": float(self.aperture), "focus_distance": float(self.focus)}
        return sensor


@dataclass
class Stage:
    """What has been put on stage so far."""

    camera: Camera
    max_depth: int = 8
    environment: Plugin | None = None
    _objects: list[tuple[Plugin | Mesh, Plugin, Pose]] = field(default_factory=list)

    def add(self, shape: str | Mesh, material: Plugin, pose: Pose) -> None:
        """Place a mesh, or one of Mitsuba's own shapes by its plugin name.

        A material of type "area" makes the shape a light.
        """
        self._objects.append(({"type": shape} if isinstance(shape, str) else shape, material, pose))

    def box(self, low: Vector, high: Vector, material: Plugin) -> None:
        """Place a box along the axes."""
        centre = (np.add(low, high) / 2).tolist()
        half = (np.subtract(high, low) / 2).tolist()
        self.add("cube", material, Pose(tuple(centre), scale=tuple(half)))

    def clear_camera(self, distance: float = 0.2) -> None:
        """Take away what is so near to the camera that it would block or enclose it."""
        self._objects = [placed for placed in self._objects if not self._encloses(placed, distance)]

    def _encloses(self, placed: tuple[Plugin | Mesh, Plugin, Pose], distance: float) -> bool:
        shape, _, pose = placed
        if not isinstance(shape, Mesh) and shape["type"] in ("rectangle", "disk"):
            return False
        matrix = np.array(pose.matrix(0).matrix, np.float64)
        local = np.linalg.inv(matrix) @ [*self.camera.origin, 1.0]
        margin = distance / np.array(pose.scale)
        return bool((np.abs(local[:3]) < 1.1 + margin).all())

    def scene(self, size: tuple[int, int], time: float) -> Plugin:
        """Mitsuba's dictionary of the whole scene at a time."""
        result: Plugin = {
            "type": "scene",
            "integrator": {"type": "path", "max_depth": self.max_depth},
            "sensor": self.camera.plugin(size, time),
        }
        if self.environment is not None:
            result["environment"] = self.environment
        for index, (shape, material, pose) in enumerate(self._objects):
            name = f"object{index:03d}"
            result[name] = _shape(name, shape, material, pose.matrix(time))
        return result


def _shape(name: str, shape: Plugin | Mesh, material: Plugin, to_world: Any) -> Any:
    role = "emitter" if material["type"] == "area" else "bsdf"
    if not isinstance(shape, Mesh):
        return {**shape, "to_world": to_world, role: material}
    matrix = np.array(to_world.matrix, np.float64)
    positions = shape.positions @ matrix[:3, :3].T + matrix[:3, 3]
    properties = mi.Properties()
    properties[role] = mi.load_dict(material)
    properties["face_normals"] = not shape.smooth
    mesh = mi.Mesh(
        name, len(positions), len(shape.faces),
        has_vertex_normals=shape.smooth, has_vertex_texcoords=True, props=properties,
    )  # fmt: skip
    values = mi.traverse(mesh)
    values["vertex_positions"] = positions.astype(np.float32).ravel()
    values["faces"] = shape.faces.ravel()
    values["vertex_texcoords"] = shape.texcoords.ravel()
    values.update()
    mesh.set_id(name)
    return mesh
