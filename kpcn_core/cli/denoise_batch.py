"""`kpcn denoise_batch`: takes the place of RenderMan's command of that name."""

from pathlib import Path
from typing import Any

import click

from kpcn_core import renderman
from kpcn_core.cli.shots import denoise_shots
from kpcn_core.renderman import Batch
from kpcn_core.sequence_pattern import Pattern
from kpcn_core.settings import DEFAULT_MEMORY, DEFAULT_MODEL

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("images", nargs=-1)
@click.option("-j", "--json", "config", type=FILE, help="A configuration.")
@click.option("-o", "--output", type=FILE, help="Folder for denoised images.")
@click.option("-cf", "--crossframe", is_flag=True, help="Look at 7 frames.")
@click.option("-a", "--asymmetry", type=float, help="0 is symmetric, 1 the most conservative.")
@click.option("--frame-include", help="Frames to read.")
@click.option("--frame-exclude", help="Frames among them not to write.")
@click.option("-f", "--flow", is_flag=True, help="Accepted: done where files have no motion.")
@click.option("--tiles", type=(int, int), help="Accepted: tiles are chosen by memory.")
@click.option("--clean-alpha", is_flag=True, help="Denoise the alpha, too.")
@click.option("-p", "--progress", is_flag=True, help="Print percentages.")
@click.option("-dr", "--dry-run", is_flag=True, help="Say what would be done.")
@click.option("-v", "--verbose", is_flag=True, help="Accepted: errors always say all.")
@click.option("--model", default=DEFAULT_MODEL, help="See `kpcn models`.")
@click.option("--device", default="auto", help="auto, cpu, cuda, cuda:1 …")
def denoise_batch(
    images: tuple[str, ...],
    config: Path | None,
    output: Path | None,
    crossframe: bool,
    asymmetry: float | None,
    frame_include: str | None,
    frame_exclude: str | None,
    clean_alpha: bool,
    progress: bool,
    dry_run: bool,
    model: str,
    device: str,
    **_: Any,
) -> None:
    """Denoise as RenderMan's denoise_batch does: the same configuration, the same flags.

    Unlike there, the exit code is 0 only if every frame was written, and the clean file keeps all
    layers of the noisy one.

    \b
    Examples:
      kpcn denoise_batch --json config.json
      kpcn denoise_batch -cf -o clean "beauty.####.exr"
    """
    batches = [renderman.read(config)] if config else []
    if images and output is None:
        raise click.UsageError("Name a folder for the denoised images: -o DIR.")
    batches += [renderman.of_images(image, Path(output or ".")) for image in images]
    if not batches:
        raise click.UsageError("Nothing to denoise: name images, or a configuration with --json.")
    for batch in batches:
        asked = renderman.changed(
            batch, crossframe, asymmetry, frame_include, frame_exclude, clean_alpha
        )
        _run(asked, dry_run, {"model": model, "device": device}, "percent" if progress else "")


def _run(batch: Batch, dry_run: bool, where: dict[str, str], form: str) -> None:
    Pattern.parse(batch.output).folder.mkdir(parents=True, exist_ok=True)
    shots = batch.shots()
    if dry_run:
        for source, target in (pair for shot in shots for pair in shot.files):
            click.echo(f"{source} -> {target}")
        return
    options = {
        "source": "auto",
        "layers": batch.layers,
        "aovs": batch.aovs,
        "tile": None,
        "max_memory": DEFAULT_MEMORY,
        "overwrite": True,
        **where,
        "window": batch.window,
        "asymmetry": batch.asymmetry,
        "extra": batch.extra,
        "flow": True,
    }
    denoise_shots(shots, options, form)
