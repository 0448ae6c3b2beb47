"""Option types of `kpcn compare`."""

import click

from kpcn_core.frame import Window


class Values(click.ParamType[tuple[float, ...]]):
    """Values of lambda separated by commas."""

    name = "λ,λ,…"

    def convert(
        self,
        value: str | tuple[float, ...],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[float, ...]:
        """Text to numbers; their range is the denoiser's business."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(word) for word in value.split(","))
        except ValueError:
            self.fail(f"'{value}' is no list of numbers; write for example 1,2,4.", param, ctx)


class Rectangle(click.ParamType[Window]):
    """A rectangle of pixels."""

    name = "x,y,width,height"

    def convert(
        self, value: str | Window, param: click.Parameter | None, ctx: click.Context | None
    ) -> Window:
        """Text to numbers."""
        if isinstance(value, Window):
            return value
        words = value.split(",")
        if len(words) != 4 or not all(word.isdecimal() for word in words) or "0" in words[2:]:
            self.fail(f"'{value}' is no rectangle; write for example 0,0,640,360.", param, ctx)
        return Window(*map(int, words))
