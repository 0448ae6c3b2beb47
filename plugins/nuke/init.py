"""Run by Nuke at start, in every mode. Nothing is denoised, and no worker started, from here."""

from __future__ import annotations

import kpcn_nuke
import nuke

# A gizmo's inner nodes are not saved with the script; what its Read shows is kept in its knobs.
nuke.addOnCreate(lambda: kpcn_nuke.reload(nuke.thisNode()), nodeClass="KpcnDenoise")
