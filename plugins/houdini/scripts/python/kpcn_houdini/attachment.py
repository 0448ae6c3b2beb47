"""Hang kpcn on a ROP, and take it off again. On Houdini's main thread.

Where husk renders, its own post-frame script is used: a ROP's script runs after the scene is
written, which may be before the picture is. Other ROPs have scripts, or render events. Each parm is
looked up before it is used, one that is taken stays as it is, and all others are put back.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import hou

from kpcn_core.errors import Refused
from kpcn_houdini import events, parms, state
from kpcn_houdini.state import HUSK

CALL = "import hou, kpcn_houdini; kpcn_houdini.{}(hou.pwd())"

Values = dict[str, Any]  # parm to value


def attach(node: hou.OpNode) -> None:
    """Have each frame of a ROP denoised once it is rendered.

    It gets parms for how; calling it again changes nothing.

    Raises:
        Refused: it is no ROP, is locked, or its scripts are taken.
    """
    if state.read(node):
        return
    if node.isInsideLockedHDA():
        raise Refused(f"{node.path()}: is inside a locked asset. Unlock that, or render outside.")
    wanted, callback = _plan(node)
    with hou.undos.group("kpcn: denoise after render"):
        parms.add(node)
        was = {name: _value(node, name) for name in wanted}
        for name, value in wanted.items():
            _set(node, name, value)
        state.write(node, {"set": wanted, "was": was, "callback": callback})
    if callback:
        _callback_of(node, "add")


def detach(node: hou.OpNode) -> None:
    """Undo `attach`: the ROP is as it was; what was changed by hand since stays."""
    kept = state.read(node)
    if not kept:
        return
    with hou.undos.group("kpcn: no more denoising"):
        for name, value in kept["was"].items():
            if node.parm(name) is not None and _value(node, name) == kept["set"][name]:
                _set(node, name, value)
        parms.remove(node)
        state.forget(node)
    if kept["callback"]:
        _callback_of(node, "remove")


def _plan(node: hou.OpNode) -> tuple[Values, bool]:
    """What to set, and whether render events have to be listened to."""
    if node.parm("husk_postframe") is not None:
        variables = _script(node, "prerender", "prepare")
        if not variables:
            raise _taken(node, "prerender")
        return {**_husk(node), **variables}, False
    written = "postwrite" if node.parm("postwrite") is not None else "postframe"
    wanted = _script(node, written, "landed")
    if not wanted:
        if not hasattr(node, "addRenderEventCallback"):
            raise _taken(node, written)
        return _waiting(node), True
    for event, function in (("prerender", "started"), ("postrender", "finished")):
        wanted |= _script(node, event, function)
    return {**wanted, **_waiting(node)}, False


def _husk(node: hou.OpNode) -> Values:
    folder = _plugin()
    wanted: Values = {}
    for event in HUSK:
        parm = node.parm(f"husk_{event}")
        if parm is None:
            continue
        if parm.keyframes():
            raise Refused(f"{node.path()}: {parm.name()} is an expression. Make it a plain path.")
        wanted[parm.name()] = (folder / f"kpcn-husk-{event}.py").as_posix()
        wanted[f"husk_t{event}"] = 1
    return {name: value for name, value in wanted.items() if node.parm(name) is not None}


def _plugin() -> Path:
    folder = Path(os.environ.get("KPCN_HOUDINI") or Path(__file__).resolve().parents[3])
    if " " in folder.as_posix():
        raise Refused(f"{folder}: husk takes no path with spaces. Put the plugin elsewhere.")
    return folder


def _script(node: hou.OpNode, event: str, function: str) -> Values:
    """The parms of one script; none if the ROP has no such script, or it is taken."""
    if node.parm(event) is None or not _is_free(node, event):
        return {}
    wanted = {f"l{event}": "python", event: CALL.format(function), f"t{event}": 1}
    return {name: value for name, value in wanted.items() if node.parm(name) is not None}


def _waiting(node: hou.OpNode) -> Values:
    """Have the ROP wait for its renderer, so that the picture is there when its scripts run."""
    return {"soho_foreground": 1} if node.parm("soho_foreground") is not None else {}


def _is_free(node: hou.OpNode, name: str) -> bool:
    parm = node.parm(name)
    return parm is None or (not parm.keyframes() and not parm.rawValue().strip())


def _taken(node: hou.OpNode, event: str) -> Refused:
    function = {"prerender": "prepare"}.get(event, "landed")
    return Refused(
        f"{node.path()}: its script '{event}' is missing or taken. Empty it, or add to it: "
        f"{CALL.format(function)}"
    )


def _value(node: hou.OpNode, name: str) -> object:
    """As it was typed: a text with its variables."""
    parm = node.parm(name)
    assert parm is not None
    value = parm.eval()
    return parm.unexpandedString() if isinstance(value, str) else value


def _set(node: hou.OpNode, name: str, value: Any) -> None:
    parm = node.parm(name)
    assert parm is not None
    parm.set(value)


def _callback_of(node: hou.OpNode, action: str) -> None:
    """Listen to a ROP's render events, or no more; Houdini forgets them with the session."""
    assert isinstance(node, hou.RopNode)
    try:
        getattr(node, f"{action}RenderEventCallback")(events.on_event)
    except hou.OperationFailed:
        return  # it was added in an earlier session
