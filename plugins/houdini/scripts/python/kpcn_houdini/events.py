"""What a ROP's scripts and events do. Called by Houdini on its main thread while it renders."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import hou
from kpcn_husk.render import ITEMS, make_hook

from kpcn_core import host_panel
from kpcn_core.errors import KpcnError, Refused
from kpcn_core.host_hook import Hook
from kpcn_core.host_landing import server_time
from kpcn_houdini import parms, rop, state

_hooks: dict[str, Hook] = {}  # by a ROP's path: its render that is going on
_since: dict[str, str] = {}  # likewise: when it began


def prepare(node: hou.Node) -> None:
    """Before husk starts: hand it the parms' values, as variables that it inherits."""
    for name in host_panel.environment(dict.fromkeys(ITEMS)):
        os.environ.pop(name, None)
    found = state.attached(node)
    try:
        values = {**environment(found), **host_panel.environment({"since": _now(found)})}
    except KpcnError as error:
        values = host_panel.environment({"enable": False})
        _failed(error, strict=parms.is_on(found, "strict"))
    os.environ.update(values)


def environment(node: hou.Node) -> dict[str, str]:
    """The variables for kpcn-husk-postframe.py; for farms that run husk themselves.

    Raises:
        Refused: a parm's value cannot be meant.
    """
    found = state.attached(node)
    values = _values(found)
    with suppress(Refused):  # husk's own script looks at its command and stage
        values["input"] = rop.files(found)
    return host_panel.environment(values)


def started(node: hou.Node) -> None:
    """A render begins."""
    path = state.attached(node).path()
    _hooks.pop(path, None)
    _since[path] = _now(node)


def landed(node: hou.Node, frame: float | None = None) -> None:
    """A frame was rendered.

    Args:
        node: the ROP.
        frame: which; None for Houdini's current one.
    """
    number = round(hou.frame() if frame is None else frame)
    _attempt(node, lambda hook: hook.landed(number))


def finished(node: hou.Node) -> None:
    """All frames were rendered."""
    _attempt(node, lambda hook: hook.finish())
    _hooks.pop(state.attached(node).path(), None)


def on_event(node: hou.RopNode, kind: hou.EnumValue, time: float) -> None:
    """A render event, where scripts are taken."""
    events = hou.ropRenderEventType
    if kind == events.PreRender:
        started(node)
    elif kind in (events.PostFrame, events.PostWrite):
        landed(node, hou.timeToFrame(time))
    elif kind == events.PostRender:
        finished(node)


def _attempt(node: hou.Node, action: Callable[[Hook], None]) -> None:
    """Denoise; whatever goes wrong is in the log, and stops the render only if it is to."""
    found = state.attached(node)
    strict = parms.is_on(found, "strict")
    try:
        if parms.is_on(found, "enable"):
            action(_hook(found))
    except KpcnError as error:
        _failed(error, strict)
    except Exception:  # a bug of ours
        if strict:
            raise
        traceback.print_exc()


def _failed(error: KpcnError, strict: bool) -> None:
    if strict:
        raise hou.OperationFailed(f"kpcn: {error}") from error
    _tell(f"kpcn: {error}")


def _hook(node: hou.OpNode) -> Hook:
    path = node.path()
    if path not in _hooks:
        values = {**_values(node), "since": _since.get(path, "")}
        _hooks[path] = make_hook(values, rop.files(node), _tell)
    return _hooks[path]


def _values(node: hou.OpNode) -> dict[str, str]:
    """By the names of ``kpcn_husk.render.ITEMS``, but for the files."""
    found = {**parms.values(node), **state.former_scripts(node)}
    found["frame_range"] = found.get("frame_range") or rop.frames(node)
    return found


def _now(node: hou.Node) -> str:
    """When this render began, for an artist; on a farm, other machines may have begun before."""
    if not hou.isUIAvailable():
        return ""
    try:
        return repr(server_time(Path(rop.files(state.attached(node))).parent))
    except KpcnError:
        return ""  # what is wrong is told when a frame is to be denoised


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
