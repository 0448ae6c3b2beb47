"""`kpcn timeline`: the EXR media of an edit."""

from pathlib import Path
from typing import Any

import click

from kpcn_core import timeline as timelines
from kpcn_core.atomic import check_writable
from kpcn_core.cli.shots import denoise_shots, job_options, kept
from kpcn_core.sequence_targets import check_targets

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("edit", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="The edit with clean media.")
@click.option("--output-dir", type=FILE, required=True, help="Gets a folder for each clip.")
@click.option("--rate", type=float, help="Frames per second of an EDL.  [default: 24]")
@click.option("--handles", type=click.IntRange(0), default=0, help="Frames on both sides.")
@click.option("--skip-missing", is_flag=True, help="Keep clips whose media is not there.")
@click.option("--dry-run", is_flag=True, help="Say what would be denoised, and write nothing.")
@job_options
def timeline(
    edit: Path,
    output: Path,
    output_dir: Path,
    rate: float | None,
    handles: int,
    skip_missing: bool,
    dry_run: bool,
    **options: Any,
) -> None:
    """Denoise the EXR media of a timeline, and write the edit that refers to the clean files.

    Each clip is denoised over what it shows, transitions and retimes included, and its handles;
    windows end at cuts. Metadata, markers and effects stay; so do clips whose media is not EXR.

    \b
    Example:
      kpcn timeline edit.otio -o clean.otio --output-dir clean --handles 8
    """
    content = timelines.read(edit, rate)
    plan = timelines.plan(content, edit.parent, output_dir, handles, skip_missing=skip_missing)
    shots = [part.shot for part in plan.shots]
    kept(plan.kept)
    if dry_run:
        for part in plan.shots:
            frames = list(part.targets)
            click.echo(f"{part.name}: {frames[0]}-{frames[-1]} of {part.media.pattern.text}")
        return
    overwrite, resume = options["overwrite"], options["resume"]
    check_writable(output, overwrite or resume)
    _make_folders(plan)
    check_targets([pair for shot in shots for pair in shot.files], overwrite, resume)
    denoise_shots(shots, options)
    timelines.relink(plan)
    timelines.write(output, content, overwrite or resume)
    click.echo(str(output))


def _make_folders(plan: timelines.Plan) -> None:
    for part in plan.shots:
        for target in part.targets.values():
            target.parent.mkdir(parents=True, exist_ok=True)
