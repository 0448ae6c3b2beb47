"""Option types of `kpcn adaptive`."""

import re

import click

SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}


class Duration(click.ParamType[float]):
    """Seconds, as "90", "90s", "15m" or "1.5h"."""

    name = "time"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Text to seconds."""
        if not isinstance(value, str):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", value.strip())
        if match is None or float(match[1]) == 0:
            self.fail(f"'{value}' is not a time; write for example 90s, 15m or 2h.", param, ctx)
        return float(match[1]) * SECONDS[match[2]]


class PixelSize(click.ParamType[tuple[int, int]]):
    """(height, width) as "1920x1080", width first."""

    name = "wxh"

    def convert(
        self,
        value: str | tuple[int, int],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[int, int]:
        """Text to pixels."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", value.strip())
        if match is None:
            self.fail(f"'{value}' is not a size; write for example 1920x1080.", param, ctx)
        return int(match[2]), int(match[1])


class Numbers(click.ParamType[tuple[int, ...]]):
    """Positive whole numbers separated by commas."""

    name = "numbers"

    def convert(
        self,
        value: str | tuple[int, ...],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[int, ...]:
        """Text to numbers."""
        if isinstance(value, tuple):
            return value
        if not re.fullmatch(r"[1-9]\d*(,[1-9]\d*)*", value.strip()):
            self.fail(f"'{value}' is no list of numbers; write for example 1,4,16.", param, ctx)
        return tuple(map(int, value.split(",")))
