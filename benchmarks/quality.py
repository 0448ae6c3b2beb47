"""Quality on rendered scenes that were never trained on: ours beside Open Image Denoise.

Reads `<scene>_<spp>.exr` and `<scene>_reference.exr` in a folder, or what `--file` names; a scene
may lie in a folder of its renderer, as in `cycles/room`. What was measured before is kept in
`--cache`, so that only what changed is measured again. Seconds are the median of some rounds in
which the methods take turns, without reading, writing and a first round that loads the networks;
those of the cache are of the run that measured them.

Example:
    python -m benchmarks.quality renders --scenes bathroom staircase2 --sheet sheet.png
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import provenance, sheet
from benchmarks.quality_cache import Cache, Measurement
from benchmarks.quality_methods import PEER, Method, ours, peers
from kpcn_core import exr
from kpcn_core.atomic import check_writable, replaced
from kpcn_core.comparison import Comparison, markdown, measured
from kpcn_core.errors import UnreadableFile
from kpcn_core.frame import Frame, Pixels
from kpcn_core.metrics import METRICS
from kpcn_core.provenance import weights_name
from kpcn_core.settings import DEFAULT_MODEL

SAMPLES = (4, 8, 16, 32, 64, 128, 512)
NOISY = "noisy"
REFERENCE = "reference"
ROUNDS = 3
OUTPUT = Path(__file__).with_name("quality.json")
PACKAGES = ("pyoidn", "torchmetrics", "flip-evaluator", "numpy")


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


Table = dict[str, Measurement]  # of one frame, by method


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


def table(case: Case, methods: Mapping[str, Method], cache: Cache, rounds: int = ROUNDS) -> Table:
    """One frame by every method."""
    noisy, reference = exr.read(case.noisy), exr.read(case.reference)["color"]
    files = (case.noisy, case.reference)

    def measure(run: Callable[[Frame], Frame]) -> Callable[[], Measurement]:
        return lambda: _measured(run, noisy, reference, rounds)

    found = {NOISY: cache.get(files, NOISY, lambda: _of(noisy["color"], noisy, reference))}
    for name, method in methods.items():
        found[name] = cache.get(files, method.identity, measure(method.run))
    return found


def _measured(
    run: Callable[[Frame], Frame], noisy: Frame, reference: Pixels, rounds: int
) -> Measurement:
    result = run(noisy)["color"]
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        run(noisy)
        seconds.append(time.perf_counter() - start)
    return _of(result, noisy, reference, statistics.median(seconds))


def _of(
    color: Pixels, noisy: Frame, reference: Pixels, seconds: float | None = None
) -> Measurement:
    entry = measured("", color, reference)
    return Measurement(entry.metrics, float(color.mean() / noisy["color"].mean()), seconds)


def relative(tables: Sequence[Table], method: str, metric: str, base: str = NOISY) -> float:
    """Geometric mean over frames of a metric, as a part of what another method leaves."""
    return statistics.geometric_mean(
        max(each[method].metrics[metric], 1e-9) / max(each[base].metrics[metric], 1e-9)
        for each in tables
    )


def summary(tables: Sequence[Table]) -> list[list[str]]:
    """Every method, as a part of the noisy image's error, over all frames."""
    lines = [
        [name, *_relative(tables, name), _seconds(tables, name)]
        for name in tables[0]
        if name != NOISY
    ]
    return [["relative to noisy", *_titles(), f"time, {PEER} = 1"], *lines]


def by_samples(found: Sequence[Case], tables: Sequence[Table], method: str) -> list[list[str]]:
    """One method at every sample count, as a part of the peer's error; below 1 it is ahead."""
    lines = []
    for spp in sorted({case.spp for case in found}):
        chosen = [each for case, each in zip(found, tables, strict=True) if case.spp == spp]
        lines.append([f"{spp} spp", *_relative(chosen, method, PEER)])
    return [[f"{method} / {PEER}", *_titles()], *lines]


def frame_rows(measurements: Table) -> list[list[str]]:
    """One frame: every method, every metric."""
    lines = [
        [
            name,
            *(f"{one.metrics[metric]:.4f}" for metric in METRICS),
            f"{one.brightness:.4f}",
            "" if one.seconds is None else f"{one.seconds:.2f}",
        ]
        for name, one in measurements.items()
    ]
    return [["image", *_titles(), "brightness", "seconds"], *lines]


