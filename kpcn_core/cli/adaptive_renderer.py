"""Which renderer `kpcn adaptive` drives: options, and what they make."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import reduce, wraps
from pathlib import Path
from typing import Any, Protocol

import click

from kpcn_core.adaptive.record import Placed
from kpcn_core.cli.adaptive_options import Duration, Numbers, PixelSize
from kpcn_core.cli.options import AovLayer, NameValue
from kpcn_core.renderers.base import Renderer
from kpcn_core.renderers.command import CommandRenderer
from kpcn_core.renderers.map_encoding import ENCODINGS

NAMES = ("mitsuba", "command")
OPTIONS = (
    click.option("--renderer", type=click.Choice(NAMES), default=NAMES[0], show_default=True),
    click.option("-D", "parameters", type=NameValue(), multiple=True, help="Mitsuba: a $name."),
    click.option("--render-command", help="Template with {map}, {output}, {seed} …"),
    click.option("--size", type=PixelSize(), help="Command: what it renders, e.g. 1920x1080."),
    click.option(
        "--encoding", type=click.Choice(list(ENCODINGS)), default="counts", metavar="NAME",
        help="Command: how it reads the map.",
    ),
    click.option("--map-spp", type=Numbers(), default=(), help="Command: for masks, multiplier."),
    click.option("--render-timeout", type=Duration(), help="Command: for one render."),
    click.option("--source", default="auto", show_default=True, help="Command: how it writes."),
    click.option("--aov", "layers", type=AovLayer(), multiple=True, help="Command: AOV's layer."),
)  # fmt: skip


class PlacedRenderer(Renderer, Placed, Protocol):
    """A renderer that knows where its pixels lie on the film."""


@dataclass(frozen=True)
class RendererChoice:
    """The values of `OPTIONS`."""

    renderer: str
    parameters: tuple[tuple[str, str], ...]
    render_command: str | None
    size: tuple[int, int] | None
    encoding: str
    map_spp: tuple[int, ...]
    render_timeout: float | None
    source: str
    layers: tuple[tuple[str, str], ...]

    def settings(self, scene: Path | None) -> dict[str, str | int | float]:
        """What a resumed run must share."""
        if self.renderer == "mitsuba":
            return {"scene": _digest(_given(scene)), "parameters": str(self.parameters)}
        return {
            "command": str(self.render_command),
            "size": str(self.size),
            "encoding": self.encoding,
            "map-spp": str(self.map_spp),
        }

    def make(self, scene: Path | None, passes: int) -> PlacedRenderer:
        """The renderer.

        Args:
            scene: what Mitsuba renders.
            passes: how many an earlier run has done.

        Raises:
            click.UsageError: an option is missing that this renderer needs.
            KpcnError: the scene cannot be loaded, or the command lacks something.
        """
        if self.renderer == "mitsuba":
            # Imported here: it needs an extra, and chooses a GPU or LLVM.
            from kpcn_core.renderers.mitsuba import MitsubaRenderer

            return MitsubaRenderer.from_file(_given(scene), dict(self.parameters))
        if self.render_command is None or self.size is None:
            raise click.UsageError("--renderer command needs --render-command and --size.")
        return CommandRenderer(
            self.render_command,
            self.size,
            self.encoding,
            sizes=self.map_spp,
            seconds=self.render_timeout,
            source=self.source,
            layers=dict(self.layers),
            passes=passes,
        )


def renderer_options(function: Callable[..., None]) -> Callable[..., None]:
    """Give a command `OPTIONS`, which reach it as one `RendererChoice` named `choice`."""
    names = [field.name for field in fields(RendererChoice)]

    @wraps(function)
    def chosen(**values: Any) -> None:
        choice = RendererChoice(**{name: values.pop(name) for name in names})
        function(choice=choice, **values)

    return reduce(lambda command, option: option(command), reversed(OPTIONS), chosen)


def _given(scene: Path | None) -> Path:
    if scene is None:
        raise click.UsageError("Name the SCENE to render.")
    return scene


def _digest(scene: Path) -> str:
    """A scene file's name and a hash of what is in it."""
    content = scene.read_bytes() if scene.is_file() else b""
    return f"{scene.name}, sha256 {hashlib.sha256(content).hexdigest()[:16]}"
