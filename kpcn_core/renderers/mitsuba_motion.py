"""Where a surface point of one frame is on the film of a neighbour frame.

The neighbour is a Mitsuba scene of its own. Shapes are matched by id; a mesh moves by its vertices
(so that deformation works too), any other shape by its transform, the camera by its own.
"""

import logging
from collections import Counter
from dataclasses import dataclass
from typing import Any, cast

import drjit as dr
import mitsuba as mi
import numpy as np

from kpcn_core.renderers.mitsuba_path import Hits, registry_index

log = logging.getLogger(__name__)

STILL, RIGID, MESH = 0, 1, 2


@dataclass(frozen=True)
class Camera:
    """The projection of a perspective or thin-lens sensor."""

    to_camera: Any
    to_film: Any  # camera space -> [0,1]^2 of the crop window
    offset: Any  # of the principal point, pixels
    size: Any  # of the crop window, pixels

    @classmethod
    def of(cls, sensor: Any) -> "Camera | None":
        """Read a sensor; None if it is of a kind whose projection is not known here."""
        keys = mi.traverse(sensor)
        if "x_fov" not in keys:
            return None
        film = sensor.film()
        to_film = mi.perspective_projection(
            film.size(), film.crop_size(), film.crop_offset(),
            keys["x_fov"], keys["near_clip"], keys["far_clip"],
        )  # fmt: skip
        x, y = (f"principal_point_offset_{axis}" for axis in "xy")  # a thin lens has none
        offset = mi.Vector2f(keys[x], keys[y]) if x in keys else mi.Vector2f(0)
        return cls(
            keys["to_world"].inverse(),
            to_film,
            offset * mi.Vector2f(*film.size()),
            mi.Vector2f(*film.crop_size()),
        )

    def project(self, position: Any, direction: Any) -> tuple[Any, Any]:
        """Film position in pixels of a point, or of a point infinitely far along a direction.

        Args:
            position: world position, used where direction is 0.
            direction: world direction, used where it is not 0.

        Returns:
            (position on the film, whether it is in front of the camera)
        """
        far = dr.squared_norm(direction) > 0
        point = mi.Point3f(
            dr.select(far, self.to_camera @ mi.Vector3f(direction), self.to_camera @ position)
        )
        film = self.to_film @ point
        return mi.Vector2f(film.x, film.y) * self.size - self.offset, point.z > 0


