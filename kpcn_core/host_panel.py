"""The fields that hosts' panels have in common, as data, and what was typed as `Settings`.

Each host makes a control of its own for an `Item`: a knob, a parm, a property. Its own buttons and
further fields are in its plugin. Standard library only, Python 3.9 syntax.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kpcn_core.errors import Refused
from kpcn_core.host_settings import (
    AS_THE_SOURCE,
    HIGHEST_ASYMMETRY,
    QUALITIES,
    SOURCES,
    UNITS,
    WINDOWS,
    Motion,
    Settings,
    assignments,
    names,
)

# AOVs with a field of their own; others go into `more_layers`.
FIELDS = ("color", "albedo", "normal", "diffuse", "specular", "alpha", "color_mse")
MOTION = (
    "flow", "forward_layer", "backward_layer", "motion_units", "motion_scale_x", "flip_x",
    "motion_scale_y", "flip_y",
)  # fmt: skip
PREFIX = "KPCN_"
OFF = ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class Item:
    """A field.

    Attributes:
        name: as scripts know it.
        label: as the artist sees it.
        kind: string, file, choice, check or number; or one of the host's own.
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


_ITEMS = (
    Item(
        "asymmetry", "asymmetry", "number", 1.0,
        "λ from 1 to 10. Higher keeps more noise rather than lose detail.",
        (str(1), str(int(HIGHEST_ASYMMETRY))),
    ),
    Item(
        "asymmetry_layer", "where", "string", "",
        "A channel of the render, as mask.R: the asymmetry applies where it is 1, not where 0.",
    ),
    Item(
        "window", "window", "choice", "1", "How many frames are looked at for each frame.",
        tuple(map(str, WINDOWS)),
    ),
    Item(
        "quality", "quality", "choice", QUALITIES[0],
        "high: twice the time, 1 to 2 % less error.", QUALITIES,
    ),
    Item("model", "model", "string", "", "A network's name or file; empty: the default."),
    Item("device", "device", "string", "auto", "auto, cpu, cuda, cuda:1 …", beside=True),
    Item(
        "output_file", "output", "file", "",
        "As /shots/clean.####.exr; empty: a folder 'denoised' beside the input's files.",
    ),
    Item("frame_range", "frames", "string", "", "As 1001-1100; empty: the input's."),
    Item("overwrite", "overwrite", "check", False, "Replace files that kpcn did not write, too."),
    Item("error_map", "error map", "check", False, "Write the predicted error as layer 'error'."),
    Item("source", "source", "choice", "auto", "The renderer's way of writing.", SOURCES),
    Item(
        "source_file", "or a description", "file", "",
        "A .toml file for a renderer of your own, see docs/formats.md.",
    ),
    *(Item(f"aov_{aov}", aov, "string") for aov in FIELDS),
    Item("more_layers", "more", "string", "", "As albedo_mse=albedo_variance, depth=Z."),
    Item("clean", "denoise", "string", "color", "AOVs: color, diffuse, specular, albedo, alpha."),
    Item(
        "extra_layers", "and the layers", "string", "",
        "With the same kernels, as lg_*=diffuse, fog=specular.",
    ),
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
)  # fmt: skip
ITEMS = {item.name: item for item in _ITEMS}


def settings(values: Mapping[str, object]) -> Settings:
    """What a person set, by the names of `ITEMS`; what is not there has its first value.

    Texts will do for all of them, as a host without types, or an environment, has them.

    Raises:
        Refused: a text cannot be understood.
    """
    panel = _Values(values)
    layers = {aov: panel.text(f"aov_{aov}") for aov in FIELDS}
    return Settings(
        source=panel.text("source_file") or panel.text("source"),
        layers={**layers, **assignments(panel.text("more_layers"), "Layers: more")},
        motion=Motion(
            forward=panel.text("forward_layer"),
            backward=panel.text("backward_layer"),
            units=panel.text("motion_units"),
            scale=(panel.number("motion_scale_x"), panel.number("motion_scale_y")),
            flip=(panel.is_on("flip_x"), panel.is_on("flip_y")),
        ),
        aovs=names(panel.text("clean")),
        model=panel.text("model"),
        window=int(panel.number("window")),
        flow=panel.is_on("flow"),
        asymmetry=panel.number("asymmetry"),
        asymmetry_layer=panel.text("asymmetry_layer"),
        extra=assignments(panel.text("extra_layers"), "Layers: and the layers"),
        error_map=panel.is_on("error_map"),
        quality=panel.text("quality"),
        overwrite=panel.is_on("overwrite"),
    )


def environment(values: Mapping[str, object]) -> dict[str, str]:
    """Values as the variables that hand them to a render's own process: KPCN_WINDOW=7."""
    return {
        f"{PREFIX}{name.upper()}": f"{int(value) if isinstance(value, bool) else value}"
        for name, value in values.items()
    }


def from_environment(variables: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """The values among variables, by their names; those that are not there are not there."""
    keys = {name: f"{PREFIX}{name.upper()}" for name in names}
    return {name: variables[key] for name, key in keys.items() if key in variables}


def is_on(text: str) -> bool:
    """Whether a text means yes."""
    return text.strip().lower() not in OFF


class _Values:
    """Fields by name, as the types that settings have."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        found = self._values.get(name, ITEMS[name].value)
        # A file knob of Nuke without a value has None.
        return "" if found is None else str(found).strip()

    def number(self, name: str) -> float:
        try:
            return float(self.text(name))
        except ValueError:
            raise Refused(f"{ITEMS[name].label}: '{self.text(name)}' is no number.") from None

    def is_on(self, name: str) -> bool:
        return is_on(self.text(name))
