"""What is known about a ROP that kpcn hangs on; kept in the node, and so in the scene's file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import hou

from kpcn_core.errors import Refused

STATE = "kpcn"  # of the node's user data
HUSK = ("postframe", "postrender")  # husk's scripts that are ours


def read(node: hou.Node) -> dict[str, Any]:
    """What was set, and what was there before; empty if kpcn does not hang on the node."""
    found: dict[str, Any] = json.loads(node.userData(STATE) or "{}")
    return found


def write(node: hou.Node, content: Mapping[str, object]) -> None:
    """Keep it."""
    node.setUserData(STATE, json.dumps(content))


def forget(node: hou.Node) -> None:
    """Kpcn does not hang on the node any more."""
    node.destroyUserData(STATE)


def attached(node: hou.Node | None) -> hou.OpNode:
    """The node that kpcn hangs on: this one, or an asset around it whose scripts it runs.

    Raises:
        Refused: there is none.
    """
    found = node
    while found is not None and not read(found):
        found = found.parent()
    if not isinstance(found, hou.OpNode):
        raise Refused(
            f"{node.path() if node else 'This'}: kpcn is not attached. Call kpcn_houdini.attach."
        )
    return found


def former_scripts(node: hou.OpNode) -> dict[str, str]:
    """Husk's scripts that were set before ours, which run after ours."""
    was = read(node).get("was", {})
    return {
        f"then_{event}": hou.text.expandString(was.get(f"husk_{event}") or "") for event in HUSK
    }
