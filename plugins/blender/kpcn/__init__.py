"""The extension as Blender finds it; all that it does is in `kpcn_blender`.

`kpcn install blender` puts a copy of this folder among Blender's extensions, with the place of the
plugin in it. Where it stays, beside the plugin, the folder above is a repository of extensions.
"""

from __future__ import annotations

import sys
from pathlib import Path

PLUGIN = str(Path(__file__).resolve().parent.parent)
if PLUGIN not in sys.path:
    sys.path.append(PLUGIN)

from kpcn_blender import register, unregister  # noqa: E402 - it must be found first

__all__ = ["register", "unregister"]
