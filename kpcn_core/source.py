"""Sources: how each renderer writes AOVs. Data in sources/*.toml, never branches (docs/formats.md).

A source maps each AOV to recipes; the first recipe whose layers the file has is used.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from kpcn_core.aov import AOVS
from kpcn_core.errors import UnknownName, UnreadableFile
from kpcn_core.layer import LayerSet

FOLDER = Path(__file__).with_name("sources")
FALLBACK = "generic"
UNITS = ("pixels", "screen", "clip", "width")


@dataclass(frozen=True)
class Recipe:
    """How one AOV is made of layers: scale · unit · (sum of layers · times - minus - offset).

    Attributes:
        layers: names of the layers that are summed.
        times: layer to multiply the sum with, channel by channel.
        minus: what is taken from it: layers, sums and products again.
        channels: suffixes to take, in the order of the AOV's channels; empty: the AOV's own.
        scale: factor for each channel, or one for all.
        offset: what the file stores for 0.
        units: of motion: "pixels"; "screen", 0 to 1 over width and height; "clip", -1 to 1 over
            width and height; "width", 0 to 1 over the width in both directions.
        far: depth from here on is infinite.
        space: of normals: "world" or "camera".
        premultiplied: divide by alpha.
        certain: False where the convention was not verified.
    """

    layers: tuple[str, ...]
    times: str | None = None
    minus: tuple["Recipe", ...] = ()
    channels: tuple[str, ...] = ()
    scale: tuple[float, ...] = (1.0,)
    offset: float = 0.0
    units: str = "pixels"
    far: float | None = None
    space: str = "world"
    premultiplied: bool = False
    certain: bool = True

    @property
    def is_plain(self) -> bool:
        """The AOV's values are those of one layer, so that they can be written back."""
        plain = Recipe(self.layers, channels=self.channels, space=self.space)
        return len(self.layers) == 1 and self == plain

    def __str__(self) -> str:
        text = " + ".join(layer or "main layer" for layer in self.layers)
        if self.times is not None:
            text = f"({text})" if len(self.layers) > 1 else text
            text = f"{text} x {self.times}"
        return " - ".join([text, *map(str, self.minus)])


@dataclass(frozen=True)
class Clue:
    """A sign that a file is of a source; it holds if all of its parts do.

    Attributes:
        metadata: pattern of an attribute's name to pattern of its value.
        layers: patterns of layer names.
    """

    metadata: Mapping[str, str]
    layers: tuple[str, ...]

    def holds(self, layers: LayerSet, metadata: Mapping[str, object]) -> bool:
        """Whether a file with these layers and header attributes shows all of it."""
        return all(
            any(
                fnmatchcase(name, key) and fnmatchcase(str(metadata[name]), value)
                for name in metadata
            )
            for key, value in self.metadata.items()
        ) and all(layers.matches(pattern) for pattern in self.layers)

    def __str__(self) -> str:
        found = [f"attribute {key} = {value}" for key, value in self.metadata.items()]
        return " and ".join(found + [f"layer {name}" for name in self.layers])


@dataclass(frozen=True)
class Source:
    """One renderer's way of writing AOVs.

    Attributes:
        name: also the name of its encoder (paper §3.2).
        title: the renderer, for people.
        aovs: AOV to recipes, best first.
        clues: any of them identifies the source.
        order: sources with lower numbers are tried first.
        prefixed: layer names may be preceded by something that varies, as "ViewLayer.".
    """

    name: str
    title: str
    aovs: Mapping[str, tuple[Recipe, ...]]
    clues: tuple[Clue, ...] = ()
    order: int = 0
    prefixed: bool = False


def names() -> list[str]:
    """Names of the sources that ship, in the order in which they are tried."""
    return [source.name for source in _shipped()]


def load(name: str) -> Source:
    """A source that ships, or one described in a toml file of yours.

    Raises:
        UnknownName: no such source.
        UnreadableFile: the toml file is missing or wrong.
    """
    if name.endswith(".toml"):
        return _read(Path(name))
    for source in _shipped():
        if source.name == name:
            return source
    raise UnknownName(
        f"No source is called '{name}'. There are auto, {', '.join(names())}; "
        f"or give the path of a .toml file that describes one."
    )


def recipe(text: str) -> Recipe:
    """A recipe as it stands in a toml file: { layer = "velocity", scale = [1, -1] }.

    Raises:
        UnknownName: the text is none.
    """
    try:
        return _recipe(tomllib.loads(f"recipe = {text}")["recipe"])
    except (AttributeError, TypeError, ValueError) as error:
        raise UnknownName(
            f"'{text}' does not say how an AOV is made of layers: {error}. Write for example "
            f'{{ layer = "velocity", scale = [1, -1] }}; docs/formats.md has the keys.'
        ) from error


def detect(layers: LayerSet, metadata: Mapping[str, object]) -> tuple[Source, str]:
    """The source of a file with these layers and header attributes, and why it is that one."""
    for source in _shipped():
        for clue in source.clues:
            if clue.holds(layers, metadata):
                return source, str(clue)
    return load(FALLBACK), "no renderer was recognized"


@cache
def _shipped() -> tuple[Source, ...]:
    return tuple(sorted(map(_read, FOLDER.glob("*.toml")), key=lambda source: source.order))


def _read(path: Path) -> Source:
    try:
        return _source(path.stem, tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UnreadableFile(
            f"{path}: the source cannot be read: {error.strerror}. Shipped: {', '.join(names())}."
        ) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UnreadableFile(
            f"{path}: not a description of a source: {error}. docs/formats.md shows how."
        ) from error


def _source(name: str, data: dict[str, Any]) -> Source:
    unknown = sorted(set(data["aovs"]) - set(AOVS))
    if unknown:
        raise ValueError(f"no AOV is called {', '.join(unknown)}; there are {', '.join(AOVS)}")
    return Source(
        name=name,
        title=data["title"],
        aovs={aov: _recipes(written) for aov, written in data["aovs"].items()},
        clues=tuple(
            Clue(clue.get("metadata", {}), tuple(clue.get("layers", ())))
            for clue in data.get("detect", ())
        ),
        order=data.get("order", 0),
        prefixed=data.get("prefixed", False),
    )


def _recipes(written: object) -> tuple[Recipe, ...]:
    """A layer name, a table, or a list of them."""
    alternatives: list[Any] = written if isinstance(written, list) else [written]
    return tuple(_recipe(one) for one in alternatives)


def _recipe(written: str | dict[str, Any]) -> Recipe:
    if isinstance(written, str):
        return Recipe((written,))
    unknown = sorted(set(written) - {field.name for field in fields(Recipe)} - {"layer"})
    if unknown:
        raise ValueError(f"unknown keys {', '.join(unknown)}")
    values = dict(written)
    single = values.pop("layer", None)
    layers = (single,) if single is not None else tuple(values.pop("layers"))
    scale = values.pop("scale", 1.0)
    recipe = Recipe(
        layers,
        minus=tuple(map(_recipe, values.pop("minus", ()))),
        channels=tuple(values.pop("channels", ())),
        scale=tuple(map(float, scale)) if isinstance(scale, list) else (float(scale),),
        **values,
    )
    if not recipe.layers:
        raise ValueError("it names no layer")
    if recipe.units not in UNITS:
        raise ValueError(f"units '{recipe.units}' are none of {', '.join(UNITS)}")
    return recipe
