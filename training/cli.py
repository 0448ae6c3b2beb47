"""`kpcn-train`: make data, train, validate, release."""

from __future__ import annotations

import re
from pathlib import Path

import click

from kpcn_core.allocation import reuse_memory
from kpcn_core.cli.adaptive_options import PixelSize
from kpcn_core.errors import KpcnError

FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, dir_okay=False)
# Packages of the extra "train".
EXTRA = ("lightning", "mitsuba", "drjit")
PRECISIONS = ("single", "bfloat16")
RENDERERS = ("mitsuba", "cycles", "luxcore")
UNITS = {"s": 1, "m": 60, "h": 3600}


class Group(click.Group):
    """Prints our errors for a person."""

    def invoke(self, ctx: click.Context) -> object:
        """Turn our errors into one message on stderr and exit code 1."""
        try:
            return super().invoke(ctx)
        except KpcnError as error:
            raise click.ClickException(str(error)) from error
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] not in EXTRA:
                raise
            raise click.ClickException(
                f"Training needs {error.name}, which is not installed. "
                f"Run: pip install 'kpcn[train]'."
            ) from error


class Duration(click.ParamType[float]):
    """A time, as "90m" or "1.5h", in seconds."""

    name = "time"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Text to seconds."""
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", str(value))
        if match is None:
            self.fail(f"'{value}' is no time; write for example 90m or 1.5h.", param, ctx)
        return float(match[1]) * UNITS[match[2]]


class Seeds(click.ParamType[range]):
    """A range of seeds, as "0-399"."""

    name = "first-last"

    def convert(
        self, value: str | range, param: click.Parameter | None, ctx: click.Context | None
    ) -> range:
        """Text to a range that includes its last seed."""
        if isinstance(value, range):
            return value
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", value)
        if match is None or int(match[2] or match[1]) < int(match[1]):
            self.fail(f"'{value}' is no range of seeds; write for example 0-399.", param, ctx)
        return range(int(match[1]), int(match[2] or match[1]) + 1)


class SampleCounts(click.ParamType[tuple[int, ...]]):
    """Samples per pixel, as "2,2,4,8"."""

    name = "counts"

    def convert(
        self,
        value: str | tuple[int, ...],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[int, ...]:
        """Text to numbers; a variance needs two samples."""
        if isinstance(value, tuple):
            return value
        if not re.fullmatch(r"\d+(,\d+)*", value):
            self.fail(f"'{value}' must be numbers with commas, as 2,2,4,8.", param, ctx)
        counts = tuple(int(count) for count in value.split(","))
        if min(counts) < 2:
            self.fail("each count must be 2 or more: one sample has no variance.", param, ctx)
        return counts


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Make training data, train networks, release weights.

    \b
    Example:
      kpcn-train render data --seeds 0-399
      kpcn-train fit data run --max-time 90m
      kpcn-train release run compact.safetensors
    """
    reuse_memory()


