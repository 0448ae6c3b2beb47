"""Comparisons -> one self-contained HTML page: slider, table, crops, error maps, provenance."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template

import numpy as np

from kpcn_core import metrics, picture
from kpcn_core.comparison import Comparison, Entry, rows
from kpcn_core.frame import Pixels

TEMPLATE = Path(__file__).with_suffix(".html")
CROP_SIDE = 64
CROP_FACTOR = 4
CROPS = 3


def page(
    title: str,
    comparisons: Sequence[Comparison],
    provenance: Mapping[str, str],
    further: Sequence[Comparison] = (),
) -> str:
    """The page as text; nothing in it is loaded from elsewhere.

    Args:
        title: heading.
        comparisons: each gets a section over the whole width.
        provenance: what -> value, listed at the end (see `provenance.collect`).
        further: each gets a small section, e.g. the other frames of a sequence.

    Raises:
        MissingDependency: Pillow is not installed.
    """
    body = [_section(comparison) for comparison in comparisons]
    if further:
        body.append(_tag("div", *map(_section, further), class_="pair"))
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=escape(title),
        body="\n".join(body),
        metrics=_list({metric.title: metric.meaning for metric in metrics.METRICS.values()}),
        provenance=_list(provenance),
    )


def worst_squares(error: Pixels, side: int, count: int) -> list[tuple[int, int]]:
    """(left, top) of the squares of a grid whose mean error is the largest, worst first.

    Args:
        error: map [1,H,W]; what is left over at the right and bottom of the grid is not looked at.
        side: of a square, at most H and W.
        count: at most so many.
    """
    tall, wide = (size // side for size in error.shape[-2:])
    blocks = error[0, : tall * side, : wide * side].reshape(tall, side, wide, side)
    order = np.argsort(-blocks.mean(axis=(1, 3)), axis=None)[:count]
    return [(int(index % wide) * side, int(index // wide) * side) for index in order]


def _section(comparison: Comparison) -> str:
    pictures = _pictures(comparison)
    parts = [_tag("h2", escape(comparison.title)), _viewer(pictures)]
    if comparison.reference is not None:
        errors = {
            entry.label: metrics.smape_map(entry.color, comparison.reference)
            for entry in comparison.entries
        }
        parts += [_table(comparison.entries), _crops(pictures, errors), _maps(errors)]
    return _tag("section", *parts)


def _pictures(comparison: Comparison) -> dict[str, picture.Picture]:
    """Label -> picture, all at the same exposure, the reference last."""
    reference = comparison.reference
    images = {entry.label: entry.color for entry in comparison.entries}
    gain = picture.exposure(comparison.entries[0].color if reference is None else reference)
    if reference is not None:
        images["reference"] = reference
    return {label: picture.shown(color, gain) for label, color in images.items()}


def _viewer(pictures: Mapping[str, picture.Picture]) -> str:
    """All pictures on top of each other; two are shown, with a split that follows the pointer."""
    width, height = next(iter(pictures.values())).size
    choice = _tag("div", _select("left", pictures, 0), _select("right", pictures, 1))
    split = _tag("input", type="range", min="0", max="100", step="0.1", value="50", title="Split")
    images = [_img(each, label) for label, each in pictures.items()]
    stage = _tag("div", *images, split, class_="stage", style=f"aspect-ratio:{width}/{height}")
    return _tag("div", choice, stage, class_="viewer")


def _select(side: str, labels: Iterable[str], chosen: int) -> str:
    options = [
        _tag("option", escape(label), **({"selected": ""} if index == chosen else {}))
        for index, label in enumerate(labels)
    ]
    return _tag("select", *options, title=f"Image on the {side}")


def _table(entries: Sequence[Entry]) -> str:
    """All metrics; the best of each stands out."""
    heading, *lines = rows(entries)
    best = {
        column: min(range(len(entries)), key=lambda row: entries[row].metrics[name])
        for column, name in enumerate(metrics.METRICS, start=1)
    }
    head = _tag("tr", *(_tag("th", escape(cell)) for cell in heading))
    body = [
        _tag("tr", *(_cell(cell, best.get(column) == row) for column, cell in enumerate(line)))
        for row, line in enumerate(lines)
    ]
    table = _tag("table", _tag("thead", head), _tag("tbody", *body))
    return _tag("h3", "Metrics, lower is better") + _tag("div", table, class_="scroll")


def _cell(text: str, best: bool) -> str:
    return _tag("td", escape(text), **({"class": "best"} if best else {}))


def _crops(pictures: Mapping[str, picture.Picture], errors: Mapping[str, Pixels]) -> str:
    maps = list(errors.values())
    error = np.mean(maps[1:] or maps, axis=0)
    side = min(CROP_SIDE, *error.shape[-2:])
    figures = [
        _figure(picture.magnified(each, left, top, side, CROP_FACTOR), label)
        for left, top in worst_squares(error, side, CROPS)
        for label, each in pictures.items()
    ]
    title = f"The squares of {side} pixels with the largest error"
    return _grid(title, figures, len(pictures), "grid crops")


def _maps(errors: Mapping[str, Pixels]) -> str:
    figures = [_figure(picture.heat(error), label) for label, error in errors.items()]
    return _grid("Error maps", figures, max(2, len(errors)), "grid")


def _grid(title: str, figures: Sequence[str], columns: int, kind: str) -> str:
    grid = _tag("div", *figures, class_=kind, style=f"--columns:{columns}")
    return _tag("h3", title) + grid


def _figure(image: picture.Picture, label: str) -> str:
    return _tag("figure", _img(image, label), _tag("figcaption", escape(label)))


def _img(image: picture.Picture, label: str) -> str:
    return _tag("img", src=picture.data_uri(image), alt=label)


def _list(entries: Mapping[str, str]) -> str:
    return "".join(
        _tag("dt", escape(term)) + _tag("dd", escape(value)) for term, value in entries.items()
    )


def _tag(name: str, *content: str, **attributes: str) -> str:
    """An HTML element; the content is HTML already, attributes are escaped."""
    words = (f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items())
    end = "" if name in ("img", "input") else f"{''.join(content)}</{name}>"
    return f"<{name}{''.join(words)}>{end}"
