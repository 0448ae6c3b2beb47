"""`kpcn denoise`: a frame or a sequence of EXR files."""

import click

from kpcn_core import sequence
from kpcn_core.cli.options import AovLayer, AovNames, Memory, TileSize
from kpcn_core.cli.progress import progress
from kpcn_core.denoiser import DEFAULT_MEMORY, DEFAULT_MODEL, Denoiser
from kpcn_core.job import Job


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
    files = sequence.pairs(pattern, output, frames, overwrite=overwrite)
    job = Job(files, source, dict(layers), aovs, tile, max_memory, overwrite)
    denoiser = Denoiser.load(model, device)
    with progress("Denoising", len(files)) as bar:
        for outcome in job.run(denoiser, bar.part):
            if outcome.error:
                bar.failed(str(outcome.error))
            else:
                bar.item(str(outcome.target))
