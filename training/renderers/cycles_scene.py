"""A scene in Blender; runs in Blender's own Python, see `cycles_program`."""

from dataclasses import dataclass
from math import radians
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Quaternion, Vector
from numpy.typing import NDArray

from training.renderers.cycles_materials import fog_material, hair_material, material, world
from training.scenes import scene as scene_of
from training.scenes import stored
from training.scenes.description import Camera, Pose
from training.scenes.extras import Extras, Fog, Hair, extras
from training.scenes.meshes import PRIMITIVES, Mesh
from training.scenes.stage import Placed, Stage

PASSES = (
    "diffuse_direct", "diffuse_indirect", "diffuse_color", "emit", "environment", "normal", "z",
)  # fmt: skip
CLAMP = 10.0  # Blender's own limit of indirect light


@dataclass(frozen=True)
class Settings:
    """What a scene is built for.

    Attributes:
        seed: of the procedural scene.
        size: (height, width).
        reach: frames around time 0.
        stage: the file of another scene, without additions; empty for the procedural one.
    """

    seed: int
    size: tuple[int, int]
    reach: int
    stage: str = ""

    def described(self) -> tuple[Stage, Extras]:
        """What to build."""
        if self.stage:
            return stored.load(Path(self.stage)), Extras()
        stage = scene_of(self.seed, self.size).stage
        return stage, extras(self.seed, stage)


def build(settings: Settings) -> None:
    """Replace whatever Blender holds by a scene."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    stage, added = settings.described()
    frames = range(-settings.reach - 1, settings.reach + 2)
    world(bpy.context.scene, stage.environment)
    for index, placed in enumerate(stage.objects):
        _place(index, placed, added, frames)
    if added.fog is not None:
        _fog(added.fog)
    _camera(stage.camera, settings.size, frames)
    _prepare(settings, added)


def render(request: dict[str, Any]) -> None:
    """Render one image of what was built to its file, a multilayer EXR by Blender's names."""
    scene = bpy.context.scene
    scene.frame_set(request["time"])
    scene.cycles.seed = request["stream"]
    # A part of a sequence of samples: all parts together are the whole, as evenly spread.
    first, total = request.get("part", (0, request["spp"]))
    scene.cycles.samples, scene.cycles.sample_subset_length = total, request["spp"]
    scene.cycles.use_sample_subset, scene.cycles.sample_offset = total > request["spp"], first
    scene.render.threads_mode = "FIXED" if request["threads"] else "AUTO"
    scene.render.threads = request["threads"] or 1
    scene.render.filepath = request["output"]
    bpy.ops.render.render(write_still=True)


def _prepare(settings: Settings, added: Extras) -> None:
    """Settings as Blender has them, but for adaptive sampling and its denoiser."""
    scene, layer = bpy.context.scene, bpy.context.view_layer
    render, cycles = scene.render, scene.cycles
    render.engine = "CYCLES"
    render.resolution_y, render.resolution_x = settings.size
    render.resolution_percentage = 100
    render.use_persistent_data = True  # the scene is not built again for each buffer
    render.use_compositing = render.use_sequencer = False
    render.use_file_extension = False
    cycles.use_adaptive_sampling = cycles.use_denoising = False
    cycles.sample_clamp_indirect = CLAMP if added.soft_clamp else 0.0
    # Cycles has no motion vectors where it blurs.
    render.use_motion_blur = added.shutter > 0 and settings.reach == 0
    render.motion_blur_shutter = added.shutter
    layer.use_pass_vector = settings.reach > 0
    for name in PASSES:
        setattr(layer, f"use_pass_{name}", True)
    image = render.image_settings
    image.media_type, image.file_format = "MULTI_LAYER_IMAGE", "OPEN_EXR_MULTILAYER"
    image.color_depth = "32"


