"""Run by Nuke at start, with windows only: the menu, and what follows the artist's knobs."""

from __future__ import annotations

import traceback

import kpcn_nuke
import nuke


def add_menu() -> None:
    """Put KpcnDenoise into the node menu, and listen to its knobs."""
    nuke.menu("Nodes").addMenu("KPCN").addCommand(
        "KpcnDenoise", "import kpcn_nuke; kpcn_nuke.create()"
    )
    for kind in ("Group", "KpcnDenoise"):
        nuke.addKnobChanged(
            lambda: kpcn_nuke.knob_changed(nuke.thisNode(), nuke.thisKnob()), nodeClass=kind
        )


try:
    add_menu()
except Exception:  # whatever is wrong here, Nuke itself must start
    traceback.print_exc()
