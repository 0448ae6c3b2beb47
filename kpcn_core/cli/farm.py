"""`kpcn farm`: a sequence as a job for a render farm."""

from pathlib import Path

import click

from kpcn_core.atomic import check_writable, replaced
from kpcn_core.cli.denoise import denoise
from kpcn_core.farm import MEMORY_MIB, FarmJob, text

BUNDLE = "template.json"  # so Deadline Cloud calls the template in a job bundle


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("pattern", metavar="INPUT")
@click.option("-o", "--output", required=True, help="Where to write; a pattern.")
@click.option("--frames", help="Which frames, e.g. 1001-1100 or 1-9x2.  [default: all]")
@click.option("--chunk", type=click.IntRange(1), default=10, show_default=True, help="A task's.")
@click.option("--template", type=click.Path(path_type=Path), required=True, help="The job's file.")
@click.option("--name", help="Of the job.  [default: that of the files]")
@click.option("--gpu", is_flag=True, help="Only machines with a GPU.")
@click.option("--memory", type=click.IntRange(1), default=MEMORY_MIB, help="MiB of a machine.")
@click.option("--replace", is_flag=True, help="Replace an existing template.")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[-- DENOISE OPTIONS]")
def farm(
    pattern: str,
    output: str,
    frames: str | None,
    chunk: int,
    template: Path,
    name: str | None,
    gpu: bool,
    memory: int,
    replace: bool,
    options: tuple[str, ...],
) -> None:
    """Write an Open Job Description template that denoises a sequence in chunks of frames.

    The frames beyond a chunk's borders that a window needs are read, so no border shows. What
    follows -- goes to `kpcn denoise`. Where the files lie is written to job.values.json.

    \b
    Example:
      kpcn farm "in.####.exr" -o "out.####.exr" --chunk 10 --template job.json -- --aovs color
      openjd run job.json --step Denoise -p file://job.values.json
      kpcn farm "in.####.exr" -o "out.####.exr" --template job/template.json
      deadline bundle submit job
    """
    # Parsed for its errors: better here than on a hundred machines.
    denoise.make_context("kpcn denoise", [pattern, "-o", output, *options])
    job = FarmJob(pattern, output, frames, chunk, options, memory, gpu, name)
    values = template.with_name(f"{template.stem}.values.json")
    files = {template: text(job.template()), values: text(job.values())}
    if template.name == BUNDLE:
        files[template.with_name("parameter_values.json")] = text(job.bundle_values())
    for path in files:
        check_writable(path, replace)
    for path, content in files.items():
        with replaced(path, replace) as temporary:
            temporary.write_text(content, encoding="utf-8")
        click.echo(str(path))
