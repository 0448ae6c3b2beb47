"""husk --postframe-script: denoise each frame as it is written. Arguments: see docs/houdini.md.

husk runs the text of this file, with a `__name__` of its own, and hands it names such as `stage`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_plugin = Path(os.environ.get("KPCN_HOUDINI") or Path(sys._getframe().f_code.co_filename).parent)
sys.path.append(str(_plugin / "scripts" / "python"))

import kpcn_husk  # noqa: E402 - it must be found first

kpcn_husk.postframe(globals())
