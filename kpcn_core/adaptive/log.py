"""One JSON object a pass, one line an object: what a farm, a plot or a person can follow."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kpcn_core.adaptive.state import Step
from kpcn_core.atomic import replaced


def line(step: Step, guide: str, metrics: Mapping[str, float]) -> dict[str, Any]:
    """What there is to say about a pass.

    Args:
        step: after the pass.
        guide: its name.
        metrics: of the denoised image, if there is a reference.
    """
    return {
        "pass": step.passes,
        "samples": step.total,
        "spp": step.spp,
        "least": int(step.accumulation.count.min()),
        "most": int(step.accumulation.count.max()),
        "guide": guide,
        "error": step.mean_error,
        "seconds": round(step.seconds, 3),
        "stop": step.stop,
        **({"metrics": dict(metrics)} if metrics else {}),
    }


def append(path: Path, entry: Mapping[str, Any]) -> None:
    """Add a line; whoever follows the file sees it at once."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def trim(path: Path, passes: int) -> None:
    """Keep the lines of the first passes: a killed run may have logged one that is done again."""
    if not path.is_file():
        return
    kept = path.read_text(encoding="utf-8").splitlines()[:passes]
    with replaced(path, overwrite=True) as temporary:
        temporary.write_text("".join(f"{entry}\n" for entry in kept), encoding="utf-8")
