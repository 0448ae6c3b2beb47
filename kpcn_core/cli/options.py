"""Option types that several commands share."""

import re
from collections.abc import Collection

import click

from kpcn_core.aov import AOVS

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


class Memory(click.ParamType[int]):
    """A number of bytes, as "4G" or "512M"."""

    name = "size"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Text to bytes."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)i?B?", value.strip(), re.IGNORECASE)
        if match is None or float(match[1]) == 0:
            self.fail(f"'{value}' is not a size; write for example 512M or 4G.", param, ctx)
        return int(float(match[1]) * UNITS[match[2].upper()])


class TileSize(click.ParamType[int | None]):
    """A tile's side in pixels, or "auto" (None)."""

    name = "auto|pixels"

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Text to pixels."""
        if value == "auto":
            return None
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"'{value}' is neither auto nor a number of pixels.", param, ctx)
        return int(value)


class AovNames(click.ParamType[tuple[str, ...]]):
    """AOV names separated by commas."""

    name = "names"

    def convert(
        self,
        value: str | tuple[str, ...],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, ...]:
        """Text to names, each of which must exist."""
        names = value if isinstance(value, tuple) else tuple(value.split(","))
        for name in names:
            if name not in AOVS:
                self.fail(f"'{name}' is no AOV; there are {', '.join(AOVS)}.", param, ctx)
        return names


class NameValue(click.ParamType[tuple[str, str]]):
    """One `NAME=VALUE`.

    Args:
        name: how help shows it.
        known: the names there are; None for any.
        values: the values there are; None for any.
    """

    def __init__(
        self,
        name: str = "name=value",
        known: Collection[str] | None = None,
        values: Collection[str] | None = None,
    ) -> None:
        self.name = name
        self.known = known
        self.values = values

    def convert(
        self,
        value: str | tuple[str, str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, str]:
        """Text to (name, value)."""
        if isinstance(value, tuple):
            return value
        name, _, text = value.partition("=")
        if not name or not text:
            self.fail(f"'{value}' must be {self.name.upper()}.", param, ctx)
        for part, possible in ((name, self.known), (text, self.values)):
            if possible is not None and part not in possible:
                self.fail(f"'{part}' is unknown; there are {', '.join(possible)}.", param, ctx)
        return name, text


class LayerLike(NameValue):
    """One `--layers PATTERN=AOV`.

    Args:
        models: what layers can be filtered like.
    """

    def __init__(self, models: Collection[str]) -> None:
        super().__init__("pattern=aov", values=models)


class AovLayer(NameValue):
    """One `--aov NAME=LAYER`."""

    def __init__(self) -> None:
        super().__init__("name=layer", AOVS)
