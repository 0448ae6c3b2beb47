"""The page: what a person reads, with the images, styles and scripts inside."""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from kpcn_core import metrics
from kpcn_core.comparison import Comparison, Entry, rows
from kpcn_core.report.layers import payload

FOLDER = Path(__file__).parent
SCRIPTS = ("codes.js", "layers.js", "view.js", "stage.js", "sheets.js", "page.js")
MAPS = ("smape",)


def page(
    title: str,
    comparisons: Sequence[Comparison],
    provenance: Mapping[str, str],
    maps: Sequence[str] = MAPS,
    tables: Mapping[str, Sequence[Sequence[str]]] = {},
) -> str:
    """The page as text; nothing in it is loaded from elsewhere.

    Args:
        title: heading.
        comparisons: the frames; the first with a reference is shown first.
        provenance: what -> value, listed at the end (see `provenance.collect`).
        maps: of which of `metric_maps.MAPS` to show the error maps.
        tables: further ones by their headings, before those of the frames; the first row of each
            is its head.

    Raises:
        MissingDependency: Pillow is not installed.
    """
    return Template(_file("page.html")).substitute(
        title=escape(title),
        style=_file("page.css"),
        tables="\n".join([*_further(tables), *_of_frames(comparisons)]),
        metrics=_list({metric.title: metric.meaning for metric in metrics.METRICS.values()}),
        provenance=_list(provenance),
        data=_json(payload(comparisons, maps)),
        script="\n".join(map(_file, SCRIPTS)),
    )


def _file(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _json(data: Mapping[str, Any]) -> str:
    """JSON that ends no script element, whatever texts are in it."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _further(tables: Mapping[str, Sequence[Sequence[str]]]) -> Iterator[str]:
    for title, cells in tables.items():
        yield _table(title, cells, {})


def _of_frames(comparisons: Sequence[Comparison]) -> Iterator[str]:
    """All metrics; the best of each stands out."""
    for each in comparisons:
        if each.reference is not None:
            yield _table(each.title, rows(each.entries), _best(each.entries))


def _table(title: str, cells: Sequence[Sequence[str]], best: Mapping[int, int]) -> str:
    heading, *lines = cells
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in heading)
    body = "".join(_row(row, line, best) for row, line in enumerate(lines))
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<h3>{escape(title)}</h3><div class="scroll">{table}</div>'


def _row(row: int, line: Sequence[str], best: Mapping[int, int]) -> str:
    label, *figures = line
    cells = "".join(
        f'<td class="best">{text}</td>' if best.get(column) == row else f"<td>{text}</td>"
        for column, text in enumerate(figures, start=1)
    )
    return f'<tr><th scope="row">{escape(label)}</th>{cells}</tr>'


def _best(entries: Sequence[Entry]) -> dict[int, int]:
    """Column of the table -> row of its least error."""
    return {
        column: min(range(len(entries)), key=lambda row: entries[row].metrics[name])
        for column, name in enumerate(metrics.METRICS, start=1)
    }


def _list(entries: Mapping[str, str]) -> str:
    return "".join(
        f"<dt>{escape(term)}</dt><dd>{escape(value)}</dd>" for term, value in entries.items()
    )
