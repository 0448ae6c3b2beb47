"""Write plugins/nuke/KpcnDenoise.gizmo after the panel changed: python -m tests.write_gizmo."""

import sys

from tests.fakes import nuke
from tests.nuke_host import PLUGIN

if __name__ == "__main__":
    sys.modules["nuke"] = nuke
    sys.path.insert(0, str(PLUGIN))
    from kpcn_nuke import gizmo

    (PLUGIN / "KpcnDenoise.gizmo").write_text(gizmo.text(), encoding="utf-8")
