"""The result inside a node: which files its Read shows. On Nuke's main thread."""

from __future__ import annotations

import json
from collections.abc import Mapping

import nuke

from kpcn_nuke.node import READ, inner


def show(node: nuke.Node, file: str, first: int, last: int, look: Mapping[str, object]) -> None:
    """Have a node show a sequence, which may still be on its way.

    Args:
        node: a KpcnDenoise.
        file: the files' pattern.
        first: first frame of the input.
        last: last frame of the input.
        look: knobs of the Read, such as its color space.
    """
    node["result_file"].setValue(file)
    node["result_range"].setValue(f"{first}-{last}")
    node["result_look"].setValue(json.dumps(dict(look)))
    node["show"].setValue("result")
    restore(node)


def restore(node: nuke.Node) -> None:
    """Set up the Read from what the node's knobs say, and read its files again."""
    file = str(node["result_file"].value() or "")
    if not file:
        return
    read = inner(node, READ)
    first, last = _range(str(node["result_range"].value()))
    values = {"file": file, "first": first, "last": last, "origfirst": first, "origlast": last}
    look = json.loads(str(node["result_look"].value() or "{}"))
    for name, value in {**values, **look}.items():
        knob = read.knob(name)
        if knob is not None and knob.value() != value:
            knob.setValue(value)
    refresh(node)


def refresh(node: nuke.Node) -> None:
    """Drop what Nuke keeps of the files."""
    reload = inner(node, READ).knob("reload")
    assert isinstance(reload, nuke.Script_Knob)
    reload.execute()


def _range(text: str) -> tuple[int, int]:
    """First and last frame of a text such as 1001-1100 or -5--1."""
    head, _, tail = text[1:].partition("-")
    return int(text[0] + head), int(tail)
