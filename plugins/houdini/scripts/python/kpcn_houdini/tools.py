"""What the shelf and the menu do, for the selected nodes."""

from __future__ import annotations

from collections.abc import Callable

import hou

from kpcn_core.errors import KpcnError
from kpcn_houdini import cop
from kpcn_houdini.attachment import attach, detach


def attach_selected() -> None:
    """Denoise after render."""
    _each(attach)


def detach_selected() -> None:
    """No more denoising."""
    _each(detach)


def set_up_selected_cops() -> None:
    """Turn Python Snippet COPs into denoisers."""
    _each(cop.set_up)


def _each(action: Callable[[hou.OpNode], None]) -> None:
    nodes = [node for node in hou.selectedNodes() if isinstance(node, hou.OpNode)]
    told = [] if nodes else ["Select the nodes first."]
    for node in nodes:
        try:
            action(node)
        except KpcnError as error:
            told.append(str(error))
    if told:
        hou.ui.displayMessage("\n".join(told), severity=hou.severityType.Warning, title="KPCN")
