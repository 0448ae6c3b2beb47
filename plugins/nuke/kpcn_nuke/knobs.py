"""The panel's knobs on a node, and their values as `Settings`."""

from __future__ import annotations

from collections.abc import Callable

import nuke

from kpcn_core import host_panel
from kpcn_core.host_panel import Item
from kpcn_core.host_settings import Settings
from kpcn_nuke.panel import PANEL


def _number(item: Item) -> nuke.Knob:
    knob = nuke.Double_Knob(item.name, item.label)
    knob.setRange(*map(float, item.choices))
    return knob


def _text(item: Item) -> nuke.Knob:
    return nuke.Text_Knob(item.name, item.label, str(item.value))


def _button(item: Item) -> nuke.Knob:
    return nuke.PyScript_Knob(item.name, item.label, str(item.value))


KINDS: dict[str, Callable[[Item], nuke.Knob]] = {
    "tab": lambda item: nuke.Tab_Knob(item.name, item.label),
    "text": _text,
    "button": _button,
    "string": lambda item: nuke.String_Knob(item.name, item.label),
    "file": lambda item: nuke.File_Knob(item.name, item.label),
    "choice": lambda item: nuke.Enumeration_Knob(item.name, item.label, list(item.choices)),
    "check": lambda item: nuke.Boolean_Knob(item.name, item.label),
    "number": _number,
}
WITHOUT_VALUE = ("tab", "text", "button")


def add(node: nuke.Node) -> None:
    """Give a node all knobs of the panel."""
    for item in PANEL:
        knob = KINDS[item.kind](item)
        if item.tip:
            knob.setTooltip(item.tip)
        if item.beside:
            knob.clearFlag(nuke.STARTLINE)
        elif item.kind in ("button", "check"):
            knob.setFlag(nuke.STARTLINE)
        if item.hidden:
            knob.setFlag(nuke.INVISIBLE)
        if item.kind not in WITHOUT_VALUE:
            knob.setValue(item.value)
        node.addKnob(knob)


def settings(node: nuke.Node) -> Settings:
    """What the artist set. Read it on the main thread, before anything is started.

    Raises:
        Refused: a text cannot be understood.
    """
    return host_panel.settings({name: node[name].value() for name in host_panel.ITEMS})
