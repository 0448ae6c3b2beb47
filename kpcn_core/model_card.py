"""What a weights file tells of itself: for `kpcn models`, and the cards of docs/models.md.

The header is the source of every fact; nothing here is kept elsewhere.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kpcn_core import features, source, weights

Header = Mapping[str, str]
Rows = list[list[str]]

UNKNOWN = "not recorded"


@dataclass(frozen=True)
class Stage:
    """One training, after which the next went on from its weights.

    Attributes:
        name: the stage (docs/training.md).
        date: when it was released.
        steps: of it alone.
        patches: that it saw.
        views: of how many views.
        data: who rendered them, and of what.
        device: where it was computed.
        minutes: how long it took.
        command: how it was started.
    """

    name: str
    date: str
    steps: str
    patches: str
    views: str
    data: str
    device: str
    minutes: str
    command: str


def stages(header: Header) -> list[Stage]:
    """All trainings that a file came from, in their order."""
    before = stages(start_of(header)) if header.get("start") else []
    return [*before, _stage(header)]


def start_of(header: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the file that a training started from said of itself: JSON, or read already."""
    start = header["start"]
    found: Mapping[str, Any] = json.loads(start) if isinstance(start, str) else start
    return found


def encoders(header: Header) -> dict[str, list[str]]:
    """Encoder to the sources that use it when their files have all that the source knows of."""
    config = json.loads(header["config"])
    read: Mapping[str, Any] = config.get("encoders", {})
    found: dict[str, list[str]] = {name: [] for name in read}
    for name in source.names():
        chosen = _chosen(name, read)
        if chosen is not None:
            found[chosen].append(name)
    return found


def essentials(path: Path) -> Iterator[str]:
    """A file in a few lines."""
    header = weights.describe(path)
    last = stages(header)[-1]
    yield f"{path.stem}  (sha256 {header['sha256'][:12]}, {header.get('licence', UNKNOWN)})"
    for one in stages(header):
        yield (
            f"  {one.date}  {one.name}: {one.steps} steps, {one.views} views, {one.minutes}, "
            f"{one.device}"
        )
    yield from (f"  data: {one}" for one in last.data.split("; "))
    if "denoiser" in header:
        yield f"  predicts the errors of: {header['denoiser']}"
    for name, sources in encoders(header).items():
        yield f"  encoder {name}: {', '.join(sources) or 'by --encoder, or where layers lack'}"


def facts(path: Path) -> list[tuple[str, Rows]]:
    """A file's tables for its card, each with its heading."""
    header = weights.describe(path)
    config = json.loads(header["config"])
    told = [
        ["fact", "value"],
        ["sha256 of the tensors", f"`{header['sha256']}`"],
        ["parameters", f"{weights.size(path):,}"],
        ["licence", header.get("licence", UNKNOWN)],
        ["licence of the data", header.get("data_licence", UNKNOWN)],
        *([["predicts the errors of", f"`{header['denoiser_sha256']}`"]]
          if "denoiser_sha256" in header else []),
    ]  # fmt: skip
    titles = ["stage", "date", "steps", "patches", "views", "data", "device", "time", "command"]
    lines = [
        [one.name, one.date, one.steps, one.patches, one.views, one.data, one.device, one.minutes,
         f"`{one.command}`"]
        for one in stages(header)
    ]  # fmt: skip
    found = [("Facts", told), ("Training", [titles, *lines])]
    if "encoders" in config:
        rows = [
            [f"`{name}`", ", ".join(config["encoders"][name]), ", ".join(sources)]
            for name, sources in encoders(header).items()
        ]
        found.append(("Encoders", [["encoder", "reads", "sources that use it by default"], *rows]))
    return found


def _stage(header: Header) -> Stage:
    minutes = header.get("training_minutes")
    return Stage(
        header.get("stage", UNKNOWN),
        header.get("date", UNKNOWN),
        header.get("steps", UNKNOWN),
        header.get("samples_seen", UNKNOWN),
        header.get("views", UNKNOWN),
        _data(json.loads(header.get("data_recipe", "{}"))),
        header.get("device", UNKNOWN),
        UNKNOWN if minutes is None else f"{minutes} min",
        header.get("training_command", UNKNOWN).partition(" (")[0],
    )


def _data(recipe: Mapping[str, Any] | list[Mapping[str, Any]]) -> str:
    """Who rendered the views of one data set, or of each."""
    sets = recipe if isinstance(recipe, list) else [{"recipe": recipe}]
    told = []
    for one in sets:
        made = one.get("recipe", {})
        spp = ", ".join(map(str, made.get("spp", []))) or UNKNOWN
        views = f"{one['views']} views, " if "views" in one else ""
        told.append(f"{made.get('generator', UNKNOWN)} by {made.get('renderer', UNKNOWN)}, "
                    f"{views}{spp} spp")  # fmt: skip
    return "; ".join(told)


def _chosen(name: str, read: Mapping[str, list[str]]) -> str | None:
    """As `Denoiser.choose_encoder`: the encoder of this name, else the one that reads most."""
    aovs = source.load(name).aovs
    usable = [
        encoder
        for encoder, planes in read.items()
        if set(planes) <= features.available_planes(aovs, features.reads_split(planes))
    ]
    if name in usable:
        return name
    return max(usable, key=lambda encoder: len(read[encoder]), default=None)
