"""`kpcn flow`: the motion of a sequence, estimated."""

from collections.abc import Callable
from pathlib import Path

import click

from kpcn_core import exr, sequence
from kpcn_core.cli.progress import progress
from kpcn_core.frame import Frame
from kpcn_core.optical_flow import flow as estimate
from kpcn_core.sequence_window import FrameCache, windows


@click.command()
@click.argument("pattern", metavar="INPUT")
@click.option("-o", "--output", required=True, help="Where to write; a pattern for a sequence.")
@click.option("--source", default="auto", help="The renderer's way of writing.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def flow(pattern: str, output: str, source: str, overwrite: bool) -> None:
    """Estimate where pixels move, by optical flow, and write the layers `forward` and `backward`.

    Rendered motion vectors are better. `kpcn denoise --flow` estimates the same by itself.

    \b
    Example:
      kpcn flow "shot.####.exr" -o "flow.####.exr"
    """
    shots = sequence.shots(pattern, output, overwrite=overwrite)
    with progress("Estimating motion", sum(len(shot.files) for shot in shots)) as bar:
        for shot in shots:
            frames = FrameCache(_reader(shot.frames, source))
            around = windows(range(len(shot.frames)), 1, 1)
            for (numbers, centre), (_, target) in zip(around, shot.files, strict=True):
                exr.write_frame(target, _motion(frames.of(numbers), centre), overwrite=overwrite)
                bar.item(str(target))


def _reader(paths: list[Path], source: str) -> Callable[[int], Frame]:
    return lambda index: exr.read(paths[index], source)


def _motion(frames: list[Frame], centre: int) -> Frame:
    """A frame of motion alone; without a neighbour on one side, only that to the other."""
    here = frames[centre]
    aovs = {}
    if centre + 1 < len(frames):
        aovs["forward"] = estimate(here, frames[centre + 1])
    if centre:
        aovs["backward"] = estimate(here, frames[centre - 1])
    return Frame(aovs, here.display, here.origin, metadata=here.metadata)
