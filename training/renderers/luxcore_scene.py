"""A scene as LuxCore's; runs in a process of LuxCore's, see `luxcore_program`."""

from math import radians
from typing import Any

import numpy as np
import pyluxcore
from numpy.typing import NDArray

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
    Texture,
)
from training.scenes.meshes import PRIMITIVES, Mesh, ball
from training.scenes.stage import Placed, Stage
from training.scenes.textures import Image

COAT = 0.04  # what a plastic's coat reflects at normal incidence, about
# Reflectance at normal incidence, about.
ELEMENTS = {
    "Al": (0.91, 0.92, 0.92), "Ag": (0.97, 0.96, 0.91), "Au": (1.0, 0.77, 0.34),
    "Cu": (0.95, 0.64, 0.54), "Cr": (0.55, 0.55, 0.55), "W": (0.5, 0.49, 0.48),
}  # fmt: skip

Settings = dict[str, Any]


class Builder:
    """A scene of LuxCore's in the making."""

    def __init__(self) -> None:
        self.scene = pyluxcore.Scene()
        self.settings: Settings = {}

    def finish(self) -> Any:
        """The scene."""
        properties = pyluxcore.Properties()
        for name, value in self.settings.items():
            properties.Set(pyluxcore.Property(f"scene.{name}", value))
        self.scene.Parse(properties)
        return self.scene

    def image(self, pixels: Image) -> str:
        """The name of an image [H,W,C] of linear values."""
        name = f"image{len(self.settings)}"
        height, width, channels = pixels.shape
        flat = np.ascontiguousarray(pixels, np.float32).ravel()
        self.scene.DefineImageMap(name, flat, 1.0, channels, width, height)
        return name

    def texture(self, texture: Texture) -> str:
        """The name of a texture."""
        file = self.image(texture.image)
        name = f"textures.{file}"
        self.settings |= {
            f"{name}.type": "imagemap",
            f"{name}.file": file,
            f"{name}.gamma": 1.0,
            f"{name}.mapping.type": "uvmapping2d",
            f"{name}.mapping.uvscale": [texture.scale, texture.scale],
            f"{name}.mapping.rotation": texture.turn,
        }
        return file

    def value(self, color: Color) -> Any:
        """A color as a setting."""
        return self.texture(color) if isinstance(color, Texture) else list(color)


def build(stage: Stage, time: float) -> Any:
    """LuxCore's scene at a time."""
    builder = Builder()
    builder.settings |= _camera(stage.camera, time)
    if stage.environment is not None:
        _sky(builder, stage.environment)
    for index, placed in enumerate(stage.objects):
        _place(builder, f"object{index:03d}", placed, time)
    return builder.finish()


def _camera(camera: Camera, time: float) -> Settings:
    origin, target = camera.at(time)
    return {
        "camera.type": "perspective",
        "camera.lookat.orig": list(origin),
        "camera.lookat.target": list(target),
        "camera.up": [0.0, 0.0, 1.0],
        "camera.fieldofview": camera.fov,
        "camera.cliphither": 0.01,
        "camera.lensradius": camera.aperture,
        "camera.focaldistance": camera.focus,
        "camera.autofocus.enable": False,
    }


def _sky(builder: Builder, environment: Environment) -> None:
    turn = radians(environment.turn)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
    builder.settings |= {
        "lights.sky.type": "infinite",
        "lights.sky.file": builder.image(environment.image),
        "lights.sky.gamma": 1.0,
        "lights.sky.transformation": matrix.ravel().tolist(),
    }


def _place(builder: Builder, name: str, placed: Placed, time: float) -> None:
    shape, material, pose = placed
    mesh = shape if isinstance(shape, Mesh) else PRIMITIVES[shape]()
    if shape == "sphere" and isinstance(material, Light):
        mesh = ball(12, 8)  # each triangle is a light of its own to LuxCore
    matrix = pose.matrix(time)
    positions = mesh.positions @ matrix[:3, :3].T + matrix[:3, 3]
    normals = _normals(positions, mesh.faces).tolist() if mesh.smooth else None
    builder.scene.DefineMesh(
        name,
        [tuple(point) for point in positions.tolist()],
        [tuple(face) for face in mesh.faces.tolist()],
        normals and [tuple(normal) for normal in normals],
        [tuple(place) for place in mesh.texcoords.tolist()],
        None,
        None,
    )
    looks = _material(builder, material)
    builder.settings |= {f"materials.{name}.{key}": value for key, value in looks.items()}
    builder.settings |= {f"objects.{name}.shape": name, f"objects.{name}.material": name}


def _normals(positions: NDArray[np.float64], faces: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Normals of vertices: of the faces around them, by their area."""
    corners = positions[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros_like(positions)
    for corner in range(3):
        np.add.at(total, faces[:, corner], normals)
    found: NDArray[np.float64] = total / (np.linalg.norm(total, axis=1, keepdims=True) + 1e-12)
    return found


def _material(builder: Builder, material: Material) -> Settings:
    match material:
        case Matte(color):
            return {"type": "matte", "kd": builder.value(color)}
        case Plastic(color, roughness, _):
            base = {"type": "glossy2", "kd": builder.value(color), "ks": [COAT] * 3}
            return base | _rough(max(roughness, 1e-3))
        case Metal():
            return _metal(builder, material)
        case Glass(ior, 0.0):
            return {"type": "glass", "interiorior": ior}
        case Glass(ior, roughness):
            return {"type": "roughglass", "interiorior": ior, **_rough(roughness)}
        case Pane():
            return {"type": "archglass"}
        case Leaf(base, opacity):
            return {**_material(builder, base), "transparency": builder.texture(opacity)}
        case Light(radiance):
            return {"type": "matte", "kd": [0.0] * 3, "emission": list(radiance)}


def _metal(builder: Builder, metal: Metal) -> Settings:
    color = list(ELEMENTS[metal.element]) if metal.element else builder.value(metal.color)
    if metal.roughness == 0:
        return {"type": "mirror", "kr": color}
    rough = metal.roughness
    fresnel = f"metal{len(builder.settings)}"
    builder.settings |= {
        f"textures.{fresnel}.type": "fresnelcolor",
        f"textures.{fresnel}.kr": color,
    }
    worn = builder.texture(rough) if isinstance(rough, Texture) else rough
    return {"type": "metal2", "fresnel": fresnel, "uroughness": worn, "vroughness": worn}


def _rough(alpha: float) -> Settings:
    return {"uroughness": alpha, "vroughness": alpha}
