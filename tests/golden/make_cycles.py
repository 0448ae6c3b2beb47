"""Writes cycles5_multipart.*.exr and cycles5_interleaved.exr with Blender itself.

Run with Python 3.11 in a folder of its own: `pip install bpy==5.0.1`, then `python make_cycles.py`.

An orthographic camera looks down on a checkered square that moves over a still, checkered floor, so
that motion in pixels is known: see `POSITIONS`.
"""

from pathlib import Path

import bpy

Rgb = tuple[float, float, float]

HERE = Path(__file__).parent
WIDTH, HEIGHT = 40, 28
POSITIONS = {0: (-5, -1), 1: (0, 0), 2: (3, 2), 3: (8, 3)}  # pixels, +x right, +y up
LIGHT = [
    f"{lobe}_{kind}"
    for lobe in ("diffuse", "glossy", "transmission")
    for kind in ("direct", "indirect", "color")
]
PASSES = (*LIGHT, "emit", "environment", "normal", "vector", "z")
FEW = ("diffuse_color", "vector")


def main() -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    add_camera(scene)
    plane("Floor", 24, 0.0, material("Floor", 5, (0.8, 0.2, 0.1), (0.1, 0.2, 0.6)))
    square = plane("Square", 14, 1.0, material("Square", 4, (0.1, 0.7, 0.2), (0.9, 0.8, 0.1)))
    animate(square)
    add_light()
    settings(scene)
    render(scene, 1, "cycles5_multipart.0001.exr", PASSES, interleaved=False)
    render(scene, 2, "cycles5_multipart.0002.exr", FEW, interleaved=False)
    render(scene, 1, "cycles5_interleaved.exr", FEW, interleaved=True)


def add_camera(scene: bpy.types.Scene) -> None:
    data = bpy.data.cameras.new("Camera")
    data.type, data.ortho_scale = "ORTHO", WIDTH  # one unit is one pixel
    camera = bpy.data.objects.new("Camera", data)
    camera.location = (0, 0, 10)
    scene.collection.objects.link(camera)
    scene.camera = camera


def plane(name: str, side: float, height: float, surface: bpy.types.Material) -> bpy.types.Object:
    bpy.ops.mesh.primitive_plane_add(size=side, location=(0, 0, height))
    thing = bpy.context.object
    thing.name = name
    thing.data.materials.append(surface)
    return thing


def material(name: str, side: float, first: Rgb, second: Rgb) -> bpy.types.Material:
    """Checkers of `side` pixels."""
    surface = bpy.data.materials.new(name)
    surface.use_nodes = True
    nodes, links = surface.node_tree.nodes, surface.node_tree.links
    checker = nodes.new("ShaderNodeTexChecker")
    checker.inputs["Scale"].default_value = 1 / side
    checker.inputs["Color1"].default_value = (*first, 1)
    checker.inputs["Color2"].default_value = (*second, 1)
    place = nodes.new("ShaderNodeTexCoord")
    shift = nodes.new("ShaderNodeVectorMath")
    shift.inputs[1].default_value = (0.5, 0.5, 0.5)  # away from the checkers' edge at z = 0
    links.new(place.outputs["Object"], shift.inputs[0])
    links.new(shift.outputs[0], checker.inputs["Vector"])
    links.new(checker.outputs["Color"], nodes["Principled BSDF"].inputs["Base Color"])
    return surface


def animate(thing: bpy.types.Object) -> None:
    for frame, (x, y) in POSITIONS.items():
        thing.location = (x, y, thing.location.z)
        thing.keyframe_insert("location", frame=frame)
    for layer in thing.animation_data.action.layers:
        for strip in layer.strips:
            for bag in strip.channelbags:
                for curve in bag.fcurves:
                    for key in curve.keyframe_points:
                        key.interpolation = "LINEAR"


def add_light() -> None:
    data = bpy.data.lights.new("Sun", "SUN")
    data.energy = 3
    light = bpy.data.objects.new("Sun", data)
    light.rotation_euler = (0.5, 0.2, 0)
    bpy.context.scene.collection.objects.link(light)


def settings(scene: bpy.types.Scene) -> None:
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.render.resolution_percentage = 100
    scene.render.film_transparent = True
    scene.render.use_motion_blur = False
    scene.cycles.samples = 4
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.use_denoising = False
    image = scene.render.image_settings
    image.media_type = "MULTI_LAYER_IMAGE"
    image.file_format = "OPEN_EXR_MULTILAYER"
    image.color_depth, image.exr_codec = "16", "ZIP"


def render(
    scene: bpy.types.Scene, frame: int, name: str, passes: tuple[str, ...], *, interleaved: bool
) -> None:
    layer = bpy.context.view_layer
    for each in PASSES:
        setattr(layer, f"use_pass_{each}", each in passes)
    layer.cycles.denoising_store_passes = passes is PASSES
    layer.cycles.pass_debug_sample_count = passes is PASSES
    scene.render.image_settings.use_exr_interleave = interleaved
    scene.frame_set(frame)
    scene.render.filepath = str(HERE / name)
    bpy.ops.render.render(write_still=True)


main()
