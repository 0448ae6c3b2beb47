"""The node as the text of a gizmo, from the same panel as the Group that Python makes."""

from __future__ import annotations

from kpcn_core.host_panel import Item
from kpcn_nuke.panel import PANEL

# Numbers by which Nuke's scripts know kinds of knobs.
NUMBERS = {
    "string": 1, "file": 2, "choice": 4, "check": 6, "number": 7, "tab": 20, "button": 22,
    "text": 26,
}  # fmt: skip
SHOWING_TEXT = ("text", "button")  # their value is part of the knob
SPECIAL = str.maketrans({character: f"\\{character}" for character in '\\"[]$'})

# Nodes are put on a stack; what comes last is a node's first input.
INSIDE = """\
 Input {
  inputs 0
  name mask
  number 1
 }
 Read {
  inputs 0
  on_error error
  localizationPolicy off
  name result
 }
 Input {
  inputs 0
  name render
  number 0
 }
 Switch {
  inputs 2
  which {{parent.show}}
  name show
 }
 Output {
  name Output1
 }
end_group
"""


def text() -> str:
    """The whole file."""
    knobs = [line for item in PANEL for line in _lines(item)]
    return "\n".join(["version 13.0 v1", "Gizmo {", " inputs 2", *knobs, "}", INSIDE])


def _lines(item: Item) -> list[str]:
    words = [str(NUMBERS[item.kind]), item.name, "l", _quoted(item.label)]
    if item.tip:
        words += ["t", _quoted(item.tip)]
    if item.kind == "choice":
        words += ["M", "{" + " ".join(map(_quoted, item.choices)) + "}"]
    if item.kind == "number":
        words += ["R", *item.choices]
    if item.kind in SHOWING_TEXT:
        words += ["T", _quoted(str(item.value))]
    if item.beside:
        words.append("-STARTLINE")
    elif item.kind in ("button", "check"):
        words.append("+STARTLINE")
    if item.hidden:
        words.append("+INVISIBLE")
    lines = [f" addUserKnob {{{' '.join(words)}}}"]
    if item.value not in ("", False) and item.kind not in SHOWING_TEXT:
        lines.append(f" {item.name} {_value(item.value)}")
    return lines


def _value(value: str | float | bool) -> str:
    return _quoted(value) if isinstance(value, str) else f"{value:g}"


def _quoted(word: str) -> str:
    return f'"{word.translate(SPECIAL)}"'
