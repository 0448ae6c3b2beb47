"""What was measured, as text and as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from kpcn_core.bench.ceilings import Ceilings
from kpcn_core.bench.run import Measured, Table, ratios


def text(table: Table, roof: Ceilings) -> str:
    """Seconds, a row for each stage, a column for each model; in brackets, how much is reached."""
    cells = {
        column: {row: _cell(one, roof) for row, one in times.items()}
        for column, times in table.items()
    }
    compared = {
        column: {row: f"{ratio:.2f}" for row, ratio in found.items()}
        for column, found in ratios(table).items()
    }
    return f"{_grid('seconds', cells)}\n\n{_grid('ratio', compared)}"


def growth(over: str, times: Mapping[str, float]) -> str:
    """Seconds for each value of what grows, and how many times the first that is."""
    first = next(iter(times.values()))
    cells = {
        "seconds": {value: f"{time:.3f}" for value, time in times.items()},
        "times the first": {value: f"{time / first:.2f}" for value, time in times.items()},
    }
    return _grid(over, cells)


def content(table: Table, roof: Ceilings) -> dict[str, Any]:
    """The same as numbers: seconds, what each stage must do at least, how much is reached."""
    return {
        "stages": {
            column: {row: _numbers(one, roof) for row, one in times.items()}
            for column, times in table.items()
        },
        "ratios": ratios(table),
    }


def _numbers(one: Measured, roof: Ceilings) -> dict[str, float | None]:
    found: dict[str, float | None] = {"seconds": one.seconds}
    if one.work is not None:
        found |= {**asdict(one.work), "reached": one.reached(roof)}
    return found


def _cell(one: Measured, roof: Ceilings) -> str:
    reached = one.reached(roof)
    share = "" if reached is None else f" ({reached:.0%})"
    return f"{one.seconds:.3f}{share}"


def _grid(corner: str, cells: Mapping[str, Mapping[str, str]]) -> str:
    """Columns of rows, as Markdown that lines up."""
    rows = list(dict.fromkeys(row for column in cells.values() for row in column))
    body = [[row, *(column.get(row, "") for column in cells.values())] for row in rows]
    lines = [[corner, *cells], *body]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(_line(line, widths) for line in (lines[0], rule, *lines[1:]))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"
