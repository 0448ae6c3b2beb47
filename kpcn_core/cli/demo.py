"""`kpcn demo`: the shipped sequence, before and after."""

from pathlib import Path

import click

from kpcn_core.cli.progress import progress
from kpcn_core.demo import EXAMPLES, Demo
from kpcn_core.settings import DEFAULT_MODEL

FOLDER = click.Path(path_type=Path)


@click.command()
@click.option("-o", "--output", type=FOLDER, default="demo", show_default=True, help="Folder.")
@click.option("--examples", type=FOLDER, default=EXAMPLES, help="Folder of the sequence.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="See `kpcn models`.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 …")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def demo(output: Path, examples: Path, model: str, device: str, overwrite: bool) -> None:
    """Denoise the shipped sequence and show it before and after.

    Writes denoised.####.exr and index.html, a page with sliders, the metrics against the reference
    of the centre frame, and Open Image Denoise beside ours if pyoidn is installed.

    \b
    Example:
      kpcn demo -o demo
    """
    job = Demo(examples, output, overwrite)
    with progress("Demo", len(job.noisy) + 1) as bar:
        job.run(model, device, bar.item)
