"""A scene for tests, made in Blender: a ball that moves over a checkered floor under a small light.

Imported in Blender's own Python, by code that `blender_host.Blender` sends.
"""

from typing import Any

import bpy

FRAMES = (1, 3)
WIDTH, HEIGHT = 64, 48


def make(output: str, samples: int = 4, seed: int = 0) -> Any:
    """A new file with the scene, which renders a PNG as Blender's own denoiser would have it."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene: Any = bpy.context.scene
    _camera(scene)
    _floor()
    _ball()
    light: Any = bpy.data.lights.new("Light", "AREA")
    light.energy, light.size = 300, 2
    _put(scene, light, (2, 1, 4))
    scene.frame_start, scene.frame_end = FRAMES
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y, render.resolution_percentage = WIDTH, HEIGHT, 100
    render.threads_mode, render.threads = "FIXED", 1
    cycles.samples, cycles.seed = samples, seed
    cycles.use_adaptive_sampling = False
    cycles.use_denoising = True
    render.filepath = output
    return scene


def render(scene: Any) -> None:
    """Render the animation."""
    bpy.ops.render.render(animation=True, scene=scene.name)


def _put(scene: Any, data: Any, place: tuple[float, float, float]) -> Any:
    thing = bpy.data.objects.new(data.name, data)
    thing.location = place
    scene.collection.objects.link(thing)
    return thing


def _camera(scene: Any) -> None:
    camera = _put(scene, bpy.data.cameras.new("Camera"), (0, -6, 4))
    camera.rotation_euler = (1.0, 0, 0)
    scene.camera = camera


def _floor() -> None:
    bpy.ops.mesh.primitive_plane_add(size=20)
    material: Any = bpy.data.materials.new("Floor")
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    checker = nodes.new("ShaderNodeTexChecker")
    checker.inputs["Scale"].default_value = 12
    links.new(checker.outputs["Color"], nodes["Principled BSDF"].inputs["Base Color"])
    floor: Any = bpy.context.object
    floor.data.materials.append(material)


def _ball() -> None:
    bpy.ops.mesh.primitive_uv_sphere_add(segments=16, ring_count=8)
    ball: Any = bpy.context.object
    for frame, x in zip(FRAMES, (-1, 1), strict=True):
        ball.location = (x, 0, 1)
        ball.keyframe_insert("location", frame=frame)
