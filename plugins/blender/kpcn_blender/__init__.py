"""KPCN for Blender: Cycles renders are denoised by a kpcn worker (docs/blender.md).

Standard library, kpcn_core's host modules and Blender's own API; Python 3.9 syntax.
"""

from __future__ import annotations

import sys
from pathlib import Path


def _find_core() -> None:
    """Make kpcn_core importable: beside the plugins where they are installed, or the checkout.

    Only what hosts may import is there, so that nothing of Blender's own Python is shadowed.
    """
    plugins = Path(__file__).resolve().parent.parent.parent
    for folder in (plugins / "host", plugins.parent):
        if (folder / "kpcn_core" / "client.py").is_file() and str(folder) not in sys.path:
            sys.path.append(str(folder))


_find_core()

from kpcn_blender.addon import register, unregister  # noqa: E402 - kpcn_core must be found first

__all__ = ["register", "unregister"]
