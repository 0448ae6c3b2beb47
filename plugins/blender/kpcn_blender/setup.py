"""What a scene must render for its frames to be denoised, and how it was before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import bpy

from kpcn_core.errors import Refused

FORMAT = "OPEN_EXR_MULTILAYER"
# What the sources `cycles` and `cycles-4` read (kpcn_core/sources).
PASSES = ("diffuse_direct", "diffuse_indirect", "diffuse_color", "normal", "z")
MOTION = "use_pass_vector"
IMAGE = "render.image_settings"
FOLLOWERS = ("file_format", "color_mode", "color_depth")  # others, for another kind of image


@dataclass(frozen=True)
class Setting:
    """A value somewhere in a scene.

    Attributes:
        owner: path from the scene to what has it; empty for the scene.
        name: of the property.
        value: what it is to be.
    """

    owner: str
    name: str
    value: Any

    def now(self, scene: bpy.types.Scene) -> Any:
        """What it is; None if there is no such property, as media_type before Blender 5."""
        try:
            owner = scene.path_resolve(self.owner) if self.owner else scene
        except ValueError:  # a view layer that is gone, or Cycles is not there
            return None
        return getattr(owner, self.name, None)

    def set(self, scene: bpy.types.Scene) -> None:
        """Make it so."""
        setattr(scene.path_resolve(self.owner), self.name, self.value)


def apply(scene: bpy.types.Scene, window: int, before: str = "") -> str:
    """Have a scene render what is needed: the output's format, passes, and no other denoiser.

    Args:
        scene: which is changed.
        window: more than one frame needs motion.
        before: what this returned before, which is kept.

    Returns:
        How it was, for `restore`.
    """
    changed = json.loads(before or "[]")
    for setting in wanted(scene, window):
        if not _differs(scene, setting):
            continue
        follow = FOLLOWERS if setting.owner == IMAGE else ()
        others = [Setting(IMAGE, name, None).now(scene) for name in follow]
        changed.append([setting.owner, setting.name, setting.now(scene), setting.value, others])
        setting.set(scene)
    return json.dumps(changed)


def restore(scene: bpy.types.Scene, before: str) -> str:
    """Set what `apply` changed as it was, but for what the artist changed since.

    Returns:
        What is left to restore: nothing.
    """
    for owner, name, old, ours, others in json.loads(before or "[]"):
        if Setting(owner, name, old).now(scene) == ours:
            Setting(owner, name, old).set(scene)
            for follower, value in zip(FOLLOWERS, others):
                Setting(owner, follower, value).set(scene)
    return ""


def wanted(scene: bpy.types.Scene, window: int) -> Iterator[Setting]:
    """All that a scene needs; of properties that this Blender has."""
    yield Setting(IMAGE, "media_type", "MULTI_LAYER_IMAGE")
    yield Setting(IMAGE, "file_format", FORMAT)
    yield Setting("cycles", "use_denoising", False)
    motion = [MOTION] if window > 1 and not scene.render.use_motion_blur else []
    for layer in rendered_layers(scene):
        for name in (*(f"use_pass_{name}" for name in PASSES), *motion):
            yield Setting(f'view_layers["{bpy.utils.escape_identifier(layer.name)}"]', name, True)


def lacking(scene: bpy.types.Scene, window: int) -> list[str]:
    """What is not as it must be, for the panel."""
    found = (setting for setting in wanted(scene, window) if _differs(scene, setting))
    return list(dict.fromkeys(setting.name.replace("use_pass_", "pass ") for setting in found))


def rendered_layers(scene: bpy.types.Scene) -> list[bpy.types.ViewLayer]:
    """The view layers that will be in the file."""
    return [layer for layer in scene.view_layers if layer.use]


def check(scene: bpy.types.Scene, window: int) -> None:
    """What would be denoised wrongly, or not at all, whatever the files have.

    Raises:
        Refused: it is so.
    """
    render = scene.render
    if str(render.engine) != "CYCLES":
        raise Refused(f"The render engine is {render.engine}; only Cycles has the passes for it.")
    if render.image_settings.file_format != FORMAT:
        raise Refused(
            f"The output's format is {render.image_settings.file_format}; choose OpenEXR "
            f"MultiLayer, or press 'Set up' on the panel."
        )
    if render.use_multiview and render.image_settings.views_format != "INDIVIDUAL":
        raise Refused(
            "All views are written into one file. Choose 'Individual' as the output's Views Format."
        )
    if window > 1 and render.use_motion_blur and _has_motion(scene):
        raise Refused(
            "With motion blur, Cycles leaves the pass Vector empty. Switch the pass off and tick "
            "'estimate where there is none', or render without motion blur, or use a window of 1."
        )


def _has_motion(scene: bpy.types.Scene) -> bool:
    return any(layer.use_pass_vector for layer in rendered_layers(scene))


def _differs(scene: bpy.types.Scene, setting: Setting) -> bool:
    now = setting.now(scene)
    return now is not None and now != setting.value
