"""Which renderer `kpcn adaptive` drives: options, and what they make."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import reduce, wraps
from pathlib import Path
from typing import Any

import click

from kpcn_core.cli.adaptive_options import Duration, Numbers, PixelSize
from kpcn_core.cli.options import AovLayer, NameValue
from kpcn_core.renderers import cycles, luxcore
from kpcn_core.renderers.base import PlacedRenderer
from kpcn_core.renderers.batched import Batched
from kpcn_core.renderers.command import CommandRenderer
from kpcn_core.renderers.map_encoding import ENCODINGS
from kpcn_core.renderers.regions import RegionRenderer

NAMES = ("mitsuba", "luxcore", "cycles", "command")
REGIONS = "regions"
OPTIONS = (
    click.option("--renderer", type=click.Choice(NAMES), default=NAMES[0], show_default=True),
    click.option("-D", "parameters", type=NameValue(), multiple=True, help="Mitsuba: a $name."),
    click.option("--render-command", help="Template with {map}, {output}, {seed} …"),
    click.option("--program", default="blender", help="Cycles: Blender, or a Python with bpy."),
    click.option("--size", type=PixelSize(), help="Command, Cycles: e.g. 1920x1080."),
    click.option(
        "--encoding", type=click.Choice([*ENCODINGS, REGIONS]), default="counts", metavar="NAME",
        help="Command: how it reads the map.",
    ),
    click.option("--map-spp", type=Numbers(), default=(), help="Command: for masks, multiplier."),
    click.option("--batches", type=click.IntRange(1), help="Renders a pass, to know its variance."),
    click.option("--render-timeout", type=Duration(), help="For one render; not for Mitsuba."),
    click.option("--source", default="auto", show_default=True, help="Command: how it writes."),
    click.option("--aov", "layers", type=AovLayer(), multiple=True, help="Command: AOV's layer."),
)  # fmt: skip


@dataclass(frozen=True)
class RendererChoice:
    """The values of `OPTIONS`."""

    renderer: str
    parameters: tuple[tuple[str, str], ...]
    render_command: str | None
    program: str
    size: tuple[int, int] | None
    encoding: str
    map_spp: tuple[int, ...]
    batches: int | None
    render_timeout: float | None
    source: str
    layers: tuple[tuple[str, str], ...]

    def settings(self, scene: Path | None) -> dict[str, str | int | float]:
        """What a resumed run must share."""
        said: dict[str, object] = {"renderer": self.renderer, "batches": self.batches}
        if self.renderer == "command":
            said |= {"command": self.render_command, "encoding": self.encoding}
            said |= {"size": self.size, "map-spp": self.map_spp}
        else:
            said |= {"scene": _digest(_given(scene)), "parameters": self.parameters}
            said |= {"size": self.size}
        return {name: str(value) for name, value in said.items()}

    def make(self, scene: Path | None, passes: int) -> PlacedRenderer:
        """The renderer.

        Args:
            scene: what it renders; a command knows by itself.
            passes: how many an earlier run has done.

        Raises:
            click.UsageError: an option is missing that this renderer needs.
            KpcnError: the scene cannot be loaded, or the command lacks something.
        """
        if self.renderer == "mitsuba":
            # Imported here: it needs an extra, and chooses a GPU or LLVM.
            from kpcn_core.renderers.mitsuba import MitsubaRenderer

            return MitsubaRenderer.from_file(_given(scene), dict(self.parameters))
        if self.renderer == "luxcore":
            batches = self.batches or luxcore.BATCHES
            return luxcore.luxcore_renderer(_given(scene), batches, self.render_timeout)
        if self.renderer == "cycles":
            return cycles.cycles_renderer(
                _given(scene), self._size(), self.program, self.batches or cycles.BATCHES,
                seconds=self.render_timeout,
            )  # fmt: skip
        renderer = self._command(passes * (self.batches or 1))
        return Batched(renderer, self.batches) if self.batches else renderer

    def _command(self, passes: int) -> PlacedRenderer:
        if self.render_command is None:
            raise click.UsageError("--renderer command needs --render-command.")
        reading = {"source": self.source, "layers": dict(self.layers)}
        common: dict[str, Any] = {**reading, "seconds": self.render_timeout, "passes": passes}
        if self.encoding == REGIONS:
            return RegionRenderer(self.render_command, self._size(), **common)
        return CommandRenderer(
            self.render_command, self._size(), self.encoding, sizes=self.map_spp, **common
        )

    def _size(self) -> tuple[int, int]:
        if self.size is None:
            raise click.UsageError(f"--renderer {self.renderer} needs --size.")
        return self.size


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