@main.command()
@click.argument("folder", type=FOLDER)
@click.option("--seeds", type=Seeds(), required=True, help="Scenes to render, e.g. 0-399.")
@click.option("--renderer", type=click.Choice(RENDERERS), default=RENDERERS[0], show_default=True)
@click.option("--size", type=PixelSize(), default="192x144", show_default=True)
@click.option("--spp", type=SampleCounts(), default="2,2,4,8,16,32", show_default=True)
@click.option(
    "--reach",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Frames to render before and after each view, for temporal training.",
)
@click.option(
    "--around",
    type=SampleCounts(),
    default="4,8",
    show_default=True,
    help="Their samples per pixel.",
)
@click.option("--reference-spp", type=click.IntRange(2), default=512, show_default=True)
@click.option("--reference-time", type=Duration(), help="Enough for a reference, e.g. 60s.")
@click.option("--max-noise", type=float, default=0.2, show_default=True, help="Of a reference.")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: all cores]")
@click.option(
    "--blender", help="Cycles: Blender, or a Python with bpy.  [default: $KPCN_BLENDER or blender]"
)
def render(
    folder: Path,
    seeds: range,
    renderer: str,
    size: tuple[int, int],
    spp: tuple[int, ...],
    reach: int,
    around: tuple[int, ...],
    reference_spp: int,
    reference_time: float | None,
    max_noise: float,
    threads: int | None,
    blender: str | None,
) -> None:
    """Render procedural scenes into FOLDER; goes on where it was stopped."""
    from training import rendering, scenes
    from training.dataset import Recipe
    from training.renderers.sources import opened
    from training.signals import stop_requests

    goal = rendering.ReferenceGoal(reference_spp, reference_time or float("inf"), limit=max_noise)
    with stop_requests() as stop, opened(renderer, size, reach, threads, blender) as source:
        generator = f"training.scenes {scenes.VERSION}"
        recipe = Recipe(generator, source.version, spp, reach, around, size)
        made = rendering.render(folder, seeds, source.scene, recipe, goal, stop)
        for seed, entry in made:
            click.echo(
                f"seed {seed}: {entry.file}, reference {entry.reference_spp} spp, "
                f"{entry.seconds:.1f} s"
            )
        if stop():
            click.echo("Stopped. Run the same command again to go on.")


@main.command()
@click.argument("data", type=FOLDER)
@click.argument("pictures", type=FOLDER)
@click.option("--config", default="compact", show_default=True, help="A name or a TOML file.")
@click.option("--workers", type=click.IntRange(0), default=0, show_default=True)
def patches(data: Path, pictures: Path, config: str, workers: int) -> None:
    """Show which patches of DATA training takes, in PICTURES, and how fast they come."""
    from training.config import load
    from training.dataset import Dataset
    from training.patch_pages import draw_patches, patches_a_second

    dataset, chosen = Dataset(data), load(config)
    pictures.mkdir(parents=True, exist_ok=True)
    for path in draw_patches(dataset, chosen, pictures):
        click.echo(path)
    rate = patches_a_second(dataset, chosen, workers)
    size = chosen.batches.size
    click.echo(f"{rate:.0f} patches a second, a batch of {size} in {size / rate:.3f} s")


@main.command()
@click.argument("data", type=FOLDER, nargs=-1, required=True)
@click.argument("run", type=FOLDER)
@click.option("--config", default="compact", show_default=True, help="A name or a TOML file.")
@click.option("--start", help="Weights to start a new run from, by name or path.")
@click.option("--max-time", type=Duration(), help="Of this session, e.g. 90m.")
@click.option("--max-steps", type=click.IntRange(1), help="Of the whole training.")
@click.option("--decay/--no-decay", default=True, help="Let the learning rate fall at the end.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 …")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: all cores]")
@click.option("--devices", type=click.IntRange(1), default=1, help="That share each batch.")
@click.option("--precision", type=click.Choice(PRECISIONS), default="single", show_default=True)
@click.option("--workers", type=click.IntRange(0), default=0, show_default=True)
def fit(
    data: tuple[Path, ...],
    run: Path,
    config: str,
    start: str | None,
    max_time: float | None,
    max_steps: int | None,
    decay: bool,
    device: str,
    threads: int | None,
    devices: int,
    precision: str,
    workers: int,
) -> None:
    """Train on DATA, one folder or several; logs and checkpoints go to RUN, the last folder.

    Goes on from RUN's checkpoint. Of several data sets each encoder learns from those that give all
    that it reads.

    \b
    Example:
      kpcn-train fit mitsuba cycles run --max-time 90m
    """
    from dataclasses import replace

    import torch

    from kpcn_core.device import choose_device
    from training.config import load
    from training.dataset import MANIFEST
    from training.fit import fit as run_fit
    from training.schedule import Budget, session_clock
    from training.signals import stop_requests

    if (run / MANIFEST).exists():
        raise click.UsageError(f"{run} is a data set. Name a folder for the run after the data.")
    if threads:
        torch.set_num_threads(threads)
    chosen = load(config)
    if start:
        chosen = replace(chosen, run=replace(chosen.run, start=start))
    budget = Budget(max_steps, max_time, decay, session_clock())
    with stop_requests() as stop:
        stage = run_fit(
            chosen,
            data,
            run,
            budget,
            device=choose_device(device),
            devices=devices,
            precision="bf16-mixed" if precision == "bfloat16" else "32-true",
            workers=workers,
            stop=stop,
            tell=click.echo,
        )
    if stage.trainer.is_global_zero:
        click.echo(f"{run}: {stage.trainer.global_step} steps.")


