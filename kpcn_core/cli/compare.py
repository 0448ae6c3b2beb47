"""`kpcn compare`: images against a reference."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from kpcn_core import exr, oidn, provenance, report
from kpcn_core.atomic import check_writable, replaced
from kpcn_core.comparison import Comparison, Entry, markdown, measured, rows
from kpcn_core.frame import Frame
from kpcn_core.metrics import METRICS

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("images", type=FILE, nargs=-1, required=True)
@click.option("--reference", type=FILE, required=True, help="What to measure against.")
@click.option("--oidn", "with_oidn", is_flag=True, help="Denoise the first image by OIDN, too.")
@click.option("--json", "json_path", type=FILE, help="Write the figures here.")
@click.option("--report", "report_path", type=FILE, help="Write an HTML page here.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def compare(
    images: tuple[Path, ...],
    reference: Path,
    with_oidn: bool,
    json_path: Path | None,
    report_path: Path | None,
    overwrite: bool,
) -> None:
    """Measure images against a reference: SMAPE, MrSE, DSSIM, MS-DSSIM and FLIP.

    All are errors, lower is better. Give the noisy image first: --oidn denoises it by Intel Open
    Image Denoise (high quality, with its albedo and normal) and adds a row.

    \b
    Example:
      kpcn compare noisy.exr clean.exr --reference ref.exr --oidn --report page.html
    """
    for target in filter(None, (json_path, report_path)):
        check_writable(target, overwrite)
    expected = exr.read(reference)
    entries = _entries(images, expected, with_oidn)
    click.echo(markdown(rows(entries)))
    origin = provenance.collect()
    if json_path:
        figures = _figures(reference, entries, origin)
        with replaced(json_path, overwrite) as temporary:
            temporary.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if report_path:
        comparison = Comparison(f"Against {reference.name}", entries, expected["color"])
        text = report.page("kpcn compare", [comparison], origin)
        with replaced(report_path, overwrite) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _entries(images: Sequence[Path], reference: Frame, with_oidn: bool) -> list[Entry]:
    frames = {str(path): exr.read(path) for path in images}
    for name, frame in frames.items():
        _warn_of_windows(name, frame, reference)
    entries = [measured(name, frame["color"], reference["color"]) for name, frame in frames.items()]
    if with_oidn:
        name, noisy = next(iter(frames.items()))
        start = time.perf_counter()
        clean = oidn.denoise(noisy)
        seconds = time.perf_counter() - start
        label = f"OIDN of {name} ({', '.join(('color', *oidn.guides(noisy)))})"
        entries.append(measured(label, clean["color"], reference["color"], seconds))
    return entries


def _warn_of_windows(name: str, frame: Frame, reference: Frame) -> None:
    """Pixels are compared one by one in the order of the files, wherever the files say they lie."""
    if frame.origin != reference.origin:
        click.echo(
            f"Warning: {name}: its data window starts at {frame.origin}, that of the reference at "
            f"{reference.origin}; the first pixels of both are taken for the same.",
            err=True,
        )


def _figures(reference: Path, entries: Sequence[Entry], origin: Mapping[str, str]) -> Any:
    return {
        "reference": str(reference),
        "images": [
            {"image": entry.label, "seconds": entry.seconds, "metrics": dict(entry.metrics)}
            for entry in entries
        ],
        "meaning": {name: metric.meaning for name, metric in METRICS.items()},
        "provenance": dict(origin),
    }
