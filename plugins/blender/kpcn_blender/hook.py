"""Blender's render handlers: each frame is denoised once it can be (docs/blender.md).

Where there are windows, Blender calls them from the thread that renders: nothing is changed in
Blender from there. `look` does that, from a timer.
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable

import bpy
from bpy.app.handlers import persistent

from kpcn_blender import properties, result, session
from kpcn_blender.render import Render
from kpcn_core.errors import Cancelled, KpcnError

INTERVAL = 0.5  # seconds between two looks

_renders: dict[str, Render] = {}  # by name of the scene; the last one is kept
_shown: list[str] = []


def add() -> None:
    """Have Blender call us."""
    for name, handler in HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)


def remove() -> None:
    """Have Blender call us no more; what runs is given up."""
    for name, handler in HANDLERS.items():
        getattr(bpy.app.handlers, name).remove(handler)
    cancel()
    _renders.clear()


def cancel() -> None:
    """Give up what is not denoised yet."""
    for render in _renders.values():
        render.cancel()


def is_busy() -> bool:
    """Whether frames of a render are being denoised."""
    return any(render.running for render in _renders.values())


def look() -> float:
    """Called from time to time where there are windows: shows what is new."""
    for render in list(_renders.values()):
        _show(render)
    if list(session.lines) != _shown:
        _shown[:] = session.lines
        _redraw()
    return INTERVAL


@persistent
def _begun(scene: bpy.types.Scene, *_: object) -> None:
    _renders.pop(scene.name, None)
    if properties.of(scene).enabled:
        _told(lambda: _begin(scene), properties.of(scene).strict)


def _begin(scene: bpy.types.Scene) -> None:
    if is_busy():
        raise KpcnError("Another render is still being denoised. Wait for it, or press Cancel.")
    _renders[scene.name] = Render(scene)


@persistent
def _written(scene: bpy.types.Scene, *_: object) -> None:
    render = _renders.get(scene.name)
    if render:
        _told(lambda: render.landed(scene), render.strict)


@persistent
def _ended(scene: bpy.types.Scene, *_: object) -> None:
    render = _renders.get(scene.name)
    if render:
        _told(render.end, render.strict)
        if bpy.app.background:
            _told(render.wait, render.strict)
            _show(render)


@persistent
def _cancelled(scene: bpy.types.Scene, *_: object) -> None:
    render = _renders.get(scene.name)
    if render:
        render.cancel()


def _told(act: Callable[[], object], strict: bool) -> None:
    """Tell what went wrong; Blender itself goes on with the render, whatever a handler raises."""
    try:
        act()
        return
    except (KpcnError, Cancelled) as error:
        session.tell(f"kpcn: {error}")
    except Exception:
        session.tell(f"kpcn: {traceback.format_exc()}")
    if strict and bpy.app.background:
        session.end()
        raise SystemExit(1)


def _show(render: Render) -> None:
    """Have Blender know the results; those of a file that is closed by now are of no use to it."""
    for sequence in render.finished():
        if render.blend == bpy.data.filepath:
            _told(functools.partial(result.show, sequence), strict=False)


def _redraw() -> None:
    manager = bpy.context.window_manager
    for window in manager.windows if manager else ():
        for area in window.screen.areas:
            if area.type == "PROPERTIES":
                area.tag_redraw()


HANDLERS = {
    "render_init": _begun,
    "render_write": _written,
    "render_complete": _ended,
    "render_cancel": _cancelled,
}
