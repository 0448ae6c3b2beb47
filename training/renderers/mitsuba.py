"""Mitsuba as a source of training data: embedded, with variance and rendered motion."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from kpcn_core.renderers.mitsuba import MitsubaRenderer, mi  # before drjit: it chooses the LLVM
from training.scenes import Scene, scene
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
)
from training.scenes.meshes import Mesh
from training.scenes.stage import Placed

import drjit as dr  # isort: skip

Plugin = dict[str, Any]

NAME = "mitsuba"


def describe() -> str:
    """Name and version of the renderer."""
    return f"{NAME} {version(NAME)}"


def limit_threads(threads: int | None) -> None:
    """Use so many threads; None is all cores."""
    if threads is not None:
        dr.set_thread_count(threads)


def scenes(size: tuple[int, int]) -> Callable[[int], "MitsubaScene"]:
    """Makes the scene of a seed."""
    return lambda seed: MitsubaScene(scene(seed, size))


@dataclass(frozen=True)
class MitsubaScene:
    """A view of a procedural scene, rendered by Mitsuba."""

    scene: Scene
    gives_variance = True

    def renderer(self, time: int = 0, motion: bool = False) -> MitsubaRenderer:
        """A renderer of one frame; with `motion`, its neighbours give the motion AOVs."""
        steps = [time + step if motion else None for step in (-1, 1)]
        around = [None if step is None else dictionary(self.scene, step) for step in steps]
        return MitsubaRenderer.from_dict(dictionary(self.scene, time), *around)


def dictionary(scene: Scene, time: float) -> Plugin:
    """Mitsuba's dictionary of a whole scene at a time."""
    stage = scene.stage
    result: Plugin = {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": stage.max_depth},
        "sensor": _sensor(stage.camera, scene.size, time),
    }
    if stage.environment is not None:
        result["environment"] = _environment(stage.environment)
    for index, placed in enumerate(stage.objects):
        name = f"object{index:03d}"
        result[name] = _shape(name, placed, time)
    return result


def _sensor(camera: Camera, size: tuple[int, int], time: float) -> Plugin:
    """For a film of (height, width)."""
    origin, target = camera.at(time)
    sensor: Plugin = {
        "type": "thinlens" if camera.aperture else "perspective",
        "fov": float(camera.fov),
        "fov_axis": "x",
        "near_clip": 0.01,
        "to_world": mi.ScalarTransform4f().look_at(list(origin), list(target), [0, 0, 1]),
        "film": {
            "type": "hdrfilm",
            "width": size[1],
            "height": size[0],
            "rfilter": {"type": "box"},
        },
    }
    if camera.aperture:
        sensor |= {"aperture_radius": float(camera.aperture), "focus_distance": float(camera.focus)}
    return sensor


def _environment(environment: Environment) -> Plugin:
    upright = mi.ScalarTransform4f().rotate([1, 0, 0], 90)
    turn = mi.ScalarTransform4f().rotate([0, 0, 1], environment.turn)
    return {
        "type": "envmap",
        "bitmap": mi.Bitmap(environment.image),
        "to_world": turn @ upright,
    }


def _shape(name: str, placed: Placed, time: float) -> Any:
    shape, material, pose = placed
    role = "emitter" if isinstance(material, Light) else "bsdf"
    to_world = _transform(pose, time)
    if not isinstance(shape, Mesh):
        return {"type": shape, "to_world": to_world, role: plugin(material)}
    matrix = np.array(to_world.matrix, np.float64)
    positions = shape.positions @ matrix[:3, :3].T + matrix[:3, 3]
    properties = mi.Properties()
    properties[role] = mi.load_dict(plugin(material))
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


def _transform(pose: Pose, time: float) -> Any:
    """Made by Mitsuba's own functions, whose rounding data sets depend on."""
    moved = mi.ScalarTransform4f().translate(list(pose.place(time)))
    turned = moved.rotate(list(pose.axis), pose.turn(time))
    return turned.scale([float(factor) for factor in pose.scale])


def plugin(material: Material) -> Plugin:
    """Mitsuba's dictionary of a material; of a light, of its emitter.

    `principled` is not used because its lobes cannot be told apart (docs/rendering.md).
    """
    match material:
        case Matte(color):
            return _twosided({"type": "diffuse", "reflectance": _value(color)})
        case Plastic():
            return _twosided(_plastic(material))
        case Metal():
            return _twosided(_metal(material))
        case Glass(ior, 0.0):
            return {"type": "dielectric", "int_ior": ior}
        case Glass(ior, roughness):
            rough = {"distribution": "ggx", "alpha": roughness}
            return {"type": "roughdielectric", **rough, "int_ior": ior}
        case Pane():
            return {"type": "thindielectric"}
        case Leaf(base, opacity):
            return {"type": "mask", "opacity": _bitmap(opacity), "base": plugin(base)}
        case Light(radiance):
            return {"type": "area", "radiance": _value(radiance)}


def _plastic(plastic: Plastic) -> Plugin:
    color = {"diffuse_reflectance": _value(plastic.color)}
    if plastic.roughness == 0:
        return {"type": "plastic", **color}
    rough = {"distribution": "ggx", "alpha": plastic.roughness, "int_ior": plastic.ior}
    return {"type": "roughplastic", **rough, **color}


def _metal(metal: Metal) -> Plugin:
    made: Plugin = {"type": "conductor"}
    if metal.roughness != 0:
        rough = metal.roughness
        alpha = _bitmap(rough) if isinstance(rough, Texture) else rough
        made = {"type": "roughconductor", "distribution": "ggx", "alpha": alpha}
    if metal.element:
        return made | {"material": metal.element}
    return made | {"material": "none", "specular_reflectance": _value(metal.color)}


def _value(color: Color) -> Plugin:
    if isinstance(color, Texture):
        return _bitmap(color)
    return {"type": "rgb", "value": list(color)}


def _bitmap(texture: Texture) -> Plugin:
    turn = mi.ScalarTransform4f().rotate([0, 0, 1], texture.turn)
    return {
        "type": "bitmap",
        "bitmap": mi.Bitmap(texture.image),
        "raw": True,
        "filter_type": "bilinear",
        "wrap_mode": "repeat",
        "to_uv": turn.scale([texture.scale, texture.scale, 1]),
    }


def _twosided(material: Plugin) -> Plugin:
    return {"type": "twosided", "material": material}
