"""Rendering a graph to EXR files that the worker can read. On Nuke's main thread."""

from __future__ import annotations

import filecmp
import os
import re
import shutil
import tempfile
from atexit import register
from functools import lru_cache
from pathlib import Path

import nuke

from kpcn_core.errors import Cancelled, Refused
from kpcn_core.host_frames import stretches

# What must be as it is, whatever a studio's defaults are: all values as Nuke has them, one part.
WRITE = (
    ("file_type", "exr"),
    ("raw", True),
    ("datatype", "32 bit float"),
    ("compression", "Zip (1 scanline)"),
    ("metadata", "all metadata"),
    ("interleave", "channels, layers and views"),
    ("autocrop", False),
    ("use_limit", False),
    ("write_ACES_compliant_EXR", False),
)
NEEDED = ("file_type", "raw", "datatype")


def render(
    source: nuke.Node, name: str, channels: str, frames: list[int], still: int | None = None
) -> str:
    """Write frames of a node to the session's own folder; what has not changed stays untouched.

    Args:
        source: whose picture.
        name: of the folder, for this node and purpose.
        channels: as in Nuke's Write: "all", "rgba" …
        frames: which, in order.
        still: number to name a single frame by; None to name each by its own.

    Returns:
        The files' pattern, with a %V if the script has several views.

    Raises:
        Refused: Nuke is in proxy mode, or cannot render the node.
        Cancelled: the artist stopped it.
    """
    if nuke.root()["proxy"].value():
        raise Refused("Proxy mode is on, and the input must be rendered in full. Switch it off.")
    folder = _session_folder() / re.sub(r"\W+", "_", name)
    fresh = folder / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)  # of a render that was cancelled
    fresh.mkdir(parents=True)
    views = nuke.views()
    number = "%04d" if still is None else f"{still:04d}"
    file = f"%V.{number}.exr" if len(views) > 1 else f"frame.{number}.exr"
    nuke.Undo.disable()  # the artist's next undo must not find our Write
    try:
        _execute(source, (fresh / file).as_posix(), channels, frames, views)
    finally:
        nuke.Undo.enable()
    for path in sorted(fresh.glob("*.exr")):
        _keep(path, folder / path.name)
    return (folder / file).as_posix()


def _execute(
    source: nuke.Node, file: str, channels: str, frames: list[int], views: list[str]
) -> None:
    write = _write_node(source, file, channels)
    try:
        for first, last in stretches(frames):
            nuke.execute(write, first, last, 1, views)
    except RuntimeError as error:
        if "cancel" in str(error).lower():
            raise Cancelled("Cancelled.") from error
        raise Refused(f"{source.fullName()}: Nuke cannot render it: {error}") from error
    finally:
        nuke.delete(write)


def _write_node(source: nuke.Node, file: str, channels: str) -> nuke.Node:
    """A Write for this once, beside the source; a lasting one would be in every 'Render all'."""
    with source.parent():
        write = nuke.nodes.Write(inputs=[source])
    for name, value in (("file", file), *WRITE, ("channels", channels)):
        # Knobs of the EXR writer appear with the file type, and differ between versions of Nuke.
        knob = write.knob(name)
        if knob is not None:
            knob.setValue(value)
        elif name in NEEDED:
            nuke.delete(write)
            raise Refused(f"This Nuke's Write has no knob '{name}', which is needed.")
    return write


def _keep(fresh: Path, kept: Path) -> None:
    """Replace a file unless it is the same, so that what was made of it still fits."""
    if kept.exists() and filecmp.cmp(fresh, kept, shallow=False):
        fresh.unlink()
    else:
        fresh.replace(kept)


@lru_cache(maxsize=1)
def _session_folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="kpcn-", dir=os.environ.get("NUKE_TEMP_DIR")))
    register(shutil.rmtree, folder, ignore_errors=True)
    return folder
