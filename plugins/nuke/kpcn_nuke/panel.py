"""The panel of KpcnDenoise as data, for the Group made by Python and for the gizmo's text alike."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kpcn_core.host_panel import FIELDS, ITEMS, MOTION, Item

MASK_CHANNELS = ("alpha", "red", "green", "blue")
SHOWN = ("input", "result")


def _button(name: str, label: str, tip: str, beside: bool = True) -> Item:
    code = f"import kpcn_nuke; kpcn_nuke.{name}(nuke.thisNode())"
    return Item(name, label, "button", code, tip, beside=beside)


def _shared(name: str, **differences: Any) -> Item:
    return replace(ITEMS[name], **differences)


PANEL = (
    Item("kpcn_tab", "KpcnDenoise", "tab"),
    Item("status", "", "text", "Not denoised yet."),
    _button("denoise_frame", "Denoise frame", "The current frame.", beside=False),
    _button("denoise_range", "Denoise range", "All frames, those that changed."),
    _button("cancel", "Cancel", "Stop; what is finished stays."),
    _button("reload", "Reload", "Read the result's files again."),
    Item("show", "show", "choice", "result", "What comes out of the node.", SHOWN),
    Item("kpcn_look", "Look", "text"),
    _shared("asymmetry"),
    Item(
        "live", "live", "check", False,
        "Follow the slider on the current frame, once that has been denoised.", beside=True,
    ),
    Item(
        "mask_channel", "mask", "choice", "alpha",
        "Channel of the mask input: the asymmetry applies where it is 1, not where it is 0.",
        MASK_CHANNELS,
    ),
    _shared(
        "asymmetry_layer", label="or a channel of the input",
        tip="As mask.R, if no mask is connected.", beside=True,
    ),
    _shared("window"),
    _shared("quality", beside=True),
    _shared("model"),
    _shared("device"),
    Item("kpcn_files", "Files", "text"),
    _shared("output_file"),
    _shared("frame_range"),
    _shared("overwrite", tip="Replace files that this node did not write, too.", beside=True),
    _shared("error_map"),
    Item("layers_tab", "Layers", "tab"),
    _shared("source"),
    _shared("source_file"),
    _button("find_layers", "Find layers", "Show how the input's layers are read.", beside=False),
    Item("found", "", "text", " "),
    Item("kpcn_override", "Read from other layers", "text", "", "Empty: as found above."),
    *(_shared(f"aov_{aov}") for aov in FIELDS),
    _shared("more_layers"),
    _shared("clean"),
    _shared("extra_layers"),
    Item("motion_tab", "Motion", "tab"),
    *map(_shared, MOTION),
    # What the Read inside shows. A gizmo's Read forgets it when the script is saved.
    Item("result_file", "", "string", "", hidden=True),
    Item("result_range", "", "string", "", hidden=True),
    Item("result_look", "", "string", "", hidden=True),
)  # fmt: skip
