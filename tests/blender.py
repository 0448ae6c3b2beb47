"""The real Blender for tests: as `make` installs it, or what KPCN_TEST_BLENDER names."""

import os
from pathlib import Path

import pytest

INSTALLED = Path(__file__).parent.parent / ".venv-bpy" / "bin" / "python"
# A Blender, or a Python that has bpy; empty if there is neither.
BLENDER = os.environ.get("KPCN_TEST_BLENDER") or (str(INSTALLED) if INSTALLED.exists() else "")

needs_blender = pytest.mark.skipif(
    not BLENDER, reason="Blender is not installed: `make` does, or set KPCN_TEST_BLENDER"
)


def start(script: Path, *arguments: str | Path) -> list[str]:
    """The command line that has Blender run a script."""
    words = [str(script), *map(str, arguments)]
    if "python" in Path(BLENDER).name:
        return [BLENDER, *words]
    return [BLENDER, "-b", "--python-exit-code", "1", "-P", words[0], "--", *words[1:]]
