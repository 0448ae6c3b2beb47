"""`kpcn inspect`: what is in an EXR, how it maps to AOVs, what is missing and what that costs."""

from collections.abc import Iterator
from pathlib import Path

import click

from kpcn_core import exr
from kpcn_core.aov import AOVS
from kpcn_core.cli.options import AovLayer
from kpcn_core.errors import MissingAov
from kpcn_core.exr import Contents
from kpcn_core.frame import Frame, Window
from kpcn_core.layer import split
from kpcn_core.mapping import Found

# What it costs to lack an AOV, in words for the person who can render it.
COSTS = {
    "color": "there is nothing to denoise; name it with --aov color=LAYER",
    "albedo": "kpcn denoise refuses the file: every encoder that ships reads the albedo",
    "normal": "kpcn denoise refuses the file: every encoder that ships reads the normal",
    "diffuse": "no split: the whole color is filtered at once, and texture may blur",
    "color_mse": "no variance: how noisy a pixel is, is guessed (encoder 'generic')",
    "forward": "of no effect yet: frames are denoised one by one",
    "backward": "of no effect yet: frames are denoised one by one",
}
GUIDES = ("albedo", "normal", "color")  # what is compared to calibrate motion, best first
MOTION = ("forward", "backward")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--source", default="auto", show_default=True, help="The renderer's way of writing.")
@click.option("--aov", "layers", type=AovLayer(), multiple=True, help="Read an AOV from a layer.")
@click.option(
    "--next",
    "following",
    type=click.Path(path_type=Path),
    help="The next frame: find out units and direction of motion.",
)
def inspect(
    file: Path, source: str, layers: tuple[tuple[str, str], ...], following: Path | None
) -> None:
    """Show what an EXR holds and how it maps to AOVs.

    \b
    Examples:
      kpcn inspect beauty.exr
      kpcn inspect karma.exr --aov albedo=basecolor
      kpcn inspect a.0001.exr --next a.0002.exr --aov forward=motionvectors
    """
    inside = exr.contents(file, source, dict(layers))
    for line in [*_summary(inside), "", *_mapping(inside), "", *_missing(inside)]:
        click.echo(line)
    if inside.aovs:
        exr.common_window(file, inside)
    if following:
        click.echo()
        _calibrate(file, following, inside, dict(layers))


def _summary(inside: Contents) -> Iterator[str]:
    yield f"source: {inside.source.name} ({inside.source.title}), because: {inside.reason}"
    yield f"display window: {_size(inside.display)}"
    windows: dict[Window, list[str]] = {}
    for part in inside.parts:
        windows.setdefault(part.data, []).append(part.name)
    for window, parts in windows.items():
        names = f": {', '.join(parts)}" if len(windows) > 1 else ""
        yield f"data window: {_size(window)} in {len(parts)} of {len(inside.parts)} parts{names}"


def _size(window: Window) -> str:
    return f"{window.width} x {window.height} from ({window.x}, {window.y})"


def _mapping(inside: Contents) -> Iterator[str]:
    width = max(map(len, AOVS))
    for aov, found in inside.aovs.items():
        yield f"{aov:{width}} <- {found.recipe}{_channels(found)}{_marks(aov, found)}"
    used = {channel for found in inside.aovs.values() for channel in found.channels}
    others = [layer for layer in inside.layers if used.isdisjoint(layer.channels.values())]
    if others:
        names = ", ".join(layer.name or "+".join(layer.channels) for layer in others)
        yield f"{'not read':{width}} -- {names}"


def _channels(found: Found) -> str:
    suffixes = [split(channel.name)[1] for channel in dict.fromkeys(found.terms[0])]
    return f" [{' '.join(suffixes)}]" if all(suffixes) else ""


def _marks(aov: str, found: Found) -> str:
    marks = []
    if aov == "normal" and found.recipe.space == "camera":
        marks.append("in camera space")
    if not found.recipe.certain:
        marks.append("convention not verified: check it with --next")
    return f"  ({'; '.join(marks)})" if marks else ""


def _missing(inside: Contents) -> Iterator[str]:
    missing = [aov for aov in COSTS if aov not in inside.aovs]
    if not missing:
        yield "Nothing is missing."
    for aov in missing:
        yield f"no {aov}: {COSTS[aov]}"


def _calibrate(file: Path, following: Path, inside: Contents, layers: dict[str, str]) -> None:
    """Print the convention of every motion layer."""
    # Imported here: it needs torch, which takes a second.
    from kpcn_core.motion import calibrate

    motion = {aov: inside.aovs[aov] for aov in MOTION if aov in inside.aovs}
    if not motion:
        raise MissingAov(
            f"{file}: no motion layer to calibrate. The file has {inside.layers.names()}. "
            f"Name one with --aov forward=LAYER."
        )
    current = exr.read(file, inside.source.name, layers)
    neighbour = exr.read(following, inside.source.name, layers)
    beside = exr.contents(following, inside.source.name, layers)
    guide = _guide(current, neighbour)
    for aov, found in motion.items():
        if aov not in beside.aovs:
            raise MissingAov(f"{following}: no layer '{found.recipe}', which {file} has.")
        result = calibrate(
            current[guide],
            neighbour[guide],
            exr.read_channels(file, found.terms[0]),
            exr.read_channels(following, beside.aovs[aov].terms[0]),
        )
        layer = found.recipe.layers[0]
        name = layer.rpartition(".")[2] if inside.source.prefixed else layer
        click.echo(
            f"{aov}: the frames' {guide} differs by {result.still:.4g} unmoved, "
            f"by {result.error:.4g} moved by this, for the [aovs] of a source:"
        )
        click.echo(f"  {result.best.toml(name, found.recipe.channels)}")
        for rival in result.rivals:
            click.echo(f"  fits as well: {rival.toml(name, found.recipe.channels)}")
        if not result.is_clear:
            click.echo("  Not certain. Use frames with more, uneven motion in x and y.")


def _guide(current: Frame, neighbour: Frame) -> str:
    return next(aov for aov in GUIDES if aov in current and aov in neighbour)
