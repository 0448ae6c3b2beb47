"""Which files a scene says that it renders, from its USD stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kpcn_core.host_frames import pattern_of
from kpcn_core.sequence_pattern import PLACEHOLDER


def pattern(stage: Any, frames: Sequence[int]) -> str:
    """The files of the first render product that has a name; empty if there is none.

    Args:
        stage: a `Usd.Stage`.
        frames: some frames of the render.
    """
    for prim in stage.Traverse():
        if str(prim.GetTypeName()) == "RenderProduct":
            attribute = prim.GetAttribute("productName")
            found = _pattern(attribute, frames) if attribute else ""
            if found:
                return found
    return ""


def _pattern(attribute: Any, frames: Sequence[int]) -> str:
    # A name that changes with the frame has a sample for each; another may have a placeholder.
    times = [int(time) for time in attribute.GetTimeSamples()][:2] or list(frames[:1]) or [1]
    names = {time: str(attribute.Get(time) or "") for time in times}
    first = next(iter(names.values()))
    if not first or PLACEHOLDER.search(first):
        return first
    return pattern_of(names) or ""
