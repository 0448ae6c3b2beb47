"""Quality and time on rendered scenes: noisy, ours, Open Image Denoise (docs/results.md).

Reads `<scene>_<spp>.exr` and `<scene>_reference.exr` in a folder, or what `--file` names. All
methods run in turn on the same frame, three rounds; the time is the median of the rounds, without
reading, writing and a first round that loads the networks.

Example:
    python -m benchmarks.results renders --scenes bathroom staircase2 --sheet sheet.png
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import provenance, sheet
from kpcn_core import exr, oidn
from kpcn_core.atomic import check_writable, replaced
from kpcn_core.comparison import Comparison, Entry, markdown, measured, rows
from kpcn_core.denoiser import Denoiser
from kpcn_core.errors import UnreadableFile
from kpcn_core.frame import Frame
from kpcn_core.metrics import METRICS
from kpcn_core.provenance import weights_name
from kpcn_core.settings import DEFAULT_MODEL

SAMPLES = (8, 32, 128)
REFERENCE = "reference"
ROUNDS = 3
OUTPUT = Path(__file__).with_name("results.json")
PACKAGES = ("pyoidn", "torchmetrics", "flip-evaluator", "numpy")

Method = Callable[[Frame], Frame]


@dataclass(frozen=True)
class Case:
    """One rendered frame and what it should look like."""

    scene: str
    spp: int
    noisy: Path
    reference: Path

    @property
    def title(self) -> str:
        """What a table calls it."""
        return f"{self.scene}, {self.spp} spp"


def cases(
    folder: Path, scenes: Sequence[str], samples: Sequence[int], files: Mapping[str, Path]
) -> list[Case]:
    """Every scene at every sample count.

    Args:
        folder: holds `<scene>_<spp>.exr` and `<scene>_reference.exr`.
        scenes: their names.
        samples: samples per pixel.
        files: "scene:spp" or "scene:reference" to a path that is not in the folder.

    Raises:
        UnreadableFile: files are missing; all are named.
    """

    def path(scene: str, what: int | str) -> Path:
        return files.get(f"{scene}:{what}", folder / f"{scene}_{what}.exr")

    found = [
        Case(scene, spp, path(scene, spp), path(scene, REFERENCE))
        for scene in scenes
        for spp in samples
    ]
    paths = dict.fromkeys(path for case in found for path in (case.noisy, case.reference))
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise UnreadableFile(
            f"No such files: {', '.join(missing)}. Render them with `kpcn render`, or name others "
            f"with --file SCENE:SPP=PATH."
        )
    return found


def methods(denoiser: Denoiser) -> dict[str, Method]:
    """What is measured beside each other, by the name in the table."""
    return {
        "kpcn": denoiser.denoise,
        "OIDN high": oidn.denoise,
        "OIDN high, prefiltered + cleanAux": partial(oidn.denoise, clean_aux=True),
    }


def compared(case: Case, named: Mapping[str, Method], rounds: int = ROUNDS) -> Comparison:
    """One frame by every method, with all metrics and the median of the seconds."""
    noisy, reference = exr.read(case.noisy), exr.read(case.reference)["color"]
    results = {name: method(noisy) for name, method in named.items()}
    seconds: dict[str, list[float]] = {name: [] for name in named}
    for _ in range(rounds):
        for name, method in named.items():
            start = time.perf_counter()
            method(noisy)
            seconds[name].append(time.perf_counter() - start)
    entries = [measured("noisy", noisy["color"], reference)]
    entries += [
        measured(name, result["color"], reference, statistics.median(seconds[name]))
        for name, result in results.items()
    ]
    return Comparison(case.title, entries, reference)


def summary(comparisons: Sequence[Comparison]) -> list[list[str]]:
    """Geometric mean over all frames of each metric relative to the noisy image."""
    names = [entry.label for entry in comparisons[0].entries[1:]]
    heading = ["relative to noisy", *(metric.title for metric in METRICS.values())]
    lines = [
        [name, *(f"{_relative(comparisons, row, metric):.3f}" for metric in METRICS)]
        for row, name in enumerate(names, start=1)
    ]
    return [heading, *lines]


def figures(
    found: Sequence[Case], comparisons: Sequence[Comparison], origin: Mapping[str, str]
) -> dict[str, Any]:
    """What the JSON holds."""
    return {
        "provenance": dict(origin),
        "metrics": {name: metric.meaning for name, metric in METRICS.items()},
        "frames": [
            {
                "scene": case.scene,
                "spp": case.spp,
                "size": list(comparison.entries[0].color.shape[-2:]),
                "images": [_figure(entry) for entry in comparison.entries],
            }
            for case, comparison in zip(found, comparisons, strict=True)
        ],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = _parser().parse_args(arguments)
    for target in filter(None, (options.json, options.sheet)):
        check_writable(target, overwrite=True)
    found = cases(options.folder, options.scenes, options.spp, dict(options.file))
    denoiser = Denoiser.load(options.model, options.device)
    comparisons = list(_printed(found, methods(denoiser)))
    print(markdown(summary(comparisons)))
    origin = provenance.collect("benchmarks.results", denoiser.device, PACKAGES)
    origin["weights"] = weights_name(options.model)
    with replaced(options.json, overwrite=True) as temporary:
        text = json.dumps(figures(found, comparisons, origin), indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")
    if options.sheet:
        with replaced(options.sheet, overwrite=True) as temporary:
            sheet.contact_sheet(comparisons).save(temporary)


def _printed(found: Sequence[Case], named: Mapping[str, Method]) -> Iterator[Comparison]:
    for case in found:
        comparison = compared(case, named)
        print(f"### {case.title}\n\n{markdown(rows(comparison.entries))}\n", flush=True)
        yield comparison


def _relative(comparisons: Sequence[Comparison], row: int, metric: str) -> float:
    return statistics.geometric_mean(
        max(each.entries[row].metrics[metric], 1e-9) / max(each.entries[0].metrics[metric], 1e-9)
        for each in comparisons
    )


def _figure(entry: Entry) -> dict[str, Any]:
    return {"image": entry.label, "seconds": entry.seconds, **entry.metrics}


def _file(text: str) -> tuple[str, Path]:
    what, equals, path = text.partition("=")
    if not equals or ":" not in what:
        raise argparse.ArgumentTypeError(f"'{text}' must be SCENE:SPP=PATH or SCENE:reference=PATH")
    return what, Path(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="holds SCENE_SPP.exr and SCENE_reference.exr")
    parser.add_argument("--scenes", nargs="+", required=True)
    parser.add_argument("--spp", nargs="+", type=int, default=SAMPLES)
    parser.add_argument("--file", action="append", type=_file, default=[], help="SCENE:SPP=PATH")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, default=OUTPUT)
    parser.add_argument("--sheet", type=Path, help="a PNG of all images, to look at")
    return parser


if __name__ == "__main__":
    main()
