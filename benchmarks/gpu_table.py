"""What `benchmarks.gpu` measured, for a person: goals first, then every stage beside its floor."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kpcn_core.bench.stages import ANOTHER_LAMBDA, DENOISE, SEQUENCE, WITHOUT_FILES
from kpcn_core.comparison import markdown

Found = Mapping[str, Any]
Lines = list[list[str]]

PRECISIONS = ("bfloat16", "float16", "float32")
# What, its goal in milliseconds, the kind of step, and the row of its table.
TIMES = (
    ("the paper's network, a frame", 70, "paper", DENOISE),
    ("the compact network, a frame", 10, "compact", DENOISE),
    ("the compact network, another λ", 16, "compact", ANOTHER_LAMBDA),
)


def page(found: Found) -> str:
    """All of it as Markdown."""
    origin, steps = found["provenance"], found["steps"]
    parts = [
        "# On a GPU",
        f"`{origin['command']}`, {origin['date']}, commit {origin['commit']}, "
        f"{origin['device']}, torch {origin['torch']}, Triton {origin['triton']}",
        markdown(times(steps)),
        markdown(list(others(steps))),
    ]
    for name, step in steps.items():
        for rows in _result(step).get("stages", {}).values():
            parts += [f"## {name}", markdown(stages(rows))]
    parts += ["## Steps", markdown(ends(steps))]
    return "\n\n".join(parts) + "\n"


def times(steps: Found) -> Lines:
    """What there are goals for, in milliseconds."""
    lines = [["milliseconds", "goal", *PRECISIONS]]
    for what, goal, kind, row in TIMES:
        cells = [_milliseconds(_rows(steps, f"{kind}, {name}").get(row)) for name in PRECISIONS]
        lines.append([what, str(goal), *cells])
    seconds = _result(steps.get("Open Image Denoise", {})).get("seconds", {})
    for mode, one in seconds.items():
        lines.append([f"Open Image Denoise, {mode}", "", *[f"{1000 * one:.2f}", "", ""]])
    return lines


def others(steps: Found) -> Iterator[list[str]]:
    """What else there are goals for, and what must hold for times to count."""
    yield ["", "goal", "found"]
    memory = _result(steps.get("memory", {}))
    yield ["peak memory / logits", "below 0.1", _number(memory.get("part"))]
    rows = _rows(steps, "files")
    ratio = None
    if SEQUENCE in rows:
        ratio = rows[WITHOUT_FILES]["seconds"] / rows[SEQUENCE]["seconds"]
    yield ["denoising alone / EXR to EXR, in a sequence", "at least 0.9", _number(ratio)]
    losses = _result(steps.get("precision", {})).get("rows", [])
    for name in PRECISIONS[:2]:
        found = [row["smape"] for row in losses if row["precision"] == name]
        yield [f"SMAPE of {name} to float32, at most", "", _number(max(found, default=None))]
    tests = _result(steps.get("tests", {}))
    yield ["tests: passed, failed, skipped", "0 failed", _counts(tests)]


def stages(rows: Found) -> Lines:
    """Every stage with its part of the roofline; a half is the goal."""
    lines = [["stage", "milliseconds", "of the roofline"]]
    for name, row in rows.items():
        reached = row.get("reached")
        share = "" if reached is None else f"{reached:.0%}"
        lines.append([name, _milliseconds(row), share])
    return lines


def ends(steps: Found) -> Lines:
    """How every step ended."""
    lines = [["step", "seconds", "error"]]
    for name, step in steps.items():
        lines.append([name, str(step.get("seconds", "")), step.get("error") or ""])
    return lines


def _rows(steps: Found, name: str) -> Found:
    """Row to what was measured, of the only network of a step."""
    tables: Sequence[Found] = list(_result(steps.get(name, {})).get("stages", {}).values())
    return tables[0] if tables else {}


def _result(step: Found) -> Found:
    found: Found = step.get("result") or {}
    return found


def _milliseconds(row: Found | None) -> str:
    return "" if row is None else f"{1000 * row['seconds']:.2f}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _counts(tests: Found) -> str:
    if not tests:
        return ""
    return f"{tests['passed']}, {len(tests['failed'])}, {tests['skipped']}"
