"""`kpcn denoise`: a frame or a sequence of EXR files."""

from pathlib import Path

import click

from kpcn_core import exr, sequence
from kpcn_core.cli.options import AovLayer, AovNames, Memory, TileSize
from kpcn_core.cli.progress import Bar, progress
from kpcn_core.denoiser import DEFAULT_MEMORY, DEFAULT_MODEL, Denoiser
from kpcn_core.errors import KpcnError


@click.command()
@click.argument("pattern", metavar="INPUT")
@click.option("-o", "--output", required=True, help="Where to write; a pattern for a sequence.")
@click.option("--frames", help="Which frames, e.g. 1001-1100 or 1-9x2.  [default: all]")
@click.option("--source", default="auto", show_default=True, help="The renderer's way of writing.")
@click.option("--aov", "layers", type=AovLayer(), multiple=True, help="Read an AOV from a layer.")
@click.option("--aovs", type=AovNames(), default="color", show_default=True, help="What to clean.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="See `kpcn models`.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 …")
@click.option("--tile", type=TileSize(), default="auto", show_default=True)
@click.option(
    "--max-memory", type=Memory(), default=DEFAULT_MEMORY, help="A tile's.  [default: 2G]"
)
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def denoise(
    pattern: str,
    output: str,
    frames: str | None,
    source: str,
    layers: tuple[tuple[str, str], ...],
    aovs: tuple[str, ...],
    model: str,
    device: str,
    tile: int | None,
    max_memory: int,
    overwrite: bool,
) -> None:
    """Denoise a frame or a sequence of EXR files.

    The output is the input file with its beauty denoised: same windows, parts, types, metadata and
    all other layers.

    \b
    Examples:
      kpcn denoise beauty.exr -o clean.exr
      kpcn denoise "shot.####.exr" -o "clean.####.exr" --frames 1001-1100
      kpcn denoise karma.exr -o clean.exr --aov albedo=basecolor
    """
    jobs = sequence.pairs(pattern, output, frames, overwrite=overwrite)
    denoiser = Denoiser.load(model, device)

    def clean(source_path: Path, target: Path, bar: Bar) -> None:
        frame = exr.read(source_path, source, dict(layers))
        result = denoiser.denoise(frame, aovs, tile=tile, max_memory=max_memory, progress=bar.part)
        exr.write(target, result, aovs, overwrite=overwrite)

    failed = 0
    with progress("Denoising", len(jobs)) as bar:
        for source_path, target in jobs:
            try:
                clean(source_path, target, bar)
                bar.item(str(target))
            except KpcnError as error:
                if len(jobs) == 1:
                    raise
                bar.failed(str(error))
                failed += 1
    if failed:
        raise KpcnError(f"{failed} of {len(jobs)} frames were not written; see above.")
