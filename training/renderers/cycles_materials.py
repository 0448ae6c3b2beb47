"""Materials, fog and skies as Blender's nodes; runs in Blender's own Python, see `cycles_program`.

`roughness` of a description is GGX's alpha, of which Blender's roughness is the square root.
"""

from math import radians, sqrt
from typing import Any

import bpy
import numpy as np

from training.scenes.description import (
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
from training.scenes.extras import Fog, Hair, Pattern
from training.scenes.textures import Image

# Reflectance at normal incidence, about.
ELEMENTS = {
    "Al": (0.91, 0.92, 0.92), "Ag": (0.97, 0.96, 0.91), "Au": (1.0, 0.77, 0.34),
    "Cu": (0.95, 0.64, 0.54), "Cr": (0.55, 0.55, 0.55), "W": (0.5, 0.49, 0.48),
}  # fmt: skip
SHEET = 0.08  # what a pane reflects
PATTERN_NODES = {
    "noise": "ShaderNodeTexNoise", "voronoi": "ShaderNodeTexVoronoi", "wave": "ShaderNodeTexWave",
    "brick": "ShaderNodeTexBrick", "magic": "ShaderNodeTexMagic",
    "checker": "ShaderNodeTexChecker",
}  # fmt: skip


class Nodes:
    """A node tree in the making."""

    def __init__(self, tree: Any) -> None:
        self.tree = tree
        tree.nodes.clear()

    def add(self, kind: str, **inputs: Any) -> Any:
        """A node; inputs by their names with _ for spaces, values or sockets."""
        node = self.tree.nodes.new(f"ShaderNode{kind}")
        for name, value in inputs.items():
            self.set(node.inputs[name.replace("_", " ")], value)
        return node

    def set(self, socket: Any, value: Any) -> None:
        """Connect a socket, or give it a value; colors get their alpha."""
        if hasattr(value, "links"):
            self.tree.links.new(value, socket)
        elif isinstance(value, tuple) and len(socket.default_value) == 4:
            socket.default_value = (*value, 1.0)
        else:
            socket.default_value = value

    def finish(self, kind: str, **inputs: Any) -> None:
        """The output node."""
        self.add(f"Output{kind}", **inputs)


def material(name: str, described: Material, pattern: Pattern | None, skin: float) -> Any:
    """A material of Blender's.

    Args:
        name: of it.
        described: what it is like.
        pattern: replaces the color of what has one.
        skin: how far light enters, metres; 0 is opaque.
    """
    made = _new_material(name)
    nodes = Nodes(made.node_tree)
    color, normal = None, None
    if pattern is not None:
        color, normal = _pattern(nodes, pattern)
    shader = _shader(nodes, described, color, skin)
    if normal is not None:
        nodes.set(shader.node.inputs["Normal"], normal)
    nodes.finish("Material", Surface=shader)
    return made


def hair_material(name: str, hair: Hair) -> Any:
    """A material of strands."""
    made = _new_material(name)
    nodes = Nodes(made.node_tree)
    strand = nodes.add("BsdfHairPrincipled", Color=hair.color, Roughness=hair.roughness)
    nodes.finish("Material", Surface=strand.outputs[0])
    return made


def fog_material(name: str, fog: Fog) -> Any:
    """A material of a participating medium, even or in patches."""
    made = _new_material(name)
    nodes = Nodes(made.node_tree)
    density: Any = fog.density
    if fog.patches:
        place = nodes.add("TexCoord").outputs["Object"]
        noise = nodes.add("TexNoise", Vector=place, Scale=fog.patches, Detail=2.0)
        steep = _math(nodes, "MULTIPLY_ADD", noise.outputs["Factor"], 6.0, -2.5)
        density = _math(nodes, "MULTIPLY", _math(nodes, "MAXIMUM", steep, 0.0), fog.density)
    medium = nodes.add(
        "VolumePrincipled", Color=fog.color, Density=density, Anisotropy=fog.anisotropy
    )
    nodes.finish("Material", Volume=medium.outputs[0])
    return made


def world(scene: Any, environment: Environment | None) -> None:
    """The light around a scene; none is black."""
    scene.world = bpy.data.worlds.new("world")
    scene.world.use_nodes = True
    nodes = Nodes(scene.world.node_tree)
    light = nodes.add("Background", Color=(0.0, 0.0, 0.0))
    if environment is not None:
        sky = nodes.add("TexEnvironment", Vector=_turned(nodes, environment.turn))
        sky.image = _image("sky", environment.image)
        nodes.set(light.inputs["Color"], sky.outputs["Color"])
    nodes.finish("World", Surface=light.outputs[0])


def _new_material(name: str) -> Any:
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    return made


def _shader(nodes: Nodes, described: Material, color: Any, skin: float) -> Any:
    """The socket of a surface; `color` is a socket that replaces its own, or None."""
    match described:
        case Matte(own):
            return _matte(nodes, color or _color(nodes, own), skin)
        case Plastic(own, roughness, ior):
            base = color or _color(nodes, own)
            looks = {"Base_Color": base, "Roughness": sqrt(roughness), "IOR": ior}
            return nodes.add("BsdfPrincipled", **looks, **_skin(skin)).outputs[0]
        case Metal():
            return _metal(nodes, described)
        case Glass(ior, roughness):
            return nodes.add("BsdfGlass", IOR=ior, Roughness=sqrt(roughness)).outputs[0]
        case Pane():
            clear, glossy = nodes.add("BsdfTransparent"), nodes.add("BsdfGlossy", Roughness=0.0)
            return _mixed(nodes, SHEET, clear.outputs[0], glossy.outputs[0])
        case Leaf(base, opacity):
            clear, leaf = nodes.add("BsdfTransparent"), _shader(nodes, base, color, 0.0)
            return _mixed(nodes, _texture(nodes, opacity), clear.outputs[0], leaf)
        case Light(radiance):
            return nodes.add("Emission", Color=radiance, Strength=1.0).outputs[0]


def _matte(nodes: Nodes, color: Any, skin: float) -> Any:
    if not skin:
        return nodes.add("BsdfDiffuse", Color=color).outputs[0]
    looks = {"Base_Color": color, "Roughness": 0.6, **_skin(skin)}
    return nodes.add("BsdfPrincipled", **looks).outputs[0]


def _skin(depth: float) -> dict[str, float]:
    return {"Subsurface_Weight": 1.0, "Subsurface_Scale": depth} if depth else {}


def _metal(nodes: Nodes, metal: Metal) -> Any:
    color = ELEMENTS[metal.element] if metal.element else _color(nodes, metal.color)
    rough: Any = metal.roughness
    if isinstance(rough, Texture):
        rough = _math(nodes, "SQRT", _texture(nodes, rough))
    else:
        rough = sqrt(rough)
    looks = {"Base_Color": color, "Metallic": 1.0, "Roughness": rough}
    return nodes.add("BsdfPrincipled", **looks).outputs[0]


def _color(nodes: Nodes, color: Color) -> Any:
    return _texture(nodes, color) if isinstance(color, Texture) else color


def _texture(nodes: Nodes, texture: Texture) -> Any:
    """The socket of an image on a surface."""
    place = nodes.add("TexCoord").outputs["UV"]
    scale = (texture.scale,) * 3
    mapping = nodes.add("Mapping", Vector=place, Rotation=(0.0, 0.0, radians(texture.turn)))
    mapping.inputs["Scale"].default_value = scale
    image = nodes.add("TexImage", Vector=mapping.outputs[0])
    image.image = _image("texture", texture.image)
    return image.outputs["Color"]


def _pattern(nodes: Nodes, pattern: Pattern) -> tuple[Any, Any]:
    """The sockets of its color and, if it has a relief, of the normal."""
    place = nodes.add("TexCoord").outputs["Object"]
    texture = nodes.add(
        PATTERN_NODES[pattern.kind].removeprefix("ShaderNode"), Vector=place, Scale=pattern.scale
    )
    if "Distortion" in texture.inputs:
        texture.inputs["Distortion"].default_value = pattern.distortion
    # Each kind has an output between 0 and 1, under one of these names.
    names = ("Factor", "Fac", "Distance")
    value = next(texture.outputs[name] for name in names if name in texture.outputs)
    ramp = nodes.add("ValToRGB", Fac=value)
    for element, color in zip(ramp.color_ramp.elements, pattern.colors, strict=True):
        element.color = (*color, 1.0)
    if not pattern.bump:
        return ramp.outputs["Color"], None
    relief = nodes.add("Bump", Height=value, Distance=pattern.bump)
    return ramp.outputs["Color"], relief.outputs[0]


def _mixed(nodes: Nodes, share: Any, first: Any, second: Any) -> Any:
    """A mixture of two shaders; `share` of the second."""
    node = nodes.add("MixShader")
    for socket, value in zip(node.inputs, (share, first, second), strict=True):
        nodes.set(socket, value)
    return node.outputs[0]


def _math(nodes: Nodes, operation: str, *values: Any) -> Any:
    node = nodes.add("Math")
    node.operation = operation
    for socket, value in zip(node.inputs, values, strict=False):
        nodes.set(socket, value)
    return node.outputs[0]


def _turned(nodes: Nodes, degrees: float) -> Any:
    place = nodes.add("TexCoord").outputs["Generated"]
    mapping = nodes.add("Mapping", Vector=place, Rotation=(0.0, 0.0, radians(degrees)))
    return mapping.outputs[0]


def _image(name: str, pixels: Image) -> Any:
    """An image [H,W,C] of linear values in Blender, whose first row is the lowest."""
    height, width, channels = pixels.shape
    made = bpy.data.images.new(name, width, height, alpha=False, float_buffer=True)
    made.colorspace_settings.name = "Non-Color"
    opaque = np.ones((height, width, 4), np.float32)
    opaque[..., :3] = pixels[::-1] if channels == 3 else pixels[::-1, :, :1]
    made.pixels.foreach_set(opaque.ravel())
    made.update()
    return made
