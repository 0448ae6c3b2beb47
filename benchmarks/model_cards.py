"""The facts in docs/models.md, from the weights files and from what `benchmarks.quality` measured.

Run it after new weights, and again after `python -m benchmarks.quality`; a test compares. What
stands outside of the marks is written by hand and stays: what a network is for, and known failures.

Example:
    python -m benchmarks.model_cards
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import marked, quality
from benchmarks.quality_cache import Measurement
from benchmarks.quality_cases import Case
from benchmarks.quality_tables import Rows, Table, by_samples, consistency, summary
from kpcn_core import model_card, weights
from kpcn_core.atomic import replaced
from kpcn_core.comparison import markdown

CARDS = Path(__file__).parent.parent / "docs" / "models.md"


def shipped() -> list[Path]:
    """Every weights file that ships, predictors included."""
    found = []
    for name in weights.names():
        path = weights.find(name)
        beside = weights.predictor_of(path)
        found += [path] if beside is None else [path, beside]
    return found


def with_facts(text: str, measured: Path = quality.OUTPUT) -> str:
    """The cards with the facts between their marks replaced by what the files say now.

    Raises:
        ValueError: a file that ships has no card, or a card no file.
    """
    paths = {path.stem: path for path in shipped()}
    named = marked.names(text)
    if sorted(named) != sorted(paths):
        raise ValueError(
            f"{CARDS.name} has cards of {', '.join(named)}; what ships is {', '.join(paths)}. "
            f"Write a card for each, with the marks {marked.BEGIN.format('NAME')} and {marked.END}."
        )
    return marked.rewritten(text, lambda name: _facts(paths[name], measured))


def _facts(path: Path, measured: Path) -> str:
    tables = [*model_card.facts(path), *_measured(path, measured)]
    return "\n\n".join(f"**{title}**\n\n{markdown(rows)}" for title, rows in tables)


def _measured(path: Path, file: Path) -> Iterator[tuple[str, Rows]]:
    """What was measured with these very weights."""
    if path.stem not in weights.names():
        return
    found = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"frames": []}
    origin = found.get("provenance", {})
    method = f"kpcn {path.stem}"
    if weights.describe(path)["sha256"] not in origin.get("weights", ""):
        yield (
            "Measured",
            [["state"], ["not yet with these weights: `python -m benchmarks.quality`"]],
        )
        return
    frames = [(_case(frame), _table(frame)) for frame in found["frames"]]
    for renderer in dict.fromkeys(case.renderer for case, _ in frames):
        chosen = [each for each in frames if each[0].renderer == renderer]
        cases, tables = [case for case, _ in chosen], [table for _, table in chosen]
        what = f"{renderer}, {origin['date'].partition(' ')[0]}"
        yield f"Measured on public interiors, {what}", summary(tables)
        yield f"Beside the peer, {what}", by_samples(cases, tables, method)
    cases, tables = [case for case, _ in frames], [table for _, table in frames]
    yield "Consistency", consistency(cases, tables, method)


def _case(frame: dict[str, Any]) -> Case:
    return Case(frame["scene"], frame["spp"], Path(), Path())


def _table(frame: dict[str, Any]) -> Table:
    return {name: Measurement(**one) for name, one in frame["images"].items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the facts anew."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--measured", type=Path, default=quality.OUTPUT, help="a JSON of quality")
    parser.add_argument("--cards", type=Path, default=CARDS)
    options = parser.parse_args(arguments)
    text = with_facts(options.cards.read_text(encoding="utf-8"), options.measured)
    with replaced(options.cards, overwrite=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
