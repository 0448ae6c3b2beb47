"""What husk runs after its frames. No `hou`, which would take a license; Python 3.9 syntax.

Values come as variables, KPCN_WINDOW and so on: `ITEMS` of ``render``, docs/houdini.md.
"""

from __future__ import annotations

import sys
from pathlib import Path


def _find_core() -> None:
    """Make kpcn_core importable: beside the plugins where they are installed, or the checkout.

    Only what hosts may import is there, so that nothing of Houdini's own Python is shadowed.
    """
    plugins = Path(__file__).resolve().parents[4]
    for folder in (plugins / "host", plugins.parent):
        if (folder / "kpcn_core" / "client.py").is_file() and str(folder) not in sys.path:
            sys.path.append(str(folder))


_find_core()

from kpcn_husk.script import postframe, postrender  # noqa: E402 - kpcn_core must be found first

__all__ = ["postframe", "postrender"]
