"""What all commands have in common that denoise shots: options, and how they run."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import click

from kpcn_core.cli.options import AovLayer, AovNames, LayerLike, Memory, TileSize
from kpcn_core.cli.progress import Bar, progress
from kpcn_core.denoiser import Denoiser
from kpcn_core.device import AUTO, PRECISIONS
from kpcn_core.errors import KpcnError
from kpcn_core.job import Job
from kpcn_core.job_run import run
from kpcn_core.model.specialization import MAX_ASYMMETRY
from kpcn_core.prepared import LIKE
from kpcn_core.sequence import Shot
from kpcn_core.settings import DEFAULT_MEMORY, DEFAULT_MODEL, NORMAL, QUALITIES

Command = TypeVar("Command", bound=Callable[..., Any])

WINDOW = click.IntRange(1)
ASYMMETRY = click.FloatRange(1.0, MAX_ASYMMETRY)

OPTIONS = (
    click.option("--source", default="auto", help="The renderer's way of writing."),
    click.option("--aov", "layers", type=AovLayer(), multiple=True, help="AOV from a layer."),
    click.option("--aovs", type=AovNames(), default="color", help="What to clean."),
    click.option(
        "--window", type=WINDOW, default=1, help="Frames to look at for each, odd; 7 is best."
    ),
    click.option(
        "--asymmetry",
        type=ASYMMETRY,
        default=1.0,
        help="λ, 1 to 10: higher keeps more of the input.",
    ),
    click.option(
        "--error-map", is_flag=True, help="Add the layer error: the SMAPE left, predicted."
    ),
    click.option(
        "--quality",
        type=click.Choice(QUALITIES),
        default=NORMAL,
        help="high: twice the time, 1 to 2 % less error.",
    ),
    click.option("--flow", is_flag=True, help="Estimate motion where files have none."),
    click.option("--asymmetry-layer", metavar="CHANNEL", help="Where: 0 none of it, 1 all of it."),
    click.option(
        "--layers",
        "extra",
        type=LayerLike(LIKE),
        multiple=True,
        help='Clean further layers alike, e.g. "lg_*_diffuse=diffuse".',
    ),
    click.option(
        "--only-denoised", is_flag=True, help="Leave out the layers that were not denoised."
    ),
    click.option("--model", default=DEFAULT_MODEL, help="See `kpcn models`."),
    click.option("--device", default="auto", help="auto, cpu, cuda, cuda:1 …"),
    click.option(
        "--precision",
        type=click.Choice((AUTO, *PRECISIONS)),
        default=AUTO,
        help="Of features; auto: bfloat16 on a GPU.",
    ),
    click.option("--tile", type=TileSize(), default="auto"),
    click.option("--max-memory", type=Memory(), default=DEFAULT_MEMORY, help="A tile's."),
    click.option("--overwrite", is_flag=True, help="Replace existing files."),
    click.option(
        "--resume", is_flag=True, help="Keep outputs made of the same; share with other machines."
    ),
)


def job_options(command: Command) -> Command:
    """Add the options that say how to denoise; `denoise_shots` takes them as they come."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def denoise_shots(shots: Sequence[Shot], options: Mapping[str, Any], form: str = "") -> None:
    """Denoise shots one after the other; a frame that fails does not stop the others.

    Args:
        shots: what to read and write.
        options: values of `job_options`; further ones are fields of `Job`.
        form: see `progress`.

    Raises:
        KpcnError: in the end, if a frame was not written.
    """
    how = dict(options)
    denoiser = Denoiser.load(how.pop("model"), how.pop("device"), how.pop("precision", AUTO))
    how["layers"], how["extra"] = dict(how["layers"]), dict(how["extra"])
    total = sum(len(shot.files) for shot in shots)
    with progress("Denoising", total, form) as bar:
        jobs = (Job(files=shot.files, shot=shot.frames, **how) for shot in shots)
        failed = sum(_failed(job, denoiser, bar) for job in jobs)
    if failed and total == 1:
        raise click.exceptions.Exit(1)  # what failed was said
    if failed:
        raise KpcnError(f"{failed} of {total} frames were not written; see above.")


def _failed(job: Job, denoiser: Denoiser, bar: Bar) -> int:
    """Run a job; how many of its frames were not written."""
    failed = 0
    try:
        for outcome in run(job, denoiser, bar.part):
            if outcome.error:
                failed += 1
                bar.failed(str(outcome.error))
            else:
                bar.item(str(outcome.target))
    except KpcnError as error:
        if not failed:  # else the error says no more than was said
            bar.failed(str(error))
        return failed or len(job.files)
    return failed


def kept(found: Iterable[tuple[str, str]]) -> None:
    """Say what stays as it is."""
    for name, reason in found:
        click.echo(f"kept: {name}: {reason}")
