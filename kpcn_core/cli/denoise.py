"""`kpcn denoise`: a frame or a sequence of EXR files."""

from typing import Any

import click

from kpcn_core import sequence
from kpcn_core.cli.shots import denoise_shots, job_options


@click.command()
@click.argument("pattern", metavar="INPUT")
@click.option("-o", "--output", required=True, help="Where to write; a pattern for a sequence.")
@click.option("--frames", help="Which frames, e.g. 1001-1100 or 1-9x2.  [default: all]")
@job_options
def denoise(pattern: str, output: str, frames: str | None, **options: Any) -> None:
    """Denoise a frame or a sequence of EXR files.

    The output is the input file with its beauty denoised: same windows, parts, types, metadata and
    all other layers (unless --only-denoised). A window looks at the frames around each, also at
    those that are not in --frames; it ends where the sequence has a gap.

    \b
    Examples:
      kpcn denoise beauty.exr -o clean.exr
      kpcn denoise "shot.####.exr" -o "clean.####.exr" --frames 1001-1100 --window 7
      kpcn denoise hero.exr -o clean.exr --asymmetry 4 --asymmetry-layer mask.R
      kpcn denoise karma.exr -o clean.exr --aov albedo=basecolor --layers "lg_*_diffuse=diffuse"
    """
    found = sequence.shots(
        pattern, output, frames, overwrite=options["overwrite"], resume=options["resume"]
    )
    denoise_shots(found, options)
