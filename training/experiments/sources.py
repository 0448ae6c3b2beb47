"""Trained on one source, on the other, on both, with encoders (paper §7.1, Table 2).

Two data sets of different renderers. Every network is trained for the same steps and measured on
views of both that no network learned from. Stop it at any time; the same command goes on.

Example:
    python -m training.experiments.sources runs/sources --data mitsuba cycles
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kpcn_core.comparison import markdown
from kpcn_core.model.network import Network
from training import config as configs
from training.config import TrainingConfig
from training.dataset import Dataset
from training.experiments import plots
from training.experiments.errors import frames, left, left_of_frames
from training.experiments.page import PLOT, write_tables
from training.experiments.runs import Runs, opened, parser
from training.experiments.subsets import apart, part
from training.mixture import lacking
from training.validation import Sample, samples

SHARED = "shared"
WITHOUT_VARIANCE = "split"  # the encoder of configurations that every source can feed


@dataclass(frozen=True)
class Source:
    """One renderer's data.

    Attributes:
        name: that of its folder.
        learned: folder of the views to learn from.
        tests: images to measure on.
        planes: everything that an encoder of its own can read.
    """

    name: str
    learned: Path
    tests: list[Sample]
    planes: tuple[str, ...]


def source_of(
    folder: Path, output: Path, tests: int, spp: Sequence[int], known: TrainingConfig
) -> Source:
    """A data set, parted into what is learned from and what is tested on."""
    dataset = Dataset(folder)
    learned, others = apart(dataset, tests)
    name = dataset.name
    encoders = known.network.encoders.values()
    readable = [planes for planes in encoders if not lacking(planes, dataset.aovs)]
    return Source(
        name,
        part(dataset, learned, output / "data" / name),
        samples(others, spp),
        max(readable, key=len),
    )


def shared(config: TrainingConfig) -> TrainingConfig:
    """With one encoder that reads what every source gives."""
    return _with_encoders(config, {SHARED: config.network.encoders[WITHOUT_VARIANCE]})


def dedicated(config: TrainingConfig, planes: Mapping[str, tuple[str, ...]]) -> TrainingConfig:
    """With an encoder for each source, which learns from that alone."""
    found = _with_encoders(config, planes)
    only = {name: (name,) for name in planes}
    return replace(found, batches=replace(found.batches, only=only))


def _with_encoders(config: TrainingConfig, planes: Mapping[str, tuple[str, ...]]) -> TrainingConfig:
    return replace(
        config,
        network=replace(config.network, encoders=dict(planes)),
        batches=replace(config.batches, shares={}),
    )


def networks(
    runs: Runs, config: TrainingConfig, sources: Sequence[Source], steps: int
) -> dict[str, Network]:
    """Every line of the table, trained."""
    alike = config.network.encoders[WITHOUT_VARIANCE]
    everything = {source.name: source.planes for source in sources}
    both = [source.learned for source in sources]
    lines = {f"{source.name} only": (shared(config), [source.learned]) for source in sources} | {
        "both": (shared(config), both),
        "both, encoders": (dedicated(config, dict.fromkeys(everything, alike)), both),
        "both, encoders that read all": (dedicated(config, everything), both),
    }
    found = {}
    for title, (line, data) in lines.items():
        network = runs.train(
            title.replace(", ", "-").replace(" ", "-"), line, data, steps
        ).network()
        assert isinstance(network, Network)
        found[title] = network
    return found


def encoder_for(network: Network, name: str) -> str:
    """The encoder that reads a source."""
    return name if name in network.config.encoders else SHARED


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, measure, print, write."""
    options = _parser().parse_args(arguments)
    config = configs.load(options.config)
    sources = [
        source_of(folder, options.output, options.tests, options.spp, config)
        for folder in options.data
    ]
    public = frames(options.frames, options.scenes, options.frames_spp) if options.scenes else []
    with opened(options) as runs:
        found = networks(runs, config, sources, options.steps)
        heading = ["trained on", *(f"{one.name}, {len(one.tests)} images" for one in sources)]
        rows = [
            [
                title,
                *(
                    f"{left(network, one.tests, encoder_for(network, one.name), runs.device):.3f}"
                    for one in sources
                ),
            ]
            for title, network in found.items()
        ]
        if public:
            # They were rendered by the renderer of the first source.
            heading.append(f"public scenes, {len(public)} images")
            for row, network in zip(rows, found.values(), strict=True):
                encoder = encoder_for(network, sources[0].name)
                row.append(f"{left_of_frames(network, public, encoder, runs.device):.3f}")
        views = [f"{one.name}: {len(Dataset(one.learned).training)} views" for one in sources]
        write_tables(options.output, [markdown([heading, *rows]), "; ".join(views)], runs.device)
        plots.draw(options.output / PLOT, _panel(heading[1:], rows))


def _panel(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> plots.Panel:
    curves = {
        title: [(index, float(cell)) for index, cell in enumerate(cells)] for title, *cells in rows
    }
    return plots.Panel(
        "Trained on one source or on both",
        ("measured on", "SMAPE left (noisy = 1)"),
        curves,
        ticks=[column.partition(",")[0] for column in columns],
    )


def _parser() -> argparse.ArgumentParser:
    made = parser(__doc__, steps=300)
    made.add_argument("--data", nargs=2, type=Path, required=True, help="data sets, two renderers")
    made.add_argument("--tests", type=int, default=5, help="views of each to test on")
    made.add_argument("--spp", nargs="+", type=int, default=[4, 16], help="of test images")
    made.add_argument("--frames", type=Path, help="holds SCENE_SPP.exr and SCENE_reference.exr")
    made.add_argument("--scenes", nargs="*", default=[])
    made.add_argument("--frames-spp", type=int, default=8)
    return made


if __name__ == "__main__":
    main()
