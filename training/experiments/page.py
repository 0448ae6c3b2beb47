"""What an experiment leaves for its page: tables with where they come from, and a plot."""

from collections.abc import Sequence
from pathlib import Path

import torch

from kpcn_core import provenance
from kpcn_core.atomic import replaced

TABLE, PLOT = "table.md", "plot.png"


def write_tables(output: Path, tables: Sequence[str], device: torch.device) -> None:
    """Print tables and their provenance, and write both."""
    origin = [f"- {key}: {value}" for key, value in provenance.collect(device).items()]
    text = "\n\n".join([*tables, "\n".join(origin)])
    print(text)
    with replaced(output / TABLE, overwrite=True) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
