"""`kpcn render`: a Mitsuba scene, or a sequence of them, with every AOV."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpcn_core.cli.options import NameValue
from kpcn_core.cli.progress import Bar, progress

if TYPE_CHECKING:
    from kpcn_core.frame import Frame
    from kpcn_core.renderers.base import SamplingMap

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("pattern", metavar="SCENE")
@click.option("-o", "--output", required=True, help="Where to write; a pattern for a sequence.")
@click.option("--spp", type=click.IntRange(1), default=32, show_default=True, help="Per pixel.")
@click.option("--spp-map", type=FILE, help="An EXR with samples per pixel, instead of --spp.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--frames", help="Which frames, e.g. 1-7.  [default: all]")
@click.option("-D", "parameters", type=NameValue(), multiple=True, help="The scene's $name.")
@click.option("--half", is_flag=True, help="16-bit floats for all but depth, counts and motion.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def render(
    pattern: str,
    output: str,
    spp: int,
    spp_map: Path | None,
    seed: int,
    frames: str | None,
    parameters: tuple[tuple[str, str], ...],
    half: bool,
    overwrite: bool,
) -> None:
    """Render a Mitsuba 3 scene with every AOV, in kpcn's EXR layout.

    A sequence is a scene file for each frame; its neighbours give each frame its motion.

    \b
    Examples:
      kpcn render scene.xml -o noisy.exr --spp 64
      kpcn render "scene.####.xml" -o "noisy.####.exr" --frames 1-7
      kpcn render scene.xml -o small.exr -D resx=320 -D resy=180
    """
    from kpcn_core import exr, sequence

    jobs = sequence.pairs(pattern, output, frames, overwrite=overwrite)
    numbers = {path: number for number, path in sequence.expand(pattern, frames)}
    on_disk = dict(sequence.expand(pattern)) if len(numbers) > 1 or frames else {}
    samples = _samples(spp, spp_map)
    given = dict(parameters)
    with progress("Rendering", len(jobs)) as bar:
        for scene, target in jobs:
            around = [on_disk.get(numbers[scene] + step) for step in (-1, 1)]
            # Frames get seeds of their own, or their noise would stand still.
            frame_seed = seed + (numbers[scene] if on_disk else 0) * 1_000_003
            frame = _rendered(scene, around, given, samples, frame_seed, bar)
            exr.write_frame(target, frame, overwrite=overwrite, half=half)
            bar.item(str(target))


def _samples(spp: int, spp_map: Path | None) -> int | SamplingMap:
    if spp_map is None:
        return spp
    from kpcn_core.renderers.sampling_map import read_sampling_map

    return read_sampling_map(spp_map)


def _rendered(
    scene: Path,
    around: list[Path | None],
    parameters: dict[str, str],
    samples: int | SamplingMap,
    seed: int,
    bar: Bar,
) -> Frame:
    from kpcn_core.frame import Window
    from kpcn_core.renderers.mitsuba import MitsubaRenderer, description

    renderer = MitsubaRenderer.from_file(scene, parameters, *around)
    height, width = renderer.film_size
    return replace(
        renderer.render(samples, seed, bar.part).frame(),
        display=Window(0, 0, width, height),
        origin=renderer.origin,
        metadata={
            "renderer": description(),
            "scene": scene.name,
            "seed": seed,
            "samplesPerPixel": samples if isinstance(samples, int) else float(samples.mean()),
        },
    )
