"""`kpcn adaptive`: render an image, and send samples to where it is still wrong when denoised."""

from collections.abc import Callable, Iterable
from pathlib import Path

import click

from kpcn_core import adaptive as sampling
from kpcn_core import exr, provenance
from kpcn_core.adaptive import State, Step, guides
from kpcn_core.adaptive.allocation import FLOOR
from kpcn_core.adaptive.checkpoint import Identity
from kpcn_core.adaptive.loop import INITIAL
from kpcn_core.adaptive.record import Record
from kpcn_core.cli.adaptive_options import Duration
from kpcn_core.cli.adaptive_renderer import RendererChoice, renderer_options
from kpcn_core.cli.progress import Bar, progress
from kpcn_core.denoiser import Denoiser
from kpcn_core.errors import InvalidPixels
from kpcn_core.frame import Pixels
from kpcn_core.model.error_config import GUIDING_METRICS
from kpcn_core.renderers.base import Renderer
from kpcn_core.settings import DEFAULT_MODEL

FILE = click.Path(path_type=Path, dir_okay=False)
INTERRUPTED = 130  # what a shell says of a command that Ctrl-C ended
REASONS = {"budget": "the budget is spent", "target": "the error is small", "time": "time is up"}


@click.command()
@click.argument("scene", type=FILE, required=False)
@click.option("-o", "--output", type=FILE, required=True, help="An EXR: the best image so far.")
@click.option("--budget", type=click.IntRange(1), required=True, help="Samples per pixel in all.")
@click.option("--initial", type=click.IntRange(1), default=INITIAL, show_default=True)
@click.option("--guide", type=click.Choice(guides.NAMES), default=guides.DEFAULT, metavar="NAME")
@click.option("--floor", type=click.FloatRange(0, 1), default=FLOOR, show_default=True)
@click.option("--target-error", type=click.FloatRange(0), help="Stop at this mean of the guide.")
@click.option("--time", "seconds", type=Duration(), help="Stop in time, e.g. 15m.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Continue where an earlier run stopped.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@click.option("--reference", type=FILE, help="To measure each pass; for true-* guides.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="See `kpcn models`.")
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1 …")
@renderer_options
def adaptive(
    scene: Path | None,
    output: Path,
    budget: int,
    initial: int,
    guide: str,
    floor: float,
    target_error: float | None,
    seconds: float | None,
    seed: int,
    resume: bool,
    overwrite: bool,
    reference: Path | None,
    model: str,
    device: str,
    choice: RendererChoice,
) -> None:
    """Render an image, sending samples to where it is still wrong when denoised.

    After 16 samples everywhere, each pass denoises, predicts the error left, and takes as many
    samples again where that is large. OUTPUT holds the best image after each pass.

    \b
    Guides: smape (default), mrse, dssim, ms_dssim, variance, uniform, true-smape …
    Encodings: counts (default), multiplier, texture, masks, regions, even

    \b
    Examples:
      kpcn adaptive scene.xml -o final.exr --budget 64
      kpcn adaptive --renderer command --size 1920x1080 -o final.exr --budget 64
        --render-command "render a.usd --map {map} --seed {seed} --out {output}"
    """
    if guide == "uniform" and target_error is not None:
        raise click.UsageError("The guide uniform measures no error that --target-error could end.")
    settings: Identity = {
        "seed": seed,
        "initial": initial,
        "floor": floor,
        "model": provenance.weights_name(model),
        **({"predictor": provenance.predictor_name(model)} if guide in GUIDING_METRICS else {}),
        **choice.settings(scene),
    }
    expected = None if reference is None else exr.read(reference)["color"]
    name = scene.name if scene else choice.renderer
    said: Identity = {"guide": guide, "seed": seed, "scene": name}
    record = Record(output, guide, settings, said, expected)
    start = _start(record, resume, overwrite)
    denoiser = Denoiser.load(model, device)
    chosen = guides.choose(guide, denoiser, expected)
    renderer = choice.make(scene, start.passes if start else 0)
    _check_reference(reference, expected, renderer)
    with progress("Samples per pixel", budget) as bar:
        steps = sampling.run(
            renderer, denoiser, budget=budget, guide=chosen, initial=initial, floor=floor,
            seed=seed, target_error=target_error, seconds=seconds, start=start,
            progress=_reporter(bar, budget),
        )  # fmt: skip
        _follow(record.steps(steps, renderer, start), record, bar, budget)


def _start(record: Record, resume: bool, overwrite: bool) -> State | None:
    """Where to continue, or None to begin."""
    state = record.resumed() if resume else None
    if state is None:
        record.check_writable(overwrite)
        if resume:
            click.echo(f"{record.checkpoint}: no such file; starting from the beginning.", err=True)
    return state


def _check_reference(path: Path | None, expected: Pixels | None, renderer: Renderer) -> None:
    if expected is not None and expected.shape[-2:] != renderer.size:
        (height, width), (rows, columns) = renderer.size, expected.shape[-2:]
        raise InvalidPixels(
            f"{path}: the reference is {columns}x{rows} pixels; {width}x{height} are rendered. "
            f"Give one of the same size."
        )


def _reporter(bar: Bar, budget: int) -> Callable[[int, int], None]:
    return lambda done, total: bar.reach(done / total * budget)


def _follow(steps: Iterable[Step], record: Record, bar: Bar, budget: int) -> None:
    """Say what every pass brought."""
    last = None
    try:
        for last in steps:
            bar.note(_line(last, record.guide, budget))
            bar.reach(min(last.spp, budget), f"Error {last.mean_error:.4f}, spp")
    except KeyboardInterrupt:
        kept = f"{record.image} is the best so far. Continue with --resume."
        said = kept if record.checkpoint.is_file() else "Nothing was finished yet."
        click.echo(f"Interrupted. {said}", err=True)
        raise SystemExit(INTERRUPTED) from None
    if last is None:
        bar.note(f"{record.image}: complete already. Give a larger --budget for more.")


def _line(step: Step, guide: str, budget: int) -> str:
    parts = [f"pass {step.passes}: {step.spp:.1f} spp", f"{guide} {step.mean_error:.4f}"]
    parts.append(f"{step.seconds:.0f} s")
    if step.stop:
        parts.append(f"done: {REASONS[step.stop]}")
    else:
        parts.append(f"about {step.seconds * (budget / step.spp - 1):.0f} s to the budget")
    return ", ".join(parts)
