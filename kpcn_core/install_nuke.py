"""Nuke finds plugins by lines in the init.py of its home."""

import json
import re
from collections.abc import Callable
from pathlib import Path

BEGIN = "# kpcn: begin. Written by `kpcn install nuke`; `kpcn install nuke --uninstall` removes it."
END = "# kpcn: end"
LINES = r"# kpcn: begin[^\n]*\n(?:(?!# kpcn: ).*\n)*# kpcn: end[^\n]*(?:\n|\Z)"
# At the end, where we put it, with the empty line before; wherever else someone moved it, without.
BLOCK = re.compile(rf"(?:\r?\n)?{LINES}\Z|{LINES}")


def nuke(home: Path | None, plugin: Path, install: bool) -> list[tuple[Path, Callable[[str], str]]]:
    """The file to change, and how."""
    folder = home or Path.home() / ".nuke"
    return [(folder / "init.py", lambda text: _edited(text, plugin, install))]


def _edited(text: str, plugin: Path, install: bool) -> str:
    rest = BLOCK.sub("", text)
    if "# kpcn: begin" in rest:
        raise ValueError(f"it has a line '{BEGIN[:13]} …' without a line '{END}'")
    if not install:
        return rest
    end = "\r\n" if "\r\n" in rest else "\n"
    lines = [BEGIN, "import nuke", f"nuke.pluginAddPath({json.dumps(plugin.as_posix())})", END]
    return f"{rest}{end if rest else ''}{end.join(lines)}{end}"