@main.command()
@click.argument("folder", type=FOLDER)
@click.option("--minutes", type=click.FloatRange(min=0, min_open=True), required=True)
@click.option("--config", default="compact", show_default=True, help="A name or a TOML file.")
@click.option("--start", help="Weights to start a new run from, by name or path.")
@click.option("--decay/--no-decay", default=True, help="Let the learning rate fall at the end.")
@click.option("--renderer", type=click.Choice(RENDERERS), default=RENDERERS[0], show_default=True)
@click.option("--size", type=PixelSize(), default="192x144", show_default=True)
@click.option("--reach", type=click.IntRange(0), default=0, show_default=True)
@click.option("--reference-spp", type=click.IntRange(2), default=512, show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 …")
@click.option("--precision", type=click.Choice(PRECISIONS), default="single", show_default=True)
@click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: all cores]")
@click.option("--blender", help="As of render.")
def session(
    folder: Path,
    minutes: float,
    config: str,
    start: str | None,
    decay: bool,
    renderer: str,
    size: tuple[int, int],
    reach: int,
    reference_spp: int,
    device: str,
    precision: str,
    threads: int | None,
    blender: str | None,
) -> None:
    """Do the most useful things within some minutes, in FOLDER.

    Renders while there are few views, trains from the last checkpoint, writes weights, measures
    them. For a machine that is lent for a while: with a GPU it renders and trains there.
    """
    from dataclasses import replace

    import torch

    from kpcn_core.device import choose_device
    from training import scenes
    from training.config import load
    from training.dataset import Recipe
    from training.renderers.sources import opened
    from training.rendering import ReferenceGoal
    from training.schedule import session_clock
    from training.session import Plan
    from training.session import session as run_session
    from training.signals import stop_requests

    clock = session_clock()
    if threads:
        torch.set_num_threads(threads)
    chosen = load(config)
    if start:
        chosen = replace(chosen, run=replace(chosen.run, start=start))
    with stop_requests() as stop, opened(renderer, size, reach, threads, blender) as source:
        generator = f"training.scenes {scenes.VERSION}"
        recipe = Recipe(generator, source.version, reach=reach, size=size)
        goal = ReferenceGoal(reference_spp)
        plan = Plan(folder, chosen, recipe, goal, 60 * minutes, decay)
        run_session(
            plan, source, clock, device=choose_device(device),
            precision="bf16-mixed" if precision == "bfloat16" else "32-true", stop=stop,
            tell=click.echo,
        )  # fmt: skip


