"""The public interiors for every renderer: a Mitsuba scene file -> the description of a scene.

Geometry, cameras, textures and lights are the file's. Materials are the nearest that a description
has: bump maps are dropped, metals have the reflectance of normal incidence. Mitsuba reads the
meshes and images; Cycles and LuxCore then build the scene as they build the procedural ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from kpcn_core.errors import InvalidScene
from kpcn_core.renderers.mitsuba import mi
from training.scenes.description import (
    Camera,
    Color,
    Environment,
    Glass,
    Leaf,
    Light,
    Material,
    Matte,
    Metal,
    Pane,
    Plastic,
    Pose,
    Texture,
    Vector,
)
from training.scenes.meshes import PRIMITIVES, Mesh
from training.scenes.stage import Stage

Element = ElementTree.Element
Matrix = NDArray[np.float64]

# The files' y is up, a description's z is.
UPRIGHT = np.array([[1.0, 0, 0, 0], [0, 0, -1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
DEPTH = 16
WHITE = (1.0, 1.0, 1.0)
FILES = ("obj", "ply")


def read(path: Path) -> Stage:
    """The scene of a Mitsuba XML file.

    Raises:
        InvalidScene: it has what a description cannot say.
    """
    return _Reader(path, ElementTree.parse(path).getroot()).stage()


@dataclass(frozen=True)
class _Reader:
    path: Path
    root: Element

    def stage(self) -> Stage:
        stage = Stage(self._camera(), DEPTH)
        for emitter in self.root.findall("emitter"):
            stage.environment = self._environment(emitter)
        for material, mesh in self._meshes():
            stage.add(mesh, material, Pose((0.0, 0.0, 0.0)))
        return stage

    def _camera(self) -> Camera:
        """Without roll, as all of these are."""
        sensor = self._one(self.root, "sensor")
        matrix = UPRIGHT @ _matrix(sensor)
        origin, ahead = matrix[:3, 3], matrix[:3, 2]
        if abs(matrix[2, 0]) > 0.02:
            raise self._unknown("a camera that leans to the side")
        return Camera(_vector(origin), _vector(origin + ahead), _number(sensor, "fov", 0.0))

    def _environment(self, emitter: Element) -> Environment:
        if emitter.get("type") != "envmap":
            raise self._unknown(f"emitter '{emitter.get('type')}'")
        turned = UPRIGHT @ _matrix(emitter) @ UPRIGHT.T
        turn = float(np.degrees(np.arctan2(turned[1, 0], turned[0, 0])))
        return Environment(self._image(_text(emitter, "filename")), turn)

    def _meshes(self) -> Iterator[tuple[Material, Mesh]]:
        """One mesh of all that has the same material and normals; each light apart."""
        known = {one.get("id"): one for one in self.root.iter("bsdf") if one.get("id")}
        merged: dict[tuple[Element, bool], list[Mesh]] = {}
        for shape in self.root.findall("shape"):
            mesh, emitter = self._mesh(shape), shape.find("emitter")
            if emitter is not None:
                yield Light(_triple(emitter, "radiance", WHITE)), mesh
                continue
            link = shape.find("ref")
            bsdf = self._one(shape, "bsdf") if link is None else known[link.get("id")]
            merged.setdefault((bsdf, mesh.smooth), []).append(mesh)
        for (bsdf, _), meshes in merged.items():
            yield self._material(bsdf), _joined(meshes)

    def _mesh(self, shape: Element) -> Mesh:
        kind, matrix = str(shape.get("type")), UPRIGHT @ _matrix(shape)
        flat = _text(shape, "faceNormals", "face_normals", default="false") == "true"
        if kind in PRIMITIVES:
            return _moved(PRIMITIVES[kind](), matrix)
        if kind not in FILES:
            raise self._unknown(f"shape '{kind}'")
        file = self.path.parent / _text(shape, "filename")
        values = mi.traverse(mi.load_dict({"type": kind, "filename": str(file)}))
        positions = np.array(values["vertex_positions"]).reshape(-1, 3)
        texcoords = np.array(values["vertex_texcoords"]).reshape(-1, 2)
        if not len(texcoords):
            texcoords = np.zeros((len(positions), 2), np.float32)
        # Mitsuba's textures begin at the top.
        texcoords = texcoords * (1, -1) + (0, 1)
        faces = np.array(values["faces"], np.uint32).reshape(-1, 3)
        return _moved(Mesh(positions, texcoords.astype(np.float32), faces, not flat), matrix)

    def _material(self, bsdf: Element) -> Material:
        kind = bsdf.get("type")
        match kind:
            case "twosided" | "bumpmap":
                return self._material(self._one(bsdf, "bsdf"))
            case "diffuse":
                return Matte(self._color(bsdf, "reflectance"))
            case "plastic" | "roughplastic":
                rough = _number(bsdf, "alpha", 0.1) if kind == "roughplastic" else 0.0
                color = self._color(bsdf, "diffuseReflectance", "diffuse_reflectance")
                return Plastic(color, rough, _number(bsdf, "intIOR", 1.49))
            case "conductor" | "roughconductor":
                rough = _number(bsdf, "alpha", 0.1) if kind == "roughconductor" else 0.0
                return Metal(rough, _reflectance(bsdf))
            case "dielectric":
                return Glass(_number(bsdf, "intIOR", 1.5))
            case "thindielectric":
                return Pane()
            case "mask":
                base = self._material(self._one(bsdf, "bsdf"))
                if isinstance(base, Matte):
                    return Leaf(base, self._texture(self._one(bsdf, "texture"), mask=True))
        raise self._unknown(f"material '{kind}'")

    def _color(self, bsdf: Element, *names: str) -> Color:
        for texture in bsdf.findall("texture"):
            if texture.get("name") in names:
                return self._texture(texture)
        return _triple(bsdf, names[0], (0.5, 0.5, 0.5))

    def _texture(self, texture: Element, mask: bool = False) -> Texture:
        return Texture(self._image(_text(texture, "filename"), mask), 1.0, 0.0)

    def _image(self, name: str, mask: bool = False) -> NDArray[np.float32]:
        """Linear values [H,W,3]; of a mask, its alpha if it has one, else its values, [H,W,1]."""
        file = mi.Bitmap(str(self.path.parent / name))
        alpha = mask and file.has_alpha()
        layout = mi.Bitmap.PixelFormat.RGBA if alpha else mi.Bitmap.PixelFormat.RGB
        found = np.array(file.convert(layout, mi.Struct.Type.Float32, srgb_gamma=False))
        return np.ascontiguousarray(found[..., -1:] if mask else found, np.float32)

    def _one(self, parent: Element, tag: str) -> Element:
        found = parent.find(tag)
        if found is None:
            raise self._unknown(f"no {tag} in {parent.tag}")
        return found

    def _unknown(self, what: str) -> InvalidScene:
        return InvalidScene(f"{self.path}: {what}, which other renderers are not told of.")


def _joined(meshes: list[Mesh]) -> Mesh:
    starts = np.cumsum([0, *(len(mesh.positions) for mesh in meshes[:-1])])
    faces = [mesh.faces + np.uint32(start) for mesh, start in zip(meshes, starts, strict=True)]
    return Mesh(
        np.concatenate([mesh.positions for mesh in meshes]),
        np.concatenate([mesh.texcoords for mesh in meshes]),
        np.concatenate(faces),
        meshes[0].smooth,
    )


def _moved(mesh: Mesh, matrix: Matrix) -> Mesh:
    positions = mesh.positions @ matrix[:3, :3].T + matrix[:3, 3]
    # A mirrored mesh would face the other way, and a light shine there.
    faces = mesh.faces[:, ::-1] if np.linalg.det(matrix[:3, :3]) < 0 else mesh.faces
    return Mesh(positions.astype(np.float32), mesh.texcoords, faces.copy(), mesh.smooth)


def _matrix(owner: Element) -> Matrix:
    found = owner.find("transform/matrix")
    if found is None:
        return np.eye(4)
    return np.array(str(found.get("value")).split(), np.float64).reshape(4, 4)


def _reflectance(bsdf: Element) -> Vector:
    """Of a conductor at normal incidence: ((η - 1)² + k²) / ((η + 1)² + k²), and its tint."""
    tint = _triple(bsdf, "specularReflectance", _triple(bsdf, "specular_reflectance", WHITE))
    if _text(bsdf, "material", default="") == "none":
        return tint
    eta, k = (np.array(_triple(bsdf, name, (0.0, 0.0, 0.0))) for name in ("eta", "k"))
    return _vector(tint * ((eta - 1) ** 2 + k**2) / ((eta + 1) ** 2 + k**2))


def _text(owner: Element, *names: str, default: str | None = None) -> str:
    for child in owner:
        if child.get("name") in names:
            return str(child.get("value"))
    if default is None:
        raise InvalidScene(f"{owner.tag} '{owner.get('type')}' has no {names[0]}.")
    return default


def _number(owner: Element, name: str, default: float) -> float:
    return float(_text(owner, name, default=str(default)))


def _triple(owner: Element, name: str, default: Vector) -> Vector:
    told = _text(owner, name, default=",".join(map(str, default)))
    return _vector(np.array(told.replace(",", " ").split(), np.float64))


def _vector(values: NDArray[np.floating]) -> Vector:
    x, y, z = np.broadcast_to(values, 3).tolist()
    return x, y, z
