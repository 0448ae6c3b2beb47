"""kpcn in Houdini: frames of a ROP are denoised as they are rendered (docs/houdini.md).

What scripts, shelf tools and ROPs call is here. Standard library, kpcn_core's host modules and
Houdini's own API; Python 3.9 syntax.

Example:
    >>> import kpcn_houdini as kpcn
    >>> kpcn.attach(hou.node("/out/mantra1"))
"""

from __future__ import annotations

import kpcn_husk  # noqa: F401 - makes kpcn_core importable

from kpcn_houdini.attachment import attach, detach
from kpcn_houdini.events import environment, finished, landed, prepare, started
from kpcn_houdini.tools import attach_selected, detach_selected, set_up_selected_cops

__all__ = [
    "attach",
    "attach_selected",
    "detach",
    "detach_selected",
    "environment",
    "finished",
    "landed",
    "prepare",
    "set_up_selected_cops",
    "started",
]
