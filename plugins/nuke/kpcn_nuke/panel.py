"""The panel of KpcnDenoise as data, for the Group made by Python and for the gizmo's text alike."""

from __future__ import annotations

from dataclasses import dataclass

from kpcn_core.host_settings import AS_THE_SOURCE, HIGHEST_ASYMMETRY, SOURCES, UNITS, WINDOWS

# AOVs with a field of their own; others go into `more_layers`.
FIELDS = ("color", "albedo", "normal", "diffuse", "specular", "alpha", "color_mse")
MASK_CHANNELS = ("alpha", "red", "green", "blue")
SHOWN = ("input", "result")


@dataclass(frozen=True)
class Item:
    """A knob.

    Attributes:
        name: as scripts know it.
        label: as the artist sees it.
        kind: one of ``knobs.KINDS``.
        value: at first; of a button its Python.
        tip: tooltip.
        choices: of a choice; of a number the ends of its slider.
        beside: on the same line as the one before.
        hidden: for us only.
    """

    name: str
    label: str
    kind: str
    value: str | float | bool = ""
    tip: str = ""
    choices: tuple[str, ...] = ()
    beside: bool = False
    hidden: bool = False


def _button(name: str, label: str, tip: str, beside: bool = True) -> Item:
    code = f"import kpcn_nuke; kpcn_nuke.{name}(nuke.thisNode())"
    return Item(name, label, "button", code, tip, beside=beside)


PANEL = (
    Item("kpcn_tab", "KpcnDenoise", "tab"),
    Item("status", "", "text", "Not denoised yet."),
    _button("denoise_frame", "Denoise frame", "The current frame.", beside=False),
    _button("denoise_range", "Denoise range", "All frames, those that changed."),
    _button("cancel", "Cancel", "Stop; what is finished stays."),
    _button("reload", "Reload", "Read the result's files again."),
    Item("show", "show", "choice", "result", "What comes out of the node.", SHOWN),
    Item("kpcn_look", "Look", "text"),
    Item(
        "asymmetry", "asymmetry", "number", 1.0,
        "λ from 1 to 10. Higher keeps more noise rather than lose detail.",
        (str(1), str(int(HIGHEST_ASYMMETRY))),
    ),
    Item(
        "live", "live", "check", False,
        "Follow the slider on the current frame, once that has been denoised.", beside=True,
    ),
    Item(
        "mask_channel", "mask", "choice", "alpha",
        "Channel of the mask input: the asymmetry applies where it is 1, not where it is 0.",
        MASK_CHANNELS,
    ),
    Item(
        "asymmetry_layer", "or a channel of the input", "string", "",
        "As mask.R, if no mask is connected.", beside=True,
    ),
    Item(
        "window", "window", "choice", "1", "How many frames are looked at for each frame.",
        tuple(map(str, WINDOWS)),
    ),
    Item("model", "model", "string", "", "A network's name or file; empty: the default."),
    Item("device", "device", "string", "auto", "auto, cpu, cuda, cuda:1 …", beside=True),
    Item("kpcn_files", "Files", "text"),
    Item(
        "output_file", "output", "file", "",
        "As /shots/clean.####.exr; empty: a folder 'denoised' beside the input's files.",
    ),
    Item("frame_range", "frames", "string", "", "As 1001-1100; empty: the input's."),
    Item(
        "overwrite", "overwrite", "check", False,
        "Replace files that this node did not write, too.", beside=True,
    ),
    Item("error_map", "error map", "check", False, "Write the predicted error as layer 'error'."),
    Item("layers_tab", "Layers", "tab"),
    Item("source", "source", "choice", "auto", "The renderer's way of writing.", SOURCES),
    Item(
        "source_file", "or a description", "file", "",
        "A .toml file for a renderer of your own, see docs/formats.md.",
    ),
    _button("find_layers", "Find layers", "Show how the input's layers are read.", beside=False),
    Item("found", "", "text", " "),
    Item("kpcn_override", "Read from other layers", "text", "", "Empty: as found above."),
    *(Item(f"aov_{aov}", aov, "string") for aov in FIELDS),
    Item("more_layers", "more", "string", "", "As albedo_mse=albedo_variance, depth=Z."),
    Item("clean", "denoise", "string", "color", "AOVs: color, diffuse, specular, albedo, alpha."),
    Item(
        "extra_layers", "and the layers", "string", "",
        "With the same kernels, as lg_*=diffuse, fog=specular.",
    ),
    Item("motion_tab", "Motion", "tab"),
    Item(
        "flow", "estimate where there is none", "check", False,
        "For windows wider than 1, if the render has no motion layers.",
    ),
    Item("forward_layer", "forward", "string", "", "Motion to the next frame; empty: found."),
    Item("backward_layer", "backward", "string", "", "Motion to the previous one; empty: found."),
    Item(
        "motion_units", "units", "choice", AS_THE_SOURCE,
        "How the layers above are to be read, if not as the source's.", (AS_THE_SOURCE, *UNITS),
    ),
    Item("motion_scale_x", "scale x", "number", 1.0, "", ("0", "2")),
    Item("flip_x", "flip x", "check", False, "The layer counts x to the left.", beside=True),
    Item("motion_scale_y", "scale y", "number", 1.0, "", ("0", "2")),
    Item("flip_y", "flip y", "check", False, "The layer counts y upwards.", beside=True),
    # What the Read inside shows. A gizmo's Read forgets it when the script is saved.
    Item("result_file", "", "string", "", hidden=True),
    Item("result_range", "", "string", "", hidden=True),
    Item("result_look", "", "string", "", hidden=True),
)  # fmt: skip