@main.command()
@click.argument("run", type=FOLDER)
@click.option("--noisy", multiple=True, help="Noisy frames, e.g. n/shot.####.exr; repeatable.")
@click.option("--spp", multiple=True, type=click.IntRange(1), help="Of each, if files lack it.")
@click.option("--reference", help="The same frames without noise, e.g. clean/shot.####.exr.")
@click.option("--frames", help="Which of them, e.g. 1-75.  [default: all]")
@click.option("--source", default="auto", show_default=True, help="A name or a TOML file.")
@click.option("--licence", default="the owner's", show_default=True, help="Of the pixels.")
@click.option("--data", type=FOLDER, help="A data set instead of EXR files.")
@click.option("--encoder", help="Name of the encoder.  [default: that of the source]")
@click.option("--start", default="compact", show_default=True, help="Weights to adapt.")
@click.option("--config", default="adaptation", show_default=True)
@click.option("-o", "--output", type=FILE, required=True, help="Adapted weights to write.")
@click.option("--max-time", type=Duration(), help="Of this session, e.g. 20m.")
@click.option("--max-steps", type=click.IntRange(1), help="Of the whole training.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 …")
@click.option("--threads", type=click.IntRange(1), help="CPU threads.  [default: all cores]")
def adapt(
    run: Path,
    noisy: tuple[str, ...],
    spp: tuple[int, ...],
    reference: str | None,
    frames: str | None,
    source: str,
    licence: str,
    data: Path | None,
    encoder: str | None,
    start: str,
    config: str,
    output: Path,
    max_time: float | None,
    max_steps: int | None,
    device: str,
    threads: int | None,
) -> None:
    """Teach the weights START to read another renderer; nothing else about them changes.

    Goes on where it was stopped. 

    
    Example:
      kpcn-train adapt run --noisy "n/shot.####.exr" --spp 16 --reference "c/shot.####.exr" \
        --source studio.toml --max-time 20m -o studio.safetensors
    """
    import torch

    from kpcn_core.device import choose_device
    from training.adapt import adapt as run_adapt
    from training.collecting import Footage
    from training.config import load
    from training.schedule import Budget, session_clock
    from training.signals import stop_requests

    if (data is None) == (not noisy or reference is None):
        raise click.UsageError("Give --noisy and --reference, or a data set with --data.")
    if threads:
        torch.set_num_threads(threads)
    given = data or Footage(noisy, spp, str(reference), source, frames, licence)
    with stop_requests() as stop:
        made = run_adapt(
            given, run, output, start, load(config), Budget(max_steps, max_time, True,
            session_clock()), encoder=encoder, device=choose_device(device), stop=stop,
            tell=click.echo,
        )  # fmt: skip
    if made is None:
        click.echo("Stopped. Run the same command again to go on.")
        return
    click.echo(f"{output}: encoder '{made}' added. Frames of that source use it by themselves.")


@main.command()
@click.argument("data", type=FOLDER)
@click.argument("run", type=FOLDER)
@click.option("--spp", type=SampleCounts(), default="2,4,8,16,32", show_default=True)
@click.option("--encoder", default="", help="Which one reads.  [default: the first that can]")
def validate(data: Path, run: Path, spp: tuple[int, ...], encoder: str) -> None:
    """SMAPE of RUN's averaged weights on the held-out views of DATA, before and after."""
    from training.dataset import Dataset
    from training.fit import CHECKPOINT
    from training.release import averaged_network, read_checkpoint
    from training.validation import samples, summary

    network = averaged_network(read_checkpoint(run / CHECKPOINT))
    held_out = Dataset(data).validation
    for line in summary(network, samples(held_out, spp), encoder):
        click.echo(line)


@main.command()
@click.argument("run", type=FOLDER)
@click.argument("output", type=FILE)
@click.option("--command", default="kpcn-train fit DATA RUN", show_default=True)
def release(run: Path, output: Path, command: str) -> None:
    """Write RUN's averaged weights, and how they came to be, to OUTPUT."""
    from training.fit import CHECKPOINT
    from training.release import release as write

    for key, value in write(run / CHECKPOINT, output, command).items():
        click.echo(f"{key}: {value}")


@main.command()
@click.argument("before", type=FILE)
@click.argument("after", type=FILE)
@click.argument("output", type=FILE)
@click.option(
    "--share", type=click.FloatRange(0, 1), default=0.5, show_default=True, help="Of AFTER."
)
def average(before: Path, after: Path, output: Path, share: float) -> None:
    """Write the weights between BEFORE and what a training AFTER it made of them to OUTPUT."""
    from training.averaging import average as write

    command = f"kpcn-train average {before.name} {after.name} {output.name} --share {share:g}"
    for key, value in write(before, after, output, share, command).items():
        click.echo(f"{key}: {value}")
