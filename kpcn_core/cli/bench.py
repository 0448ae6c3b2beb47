"""`kpcn bench`: how fast this machine is, stage by stage."""

from pathlib import Path

import click

from kpcn_core.cli.adaptive_options import PixelSize
from kpcn_core.cli.options import Memory

FILE = click.Path(path_type=Path, dir_okay=False)
MEMORY = "4G"
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
PEERS = ("high", "fast", "prefiltered")
SWEEPS = ("pixels", "window", "k", "layers")


@click.command()
@click.option("--model", "models", multiple=True, default=("compact",), help="See `kpcn models`.")
@click.option("--device", default="auto", help="auto, cpu, cuda, cuda:1 …")
@click.option(
    "--precision", type=click.Choice(PRECISIONS), default="auto", help="As of `kpcn denoise`."
)
@click.option("--size", type=PixelSize(), default="960x540", show_default=True)
@click.option("--window", type=click.IntRange(1), default=1, help="Frames looked at for each, odd.")
@click.option("--layers", type=click.IntRange(0), default=0, help="Further layers, filtered alike.")
@click.option("--only-denoised", is_flag=True, help="As of `kpcn denoise`, for its files.")
@click.option(
    "--frames", type=click.IntRange(0), default=6, help="Of a sequence; 0 for none.  [default: 6]"
)
@click.option("--max-memory", type=Memory(), default=MEMORY, show_default=True)
@click.option(
    "--oidn",
    "peers",
    type=click.Choice((*PEERS, "none")),
    multiple=True,
    default=("high", "fast"),
    help="Open Image Denoise beside it, where installed.  [default: high, fast]",
)
@click.option("--sweep", type=click.Choice(SWEEPS), multiple=True, help="How time grows with it.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Medians of.")
@click.option("--cpu-time", is_flag=True, help="For a busy machine: CPU seconds, not wall time.")
@click.option("--json", "output", type=FILE, help="Write what was measured, and where.")
def bench(
    models: tuple[str, ...],
    device: str,
    precision: str,
    size: tuple[int, int],
    window: int,
    layers: int,
    only_denoised: bool,
    frames: int,
    max_memory: int,
    peers: tuple[str, ...],
    sweep: tuple[str, ...],
    rounds: int,
    cpu_time: bool,
    output: Path | None,
) -> None:
    """Time every stage of a frame, from EXR to EXR, and how much of the hardware it uses.

    The percentage is of the device's roofline: what the stage would take at the speed of a matrix
    product and of a copy, both measured in the same run. docs/performance.md has our figures.

    \b
    Examples:
      kpcn bench --size 1920x1080 --window 7
      kpcn bench --sweep window --sweep layers --json here.json
    """
    from kpcn_core.atomic import check_writable
    from kpcn_core.bench.report import Plan, report, write
    from kpcn_core.denoiser import Denoiser
    from kpcn_core.device import choose_device
    from kpcn_core.sequence_window import window_reach

    window_reach(window)  # raises if it is even
    chosen = str(choose_device(device))
    denoisers = {Path(name).stem: Denoiser.load(name, chosen, precision) for name in models}
    asked = [peer for peer in peers if peer != "none"]
    plan = Plan(
        size,
        window,
        layers,
        max_memory,
        asked,
        sweep,
        rounds,
        cpu_time,
        only_denoised=only_denoised,
        frames=frames,
    )
    if output is not None:
        check_writable(output, overwrite=True)
    found = report(denoisers, plan, click.echo)
    if output is not None:
        write(output, found)
