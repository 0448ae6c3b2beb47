"""`kpcn compare`: images against a reference, or beside each other."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click

from kpcn_core import comparison_images, exr, provenance, report
from kpcn_core.atomic import check_writable, replaced
from kpcn_core.cli.compare_options import Rectangle, Values
from kpcn_core.comparison import Comparison, Entry, markdown, rows
from kpcn_core.denoiser import Denoiser
from kpcn_core.errors import InvalidPixels
from kpcn_core.frame import Frame, Window
from kpcn_core.metric_maps import MAPS
from kpcn_core.metrics import METRICS
from kpcn_core.settings import DEFAULT_MODEL

FILE = click.Path(path_type=Path)


@click.command()
@click.argument("images", type=FILE, nargs=-1, required=True)
@click.option("--reference", type=FILE, help="What to measure against.")
@click.option("--label", "labels", multiple=True, help="Call the next image so, not by its path.")
@click.option("--asymmetry", type=Values(), default=(), help="Denoise the first image so, too.")
@click.option("--oidn", "with_oidn", is_flag=True, help="Denoise the first image by OIDN, too.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True, help="For --asymmetry.")
@click.option("--json", "json_path", type=FILE, help="Write the figures here.")
@click.option("--report", "report_path", type=FILE, help="Write an HTML page here.")
@click.option(
    "--map",
    "maps",
    type=click.Choice(list(MAPS)),
    multiple=True,
    default=report.MAPS,
    show_default=True,
    help="Error map on the page; may be repeated.",
)
@click.option("--crop", type=Rectangle(), help="Part of the images that the page shows; all.")
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
def compare(
    images: tuple[Path, ...],
    reference: Path | None,
    labels: tuple[str, ...],
    asymmetry: tuple[float, ...],
    with_oidn: bool,
    model: str,
    json_path: Path | None,
    report_path: Path | None,
    maps: tuple[str, ...],
    crop: Window | None,
    overwrite: bool,
) -> None:
    """Measure images against a reference: SMAPE, MrSE, DSSIM, MS-DSSIM and FLIP.

    All are errors, lower is better. Give the noisy image first: --oidn denoises it by Intel Open
    Image Denoise (high quality, with its albedo and normal) and adds a row, --asymmetry denoises it
    by kpcn and adds a row for each λ.

    --report writes one page that needs no network: the images with their whole range, a slider,
    flipping, zoom, exposure, maps of error, of predicted error and of samples where a file has
    these. Without a reference it shows the images alone. Every pixel is in it, at some bytes each:
    --crop makes a smaller page.

    \b
    Examples:
      kpcn compare noisy.exr clean.exr --reference ref.exr --oidn --report page.html
      kpcn compare noisy.exr --asymmetry 1,2,4,10 --report lambda.html
    """
    _check(images, reference, labels, json_path, report_path)
    for target in filter(None, (json_path, report_path)):
        check_writable(target, overwrite)
    names = [label or str(path) for path, label in zip_longest(images, labels)]
    frames = {name: exr.read(path) for name, path in zip(names, images, strict=True)}
    expected = exr.read(reference) if reference else None
    _compare_windows(frames, expected)
    entries = list(_entries(frames, expected, asymmetry, with_oidn, model))
    if expected:
        click.echo(markdown(rows(entries)))
    origin = provenance.collect()
    if asymmetry:
        origin["weights"] = provenance.weights_name(model)
    if json_path:
        figures = _figures(reference, entries, origin)
        with replaced(json_path, overwrite) as temporary:
            temporary.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if report_path:
        title = f"Against {reference.name}" if reference else images[0].name
        comparison = Comparison(title, entries, expected["color"] if expected else None)
        shown = comparison.cropped(crop) if crop else comparison
        text = report.page("kpcn compare", [shown], origin, maps)
        with replaced(report_path, overwrite) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _check(
    images: Sequence[Path],
    reference: Path | None,
    labels: Sequence[str],
    json_path: Path | None,
    report_path: Path | None,
) -> None:
    if reference is None and (json_path or not report_path):
        raise click.UsageError(
            "Without --reference nothing can be measured. Name one, or ask for a page with "
            "--report alone."
        )
    if len(labels) > len(images):
        raise click.UsageError(f"{len(labels)} times --label for {len(images)} images.")
    names = [label or str(path) for path, label in zip_longest(images, labels)]
    if len(set(names)) < len(names):
        raise click.UsageError(f"Two images have one name: {', '.join(names)}. Use --label.")


def _entries(
    frames: Mapping[str, Frame],
    reference: Frame | None,
    asymmetry: Sequence[float],
    with_oidn: bool,
    model: str,
) -> Iterator[Entry]:
    expected = reference["color"] if reference else None
    for name, frame in frames.items():
        yield comparison_images.of_frame(name, frame, expected)
    first, noisy = next(iter(frames.items()))
    if asymmetry:
        denoiser = Denoiser.load(model)
        yield from comparison_images.by_asymmetry(first, noisy, expected, asymmetry, denoiser)
    if with_oidn:
        yield comparison_images.by_oidn(first, noisy, expected)


def _compare_windows(frames: Mapping[str, Frame], reference: Frame | None) -> None:
    """Pixels are compared one by one in the order of the files, wherever the files say they lie."""
    names = list(frames)
    base, what = (reference, "the reference") if reference else (frames[names[0]], names[0])
    for name, frame in frames.items():
        if frame.origin != base.origin:
            click.echo(
                f"Warning: {name}: its data window starts at {frame.origin}, that of {what} at "
                f"{base.origin}; the first pixels of both are taken for the same.",
                err=True,
            )
        if reference is None and frame.size != base.size:
            raise InvalidPixels(
                f"{name}: expected {base.size[1]}x{base.size[0]} pixels, as {what} has; found "
                f"{frame.size[1]}x{frame.size[0]}. Compare images of the same size."
            )


def _figures(reference: Path | None, entries: Sequence[Entry], origin: Mapping[str, str]) -> Any:
    return {
        "reference": str(reference),
        "images": [
            {"image": entry.label, "seconds": entry.seconds, "metrics": dict(entry.metrics)}
            for entry in entries
        ],
        "meaning": {name: metric.meaning for name, metric in METRICS.items()},
        "provenance": dict(origin),
    }
