"""LuxCore, in a process of its own: it prints at will, and takes over memory and threads."""

import re
import shlex
import sys
from importlib.util import find_spec
from pathlib import Path

from kpcn_core.errors import InvalidScene, MissingDependency
from kpcn_core.renderers.batched import Batched
from kpcn_core.renderers.command import CommandRenderer

PROGRAM = "kpcn_core.renderers.luxcore_program"
BATCHES = 4  # LuxCore gives no variance
FILM = {"width": 640, "height": 480}  # LuxCore's own defaults


def luxcore_renderer(scene: Path, batches: int = BATCHES, seconds: float | None = None) -> Batched:
    """A renderer of a LuxCore scene.

    The sampling map becomes the film's USER_IMPORTANCE. LuxCore gives every pixel at least a
    twentieth of the most, and stops near the total; what it did is read back from SAMPLECOUNT.

    Args:
        scene: its .cfg file, which names the rest.
        batches: renders that a pass is split into, whose spread is the variance.
        seconds: how long one render may take; None is forever.

    Raises:
        MissingDependency: pyluxcore is not installed.
        InvalidScene: there is no such file.
    """
    if find_spec("pyluxcore") is None:
        raise MissingDependency(
            "Rendering with LuxCore needs pyluxcore, which is not installed. "
            "Run: pip install 'kpcn[luxcore]'."
        )
    if not scene.is_file():
        raise InvalidScene(f"{scene}: no such scene file.")
    words = [sys.executable, "-m", PROGRAM, str(scene.resolve()), "{map}", "{output}", "{seed}"]
    # The placeholders must not be quoted, the rest may have to be.
    command = " ".join(word if word.startswith("{") else shlex.quote(word) for word in words)
    renderer = CommandRenderer(command, film_size(scene), seconds=seconds)
    return Batched(renderer, batches)


def film_size(scene: Path) -> tuple[int, int]:
    """(height, width) that a .cfg file asks for."""
    text = scene.read_text(encoding="utf-8", errors="replace")
    found = dict(re.findall(r"^\s*film\.(width|height)\s*=\s*\"?(\d+)", text, re.MULTILINE))
    return int(found.get("height", FILM["height"])), int(found.get("width", FILM["width"]))
