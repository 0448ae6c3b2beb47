"""husk --postrender-script: denoise what is left, beside frames that were not rendered.

As kpcn-husk-postframe.py, which has to run too.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

_plugin = Path(os.environ.get("KPCN_HOUDINI") or Path(sys._getframe().f_code.co_filename).parent)
sys.path.append(str(_plugin / "scripts" / "python"))

import kpcn_husk  # noqa: E402 - it must be found first

kpcn_husk.postrender(globals())