def _place(index: int, placed: Placed, added: Extras, frames: range) -> None:
    shape, described, pose = placed
    mesh = shape if isinstance(shape, Mesh) else PRIMITIVES[shape]()
    made = _mesh(f"object{index:03d}", mesh, pose)
    pattern, skin = added.patterns.get(index), added.skin.get(index, 0.0)
    made.data.materials.append(material(made.name, described, pattern, skin))
    _animate(made, pose, frames)
    if index in added.subdivided:
        modifier = made.modifiers.new("smooth", "SUBSURF")
        modifier.levels = modifier.render_levels = added.subdivided[index]
    if index in added.hair:
        _hair(f"hair{index:03d}", added.hair[index], pose, frames)


def _mesh(name: str, mesh: Mesh, pose: Pose) -> Any:
    data = bpy.data.meshes.new(name)
    data.from_pydata(_shaped(mesh.positions, pose).tolist(), [], mesh.faces.tolist())
    layer = data.uv_layers.new()
    corners = mesh.texcoords[mesh.faces.ravel()].astype(np.float32)
    layer.data.foreach_set("uv", corners.ravel())
    data.polygons.foreach_set("use_smooth", np.full(len(mesh.faces), mesh.smooth))
    data.update()
    return _linked(name, data)


def _shaped(points: NDArray[np.float32], pose: Pose) -> NDArray[np.float32]:
    """Points of an object as they lie around its centre at time 0.

    Blender's objects have no shear, so that they only carry what changes with time.
    """
    turned = points @ pose.matrix(0)[:3, :3].T
    return np.asarray(turned, np.float32)


def _hair(name: str, hair: Hair, pose: Pose, frames: range) -> None:
    count, knots, _ = hair.strands.shape
    curves = bpy.data.hair_curves.new(name)
    curves.add_curves([knots] * count)
    curves.position_data.foreach_set("vector", _shaped(hair.strands, pose).ravel())
    taper = np.tile(np.linspace(1.0, 0.2, knots, dtype=np.float32), count)
    width = curves.attributes.get("radius") or curves.attributes.new("radius", "FLOAT", "POINT")
    width.data.foreach_set("value", taper * np.float32(hair.radius))
    curves.materials.append(hair_material(name, hair))
    _animate(_linked(name, curves), pose, frames)


def _fog(fog: Fog) -> None:
    low, high = np.array(fog.low), np.array(fog.high)
    pose = Pose((0.0, 0.0, 0.0), scale=tuple(((high - low) / 2).tolist()))
    box = _mesh("fog", PRIMITIVES["cube"](), pose)
    box.location = ((low + high) / 2).tolist()
    box.data.materials.append(fog_material("fog", fog))


def _camera(camera: Camera, size: tuple[int, int], frames: range) -> None:
    data = bpy.data.cameras.new("camera")
    made = _linked("camera", data)
    bpy.context.scene.camera = made
    data.sensor_fit = "HORIZONTAL"
    data.angle = radians(camera.fov)
    data.clip_start = 0.01
    if camera.aperture:
        data.dof.use_dof = True
        data.dof.focus_distance = camera.focus
        data.dof.aperture_fstop = data.lens * 1e-3 / (2 * camera.aperture)
    made.rotation_mode = "QUATERNION"
    for frame in frames if camera.moves else (0,):
        origin, target = map(Vector, camera.at(frame))
        made.location = origin
        made.rotation_quaternion = (target - origin).to_track_quat("-Z", "Y")
        if camera.moves:
            _keep(made, frame)


def _animate(made: Any, pose: Pose, frames: range) -> None:
    made.rotation_mode = "QUATERNION"
    for frame in frames if pose.moves else (0,):
        made.location = pose.place(frame)
        made.rotation_quaternion = Quaternion(Vector(pose.axis), radians(pose.spin * frame))
        if pose.moves:
            _keep(made, frame)


def _keep(made: Any, frame: int) -> None:
    """Keyframes of where an object is."""
    for path in ("location", "rotation_quaternion"):
        made.keyframe_insert(path, frame=frame)


def _linked(name: str, data: Any) -> Any:
    made = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(made)
    return made
