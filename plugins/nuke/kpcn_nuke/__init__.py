"""KpcnDenoise for Nuke: a node that has its input denoised by a kpcn worker (docs/nuke.md).

What Nuke's menus, buttons and callbacks call is here. Standard library, kpcn_core's host modules
and Nuke's own API; Python 3.9 syntax.
"""

from __future__ import annotations

import sys
from pathlib import Path


def _find_core() -> None:
    """Make kpcn_core importable: beside the plugins where they are installed, or the checkout.

    Only what hosts may import is there, so that nothing of Nuke's own Python is shadowed.
    """
    plugins = Path(__file__).resolve().parent.parent.parent
    for folder in (plugins / "host", plugins.parent):
        if (folder / "kpcn_core" / "client.py").is_file() and str(folder) not in sys.path:
            sys.path.append(str(folder))


_find_core()

from kpcn_nuke.actions import (  # noqa: E402 - kpcn_core must be found first
    cancel,
    denoise_frame,
    denoise_range,
    find_layers,
    knob_changed,
    reload,
)
from kpcn_nuke.node import create  # noqa: E402

__all__ = [
    "cancel",
    "create",
    "denoise_frame",
    "denoise_range",
    "find_layers",
    "knob_changed",
    "reload",
]
