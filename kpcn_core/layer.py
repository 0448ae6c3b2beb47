"""Layers: named sets of channels, however a renderer spells them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import NamedTuple

# What follows a channel's last dot -> the suffix that we mean by it.
SUFFIXES = {letter.lower(): letter for letter in "RGBAXYZWTUV"} | {
    "red": "R",
    "green": "G",
    "blue": "B",
    "alpha": "A",
}


class Channel(NamedTuple):
    """One channel of a file: the index of its part, and its full name there."""

    part: int
    name: str


@dataclass(frozen=True)
class Layer:
    """A named set of channels.

    Attributes:
        name: as in the file; of channels without a layer name, their part's name or "".
        channels: suffix ("R", "X", …, or "" for a channel without one) to channel.
        main: its channels have no layer name and lie in the first part.
    """

    name: str
    channels: dict[str, Channel]
    main: bool = False

    @property
    def grey(self) -> Channel | None:
        """The luminance of a layer without colors: "albedo.Y", or a channel named "albedo"."""
        if {"R", "X"} & self.channels.keys():
            return None
        return self.channels.get("Y") or self.channels.get("")

    @property
    def scalar(self) -> Channel | None:
        """The one channel of a layer, or the first of a scalar written to three equal channels."""
        if len(self.channels) == 1:
            return next(iter(self.channels.values()))
        return self.channels.get("R")


def layers(parts: Sequence[tuple[str, Iterable[str]]]) -> "LayerSet":
    """Group the channels of a file.

    Args:
        parts: for each part its name ("" in a single-part file) and the names of its channels.
    """
    found: dict[tuple[int, str], Layer] = {}
    for index, (part, names) in enumerate(parts):
        for channel in names:
            head, suffix = split(channel)
            name = head or part
            layer = found.setdefault((index, name), Layer(name, {}, not head and index == 0))
            layer.channels.setdefault(suffix, Channel(index, channel))
    return LayerSet(tuple(found.values()))


def split(channel: str) -> tuple[str, str]:
    """Layer name and suffix of a channel: "diffuse.red" is ("diffuse", "R"), "Z" is ("", "Z")."""
    head, _, tail = channel.rpartition(".")
    suffix = SUFFIXES.get(tail.lower())
    return (channel, "") if suffix is None else (head, suffix)


@dataclass(frozen=True)
class LayerSet:
    """All layers of a file."""

    layers: tuple[Layer, ...]

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def find(self, name: str) -> Layer | None:
        """The layer of this name, whatever its case; "" is the main one.

        A channel's full name stands for a layer of that channel alone.
        """
        if not name:
            return next((layer for layer in self.layers if layer.main), None)
        wanted = name.lower()
        for layer in self.layers:
            if layer.name.lower() == wanted:
                return layer
        for layer in self.layers:
            for suffix, channel in layer.channels.items():
                # A part's plain "Z" is that layer's business: it may be the Z of a normal.
                if channel.name.lower() == wanted and (layer.main or "." in channel.name):
                    return Layer(channel.name, {suffix: channel})
        return None

    def matches(self, pattern: str) -> bool:
        """Whether a layer's name, with or without what is before its last dot, fits the pattern."""
        wanted = pattern.lower()
        return any(
            fnmatchcase(name, wanted)
            for layer in self.layers
            for name in (layer.name.lower(), layer.name.lower().rpartition(".")[2])
        )

    def prefixes(self, name: str) -> list[str]:
        """What stands before `name` in the layers that end with it, as "ViewLayer."."""
        ending = name.lower()
        return [
            layer.name[: len(layer.name) - len(name)]
            for layer in self.layers
            if layer.name.lower() == ending or layer.name.lower().endswith(f".{ending}")
        ]

    def names(self) -> str:
        """All names, for an error message."""
        return ", ".join(layer.name or "+".join(layer.channels) for layer in self.layers)
