"""The panel's knobs on a node, and their values as `Settings`."""

from __future__ import annotations

from collections.abc import Callable

import nuke

from kpcn_core.host_settings import Motion, Settings, assignments, names
from kpcn_nuke.panel import FIELDS, PANEL, Item


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
    layers = {aov: _text_of(node, f"aov_{aov}") for aov in FIELDS}
    return Settings(
        source=_text_of(node, "source_file") or _text_of(node, "source"),
        layers={**layers, **assignments(_text_of(node, "more_layers"), "Layers: more")},
        motion=_motion(node),
        aovs=names(_text_of(node, "clean")),
        model=_text_of(node, "model"),
        window=int(_text_of(node, "window")),
        flow=_is_on(node, "flow"),
        asymmetry=_number_of(node, "asymmetry"),
        asymmetry_layer=_text_of(node, "asymmetry_layer"),
        extra=assignments(_text_of(node, "extra_layers"), "Layers: and the layers"),
        error_map=_is_on(node, "error_map"),
        overwrite=_is_on(node, "overwrite"),
    )


def _motion(node: nuke.Node) -> Motion:
    return Motion(
        forward=_text_of(node, "forward_layer"),
        backward=_text_of(node, "backward_layer"),
        units=_text_of(node, "motion_units"),
        scale=(_number_of(node, "motion_scale_x"), _number_of(node, "motion_scale_y")),
        flip=(_is_on(node, "flip_x"), _is_on(node, "flip_y")),
    )


def _text_of(node: nuke.Node, name: str) -> str:
    # A file knob without a value has None.
    return str(node[name].value() or "").strip()


def _number_of(node: nuke.Node, name: str) -> float:
    return float(node[name].value())


def _is_on(node: nuke.Node, name: str) -> bool:
    return bool(node[name].value())
