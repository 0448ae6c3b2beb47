"""What Blender gets from this add-on: classes, a property of scenes, render handlers, a timer."""

from __future__ import annotations

import bpy

from kpcn_blender import hook, operators, panel, properties, session

CLASSES = (*operators.CLASSES, *panel.CLASSES)


def register() -> None:
    """Called by Blender when the add-on is switched on."""
    properties.add()
    for kind in CLASSES:
        bpy.utils.register_class(kind)
    hook.add()
    if not bpy.app.background:
        bpy.app.timers.register(hook.look, persistent=True)


def unregister() -> None:
    """Called by Blender when it is switched off, and when Blender ends."""
    if bpy.app.timers.is_registered(hook.look):
        bpy.app.timers.unregister(hook.look)
    hook.remove()
    session.end()
    for kind in reversed(CLASSES):
        bpy.utils.unregister_class(kind)
    properties.remove()