def figures(
    found: Sequence[Case], tables: Sequence[Table], origin: Mapping[str, str]
) -> dict[str, Any]:
    """What the JSON holds."""
    return {
        "provenance": dict(origin),
        "metrics": {name: metric.meaning for name, metric in METRICS.items()},
        "frames": [
            {
                "scene": case.scene,
                "spp": case.spp,
                "images": {name: asdict(one) for name, one in measurements.items()},
            }
            for case, measurements in zip(found, tables, strict=True)
        ],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = _parser().parse_args(arguments)
    for target in filter(None, (options.json, options.sheet, options.cache)):
        check_writable(target, overwrite=True)
    found = cases(options.folder, options.scenes, options.spp, dict(options.file))
    mine = ours(options.models, options.asymmetry, options.encoders, options.device)
    methods = peers() | mine
    cache = Cache(options.cache)
    tables = []
    for case in found:
        tables.append(table(case, methods, cache, options.rounds))
        if options.frames:
            print(f"### {case.title}\n\n{markdown(frame_rows(tables[-1]))}\n", flush=True)
    print(markdown(summary(tables)))
    for name in mine:
        print(f"\n{markdown(by_samples(found, tables, name))}")
    origin = provenance.collect("benchmarks.quality", torch.device(options.device), PACKAGES)
    origin["weights"] = "; ".join(weights_name(model) for model in options.models)
    with replaced(options.json, overwrite=True) as temporary:
        text = json.dumps(figures(found, tables, origin), indent=1)
        temporary.write_text(text + "\n", encoding="utf-8")
    if options.sheet:
        with replaced(options.sheet, overwrite=True) as temporary:
            pictures = [_pictures(case, methods) for case in found]
            sheet.contact_sheet(pictures).save(temporary)


def _pictures(case: Case, methods: Mapping[str, Method]) -> Comparison:
    noisy, reference = exr.read(case.noisy), exr.read(case.reference)["color"]
    entries = [measured(NOISY, noisy["color"], reference)]
    entries += [
        measured(name, method.run(noisy)["color"], reference) for name, method in methods.items()
    ]
    return Comparison(case.title, entries, reference)


def _relative(tables: Sequence[Table], method: str, base: str = NOISY) -> list[str]:
    return [f"{relative(tables, method, metric, base):.3f}" for metric in METRICS]


def _titles() -> list[str]:
    return [metric.title for metric in METRICS.values()]


def _seconds(tables: Sequence[Table], method: str) -> str:
    ratios = [
        mine / peer
        for each in tables
        if (mine := each[method].seconds) and (peer := each[PEER].seconds)
    ]
    return f"{statistics.median(ratios):.2f}" if ratios else ""


def _file(text: str) -> tuple[str, Path]:
    what, equals, path = text.partition("=")
    if not equals or ":" not in what:
        raise argparse.ArgumentTypeError(f"'{text}' must be SCENE:SPP=PATH or SCENE:reference=PATH")
    return what, Path(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("folder", type=Path, help="holds SCENE_SPP.exr and SCENE_reference.exr")
    add("--scenes", nargs="+", required=True)
    add("--spp", nargs="+", type=int, default=SAMPLES)
    add("--file", action="append", type=_file, default=[], help="SCENE:SPP=PATH")
    add("--models", nargs="+", default=[DEFAULT_MODEL], help="names or paths of our weights")
    add("--asymmetry", nargs="+", type=float, default=[], help="values of lambda beside 1")
    add("--encoders", nargs="+", default=[], help="beside the one that fits a frame best")
    add("--device", default="cpu")
    add("--rounds", type=int, default=ROUNDS, help="to take the time of")
    add("--cache", type=Path, help="keeps what was measured")
    add("--frames", action="store_true", help="print every frame's table")
    add("--json", type=Path, default=OUTPUT)
    add("--sheet", type=Path, help="a PNG of all images, to look at")
    return parser


if __name__ == "__main__":
    main()
