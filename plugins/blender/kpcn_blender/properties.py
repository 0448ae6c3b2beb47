"""The panel's fields on a scene: those of all hosts, and Blender's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bpy

from kpcn_blender import setup
from kpcn_core import host_panel
from kpcn_core.host_panel import ITEMS, Item
from kpcn_core.host_settings import Settings

NAME = "kpcn"  # of the property of scenes


def of(scene: bpy.types.Scene) -> Any:
    """The fields of a scene."""
    return getattr(scene, NAME)


def scene_of(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene that the panel shows; where there is a panel, there is one."""
    assert context.scene is not None
    return context.scene


def settings(scene: bpy.types.Scene) -> Settings:
    """What the artist set.

    Raises:
        Refused: a text cannot be understood.
    """
    fields = of(scene)
    return host_panel.settings({name: getattr(fields, name) for name in ITEMS})


def _prepare(fields: Any, context: bpy.types.Context | None = None) -> None:
    """Have the scene rendered with what is needed, or as it was before."""
    scene = fields.id_data
    if fields.enabled:
        fields.before = setup.apply(scene, int(fields.window), fields.before)
    else:
        fields.before = setup.restore(scene, fields.before)


def _text(item: Item) -> Any:
    return bpy.props.StringProperty(name=item.label, description=item.tip, default=str(item.value))


def _file(item: Item) -> Any:
    return bpy.props.StringProperty(
        name=item.label, description=item.tip, default=str(item.value), subtype="FILE_PATH"
    )


def _choice(item: Item) -> Any:
    return bpy.props.EnumProperty(
        name=item.label,
        description=item.tip,
        items=[(choice, choice, "") for choice in item.choices],
        default=str(item.value),
        update=_prepare if item.name == "window" else None,
    )


def _check(item: Item) -> Any:
    return bpy.props.BoolProperty(name=item.label, description=item.tip, default=bool(item.value))


def _number(item: Item) -> Any:
    low, high = map(float, item.choices)
    return bpy.props.FloatProperty(
        name=item.label,
        description=item.tip,
        default=float(item.value),
        soft_min=low,
        soft_max=high,
    )


def _switch(label: str, tip: str, update: Callable[..., None] | None = None) -> Any:
    return bpy.props.BoolProperty(name=label, description=tip, update=update)


def _hidden() -> Any:
    return bpy.props.StringProperty(options={"HIDDEN"})


KINDS: dict[str, Callable[[Item], Any]] = {
    "string": _text,
    "file": _file,
    "choice": _choice,
    "check": _check,
    "number": _number,
}


class KpcnSettings(bpy.types.PropertyGroup):
    """All fields; those of `host_panel` under their own names."""

    __annotations__ = {
        **{name: KINDS[item.kind](item) for name, item in ITEMS.items()},
        "enabled": _switch(
            "KPCN denoising",
            "Denoise each frame once it is rendered; sets up what that needs",
            update=_prepare,
        ),
        "strict": _switch(
            "stop at failures",
            "blender -b ends with an error when a frame cannot be denoised",
        ),
        "farm": _switch(
            "several machines",
            "Others render frames of this, too: leave to them what waits for theirs",
        ),
        "before": _hidden(),  # what the scene had, see setup.py
    }


def _pointer() -> Any:
    return bpy.props.PointerProperty(type=KpcnSettings)


def add() -> None:
    """Give all scenes the fields."""
    bpy.utils.register_class(KpcnSettings)
    setattr(bpy.types.Scene, NAME, _pointer())


def remove() -> None:
    """Take them away; what files have of them stays in there."""
    delattr(bpy.types.Scene, NAME)
    bpy.utils.unregister_class(KpcnSettings)