class Motion:
    """Motion in pixels from one frame to a neighbour, +x right, +y down."""

    def __init__(
        self, scene: Any, neighbour: Any, camera: Camera, neighbour_camera: Camera
    ) -> None:
        self.camera = camera
        self.neighbour_camera = neighbour_camera
        self._build_tables(scene, neighbour)

    @classmethod
    def between(cls, scene: Any, neighbour: Any) -> "Motion | None":
        """Motion from a scene to a neighbour; a warning and None if a camera's is not known."""
        sensors = [each.sensors()[0] for each in (scene, neighbour)]
        camera, neighbour_camera = map(Camera.of, sensors)
        if camera is None or neighbour_camera is None:
            log.warning(
                "no motion: it needs a perspective or thinlens sensor; the scene has %s.",
                " and ".join(sorted({each.class_name() for each in sensors})),
            )
            return None
        return cls(scene, neighbour, camera, neighbour_camera)

    def __call__(self, hits: Hits, ray: Any) -> Any:
        """Displacement [2] in pixels of every sample's first hit, or of the sky behind it.

        A point that gets behind the neighbour's camera is given a motion that leaves the film.
        """
        sky = dr.select(hits.found, mi.Vector3f(0), ray.d)
        here, _ = self.camera.project(hits.position, sky)
        there, visible = self.neighbour_camera.project(self._moved(hits), sky)
        return dr.select(visible, there - here, 2 * self.camera.size)

    def _moved(self, hits: Hits) -> Any:
        """The hit's position in the neighbour frame."""
        pi = hits.intersection
        # An instance moves as a whole; the shapes within are not the scene's own.
        shape, instance = (
            dr.reinterpret_array(mi.UInt32, each) for each in (pi.shape, pi.instance)
        )
        index = dr.select(instance != 0, instance, shape)
        kind = dr.gather(mi.UInt32, self._kinds, index, hits.found)
        rigid, mesh = kind == RIGID, kind == MESH
        row = [dr.gather(mi.Float, self._matrices, index * 12 + i, rigid) for i in range(12)]
        p = hits.position
        by_matrix = mi.Point3f(
            *(row[4 * i] * p.x + row[4 * i + 1] * p.y + row[4 * i + 2] * p.z + row[4 * i + 3]
              for i in range(3))
        )  # fmt: skip
        face = dr.gather(mi.UInt32, self._first_face, index, mesh) + pi.prim_index
        corners = [dr.gather(mi.UInt32, self._faces, face * 3 + i, mesh) for i in range(3)]
        vertices = [dr.gather(mi.Point3f, self._vertices, corner, mesh) for corner in corners]
        u, v = pi.prim_uv.x, pi.prim_uv.y
        by_vertices = vertices[0] * (1 - u - v) + vertices[1] * u + vertices[2] * v
        return dr.select(mesh, by_vertices, dr.select(rigid, by_matrix, p))

    def _build_tables(self, scene: Any, neighbour: Any) -> None:
        """What the kernel gathers from, indexed by shape registry index."""
        shapes, others = _named(scene), _named(neighbour)
        indices = {name: registry_index(shape) for name, shape in shapes.items()}
        size = max(indices.values(), default=0) + 1
        kinds, first_face = np.zeros(size, np.uint32), np.zeros(size, np.uint32)
        matrices = np.zeros((size, 12), np.float32)
        # One face and one vertex of no shape: a kernel cannot gather from empty arrays.
        faces, vertices = [np.zeros(3, np.uint32)], [np.zeros(3, np.float32)]
        face_count = vertex_count = 1
        unmatched = []
        for name, shape in shapes.items():
            index, other = indices[name], cast(Any, others.get(name))
            kinds[index] = _kind(shape, other)
            if kinds[index] == MESH:
                keys = mi.traverse(other)
                first_face[index] = face_count
                faces.append(np.array(keys["faces"], np.uint32) + vertex_count)
                vertices.append(np.array(keys["vertex_positions"], np.float32))
                face_count += other.face_count()
                vertex_count += other.vertex_count()
            elif kinds[index] == RIGID:
                matrices[index] = _relative(shape, other)
            else:
                unmatched.append(shape.id() or f"unnamed {shape.class_name()}")
        if unmatched:
            log.warning(
                "no motion of their own for %d shapes that the neighbour frame lacks, or holds in "
                "another form: %s",
                len(unmatched), ", ".join(unmatched[:5]),
            )  # fmt: skip
        self._kinds, self._first_face = mi.UInt32(kinds), mi.UInt32(first_face)
        self._matrices = mi.Float(matrices.ravel())
        self._faces = mi.UInt32(np.concatenate(faces))
        self._vertices = mi.Float(np.concatenate(vertices))


def _named(scene: Any) -> dict[tuple[str, int], Any]:
    """Shapes by id; those of the same id, as all without one, by their order too."""
    found: dict[tuple[str, int], Any] = {}
    seen: Counter[str] = Counter()
    for shape in scene.shapes():
        found[shape.id(), seen[shape.id()]] = shape
        seen[shape.id()] += 1
    return found


def _kind(shape: Any, other: Any) -> int:
    """How a shape moves to its other state."""
    if other is None or shape.class_name() != other.class_name():
        return STILL
    keys = mi.traverse(shape)
    if "vertex_positions" in keys:
        same = shape.face_count() == other.face_count()
        return MESH if same and shape.vertex_count() == other.vertex_count() else STILL
    # Not by is_mesh: a rectangle is one too, but of vertices that cannot be read.
    return RIGID if "to_world" in keys else STILL


def _relative(shape: Any, other: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The upper 3x4 of (other's transform) x (shape's transform)^-1."""
    here, there = (
        np.array(mi.traverse(each)["to_world"].matrix, np.float64).reshape(4, 4)
        for each in (shape, other)
    )
    return (there @ np.linalg.inv(here))[:3].ravel().astype(np.float32)
