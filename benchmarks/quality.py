"""Quality on rendered scenes that were never trained on: ours beside Open Image Denoise.

Measures every scene of a folder that has a reference, at every sample count that is there, by
every method, and shots where a frame was rendered with several seeds. What was measured before is
kept in `--cache`, so that only what changed is measured again. Seconds are the median of some
rounds in which the methods take turns, without reading, writing and a first round that loads the
networks; those of the cache are of the run that measured them.

Files: `<scene>_<spp>.exr`, `<scene>_<spp>.<number>.exr` of a shot, `<scene>_reference.exr`; those
of a renderer other than Mitsuba may lie in a folder of their own, as in `cycles/bathroom_8.exr`
(`benchmarks.interiors_render` makes them, `kpcn render` and `benchmarks.windows` those of Mitsuba).

Example:
    python -m benchmarks.quality renders --asymmetry 2 4 10 --cache cache.json --page quality.html \
        --results docs/results.md
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import marked, provenance, sheet
from benchmarks.quality_cache import Cache, Measurement
from benchmarks.quality_cases import Case, cases, scenes
from benchmarks.quality_methods import (
    NOISY,
    PEER,
    WINDOWS,
    Method,
    ShotMethod,
    ours,
    peers,
    shot_methods,
)
from benchmarks.quality_tables import (
    Rows,
    Table,
    by_samples,
    consistency,
    frame_rows,
    shot_rows,
    summary,
    whole,
)
from kpcn_core import exr, report
from kpcn_core.atomic import check_writable, replaced
from kpcn_core.comparison import Comparison, markdown, measured
from kpcn_core.frame import Frame, Pixels
from kpcn_core.metrics import METRICS
from kpcn_core.provenance import weights_name
from kpcn_core.settings import DEFAULT_MODEL
from training.experiments.static_shots import measured as measured_shot

ROUNDS = 3
PAGE_SAMPLES = (8, 32, 128)
OUTPUT = Path(__file__).with_name("quality.json")
PACKAGES = ("pyoidn", "torchmetrics", "flip-evaluator", "numpy")


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


def shot_table(case: Case, methods: Mapping[str, ShotMethod], cache: Cache) -> Table:
    """One shot by every method; empty if the frame has none."""
    if len(case.shot) < max(WINDOWS) + 1:
        return {}
    files = (*case.shot, case.reference)
    reference = exr.read(case.reference)["color"]
    plain = methods[NOISY].run(case.shot)

    def measure(method: ShotMethod) -> Callable[[], Measurement]:
        return lambda: of_shot(method.run(case.shot), plain, reference)

    return {
        name: cache.get(files, f"shot {method.identity}", measure(method))
        for name, method in methods.items()
    }


def of_shot(images: Sequence[Pixels], noisy: Sequence[Pixels], reference: Pixels) -> Measurement:
    """The figures of the frames of a shot in which nothing moves."""
    row = measured_shot("", "", images, reference)
    found = {"smape": row.smape, "dssim": row.dssim} | {
        name: statistics.fmean(metric.measure(image, reference) for image in images)
        for name, metric in METRICS.items()
        if name not in ("smape", "dssim")
    }
    return Measurement(
        {name: found[name] for name in METRICS},
        float(np.mean(images, dtype=np.float64) / np.mean(noisy, dtype=np.float64)),
        instability=row.instability,
        variance=row.variance,
        bias=row.bias,
    )


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
    light = color.mean(dtype=np.float64) / noisy["color"].mean(dtype=np.float64)
    return Measurement(entry.metrics, float(light), seconds)


def figures(
    found: Sequence[Case],
    tables: Sequence[Table],
    shots: Sequence[Table],
    origin: Mapping[str, str],
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
                "shot": {name: asdict(one) for name, one in shot.items()},
            }
            for case, measurements, shot in zip(found, tables, shots, strict=True)
        ],
    }


def summaries(
    found: Sequence[Case], tables: Sequence[Table], shots: Sequence[Table], mine: Sequence[str]
) -> Iterator[tuple[str, Rows]]:
    """Everything but the single frames, each with its heading."""
    by_renderer: dict[str, list[int]] = {}
    for index, case in enumerate(found):
        by_renderer.setdefault(case.renderer, []).append(index)
    for renderer, chosen in by_renderer.items():
        of_these = [tables[index] for index in chosen]
        yield f"Geometric mean over all frames, {renderer}", summary(of_these)
        for name in mine:
            rows = by_samples([found[index] for index in chosen], of_these, name)
            yield f"{name} beside {PEER}, {renderer}", rows
    for name in mine:
        yield f"Consistency, {name}", consistency(found, tables, name)
    for case, shot in zip(found, shots, strict=True):
        if shot:
            yield f"Shot of {len(case.shot)} frames, {case.title}", shot_rows(case, shot)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = _parser().parse_args(arguments)
    for target in filter(None, (options.json, options.sheet, options.cache, options.page)):
        check_writable(target, overwrite=True)
    chosen = options.scenes or scenes(options.folder)
    found = cases(options.folder, chosen, options.spp, dict(options.file))
    mine = ours(options.models, options.asymmetry, options.encoders, options.device)
    methods = peers() | mine
    moving = shot_methods(options.models, options.asymmetry, options.device)
    cache = Cache(options.cache)
    tables, shots = [], []
    for case in found:
        tables.append(table(case, methods, cache, options.rounds))
        shots.append(shot_table(case, moving, cache))
        if options.frames:
            print(f"### {case.title}\n\n{markdown(frame_rows(tables[-1]))}\n", flush=True)
    # Another λ is meant to be further from the reference: beside a peer it says nothing.
    symmetric = [name for name in mine if "λ" not in name]
    texts = dict(summaries(found, tables, shots, symmetric))
    for heading, rows in texts.items():
        print(f"### {heading}\n\n{markdown(rows)}\n")
    origin = provenance.collect("benchmarks.quality", torch.device(options.device), PACKAGES)
    origin["weights"] = "; ".join(weights_name(model) for model in options.models)
    _write(options.json, json.dumps(figures(found, tables, shots, origin), indent=1) + "\n")
    if options.results:
        parts = {"summary": texts, "everything": {"Everything": whole(found, tables, shots)}}
        _rewrite(options.results, parts, origin)
    if options.page:
        shown = [_pictures(case, methods) for case in found if case.spp in options.page_spp]
        every = {"Everything": whole(found, tables, shots)}
        _write(options.page, report.page("Quality", shown, origin, tables=texts | every))
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


def _rewrite(
    path: Path, parts: Mapping[str, Mapping[str, Rows]], origin: Mapping[str, str]
) -> None:
    """Replace the marked parts of a document by the tables."""
    source = (
        f"`{origin['command']}`, {origin['date']}, commit {origin['commit']}, "
        f"{origin['processor']}, weights {origin['weights']}"
    )

    def body(name: str) -> str:
        tables = parts.get(name, {}).items()
        return "\n\n".join(
            [source, *(f"**{title}**\n\n{markdown(rows)}" for title, rows in tables)]
        )

    _write(path, marked.rewritten(path.read_text(encoding="utf-8"), body))


def _write(path: Path, text: str) -> None:
    with replaced(path, overwrite=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _file(text: str) -> tuple[str, Path]:
    what, equals, path = text.partition("=")
    if not equals or ":" not in what:
        raise argparse.ArgumentTypeError(f"'{text}' must be SCENE:SPP=PATH or SCENE:reference=PATH")
    return what, Path(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("folder", type=Path, help="holds SCENE_SPP.exr and SCENE_reference.exr")
    add("--scenes", nargs="+", help="all that have a reference, if none are named")
    add("--spp", nargs="+", type=int, help="what is there, if none are named")
    add("--file", action="append", type=_file, default=[], help="SCENE:SPP=PATH")
    add("--models", nargs="+", default=[DEFAULT_MODEL], help="names or paths of our weights")
    add("--asymmetry", nargs="+", type=float, default=[], help="values of lambda beside 1")
    add("--encoders", nargs="+", default=[], help="beside the one that fits a frame best")
    add("--device", default="cpu")
    add("--rounds", type=int, default=ROUNDS, help="to take the time of")
    add("--cache", type=Path, help="keeps what was measured")
    add("--frames", action="store_true", help="print every frame's table")
    add("--json", type=Path, default=OUTPUT)
    add("--page", type=Path, help="an HTML page of all tables, and of images to look at")
    add("--page-spp", nargs="+", type=int, default=PAGE_SAMPLES, help="whose images it shows")
    add("--results", type=Path, help="a document whose marked parts get the tables")
    add("--sheet", type=Path, help="a PNG of all images, to look at")
    return parser


if __name__ == "__main__":
    main()
