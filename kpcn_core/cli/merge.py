"""`kpcn merge`: several renders of the same frames as one, with variances."""

from __future__ import annotations

from pathlib import Path

import click

from kpcn_core import merge as merging
from kpcn_core import sequence
from kpcn_core.cli.options import AovLayer
from kpcn_core.cli.progress import progress
from kpcn_core.errors import MissingFrames
from kpcn_core.exr import write_frame

FEWEST = 2


@click.command()
@click.argument("renders", metavar="RENDER RENDER...", nargs=-1, required=True)
@click.option("-o", "--output", required=True, help="Where to write; a pattern for a sequence.")
@click.option("--frames", help="Which frames, e.g. 1001-1100.  [default: all of the first render]")
@click.option("--spp", type=click.IntRange(1), help="Of each render, if the files do not say.")
@click.option("--source", default="auto", show_default=True, help="Whose layers these are.")
@click.option("--aov", "aovs", type=AovLayer(), multiple=True, help="Read an AOV from this layer.")
@click.option(
    "--keep",
    multiple=True,
    default=merging.IDENTITIES,
    show_default=True,
    help="Layers to take from the first render as they are; of all others the mean.",
)
@click.option("--half", is_flag=True, help="16-bit floats for all but depth, counts and motion.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def merge(
    renders: tuple[str, ...],
    output: str,
    frames: str | None,
    spp: int | None,
    source: str,
    aovs: tuple[tuple[str, str], ...],
    keep: tuple[str, ...],
    half: bool,
    overwrite: bool,
) -> None:
    """Merge renders of the same frames by other samples, and find how noisy they are.

    The result has the samples of all, and what a renderer such as Cycles does not give by itself:
    the variance of every pixel, which the networks denoise better with. Renders differ by their
    seed or, better, are parts of one sequence of samples (Cycles: Sample Subset). It is written in
    kpcn's layout, with all other layers.

    \b
    Examples:
      kpcn merge a.exr b.exr c.exr d.exr -o merged.exr --spp 16
      kpcn merge "a/shot.####.exr" "b/shot.####.exr" "c/shot.####.exr" -o "merged.####.exr"
    """
    if len(renders) < FEWEST:
        raise click.UsageError("One render has no spread. Name two or more, by other samples.")
    pairs = sequence.pairs(renders[0], output, frames, overwrite=overwrite)
    groups = _groups(renders, [path for path, _ in pairs], frames)
    with progress("Merging", len(pairs)) as bar:
        for paths, (_, target) in zip(groups, pairs, strict=True):
            frame, others = merging.merged(paths, source, dict(aovs), spp or 1, keep)
            write_frame(target, frame, overwrite=overwrite, half=half, others=others)
            bar.item(str(target))


def _groups(renders: tuple[str, ...], firsts: list[Path], frames: str | None) -> list[list[Path]]:
    """For each frame its renders, the first one first."""
    numbers = {path: number for number, path in sequence.expand(renders[0], frames)}
    rest = [dict(sequence.expand(pattern, frames)) for pattern in renders[1:]]
    if len(firsts) == 1:  # single files need not have the same number in their names
        return [[firsts[0], *(next(iter(one.values())) for one in rest)]]
    for pattern, one in zip(renders[1:], rest, strict=True):
        missing = sorted(set(numbers.values()) - one.keys())
        if missing:
            raise MissingFrames(
                f"{pattern}: lacks frames that {renders[0]} has: "
                f"{', '.join(map(str, missing))}. Render them, or leave them out of --frames."
            )
    return [[path, *(one[numbers[path]] for one in rest)] for path in firsts]
