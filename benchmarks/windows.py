"""Windows and asymmetry on static scenes (docs/results.md; paper Fig. 12, 15, 17, 18).

A scene in which nothing moves is rendered several times with different seeds, as if the renders
were frames of a shot. What still changes from frame to frame after denoising is instability; and
over the seeds, the error has a variance (residual noise) and a square of the mean (bias).

Example:
    python -m benchmarks.windows scenes --scenes bathroom staircase2 --spp 8
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks import provenance
from kpcn_core import exr, oidn
from kpcn_core.atomic import check_writable, replaced
from kpcn_core.denoiser import Denoiser
from kpcn_core.frame import Frame, Pixels
from kpcn_core.provenance import weights_name
from kpcn_core.sequence_denoiser import SequenceDenoiser
from kpcn_core.settings import DEFAULT_MODEL
from training.experiments.static_shots import Row, measured, shot

WINDOWS = (1, 3, 5, 7)
ASYMMETRIES = (1.0, 2.0, 4.0, 10.0)
OUTPUT = Path(__file__).with_name("windows.json")
PACKAGES = ("pyoidn", "mitsuba", "torchmetrics", "numpy")


def rows(scene: str, paths: Sequence[Path], reference: Pixels, denoiser: Denoiser) -> Iterator[Row]:
    """Every method on the frames that have a whole window of the largest size."""
    reach = max(WINDOWS) // 2
    middle = range(reach, len(paths) - reach)
    noisy = [exr.read(paths[index]) for index in middle]
    yield measured(scene, "noisy", [frame["color"] for frame in noisy], reference)
    yield measured(scene, "OIDN high", _colors(map(oidn.denoise, noisy)), reference)
    for window in WINDOWS:
        side = window // 2
        sequence = SequenceDenoiser(denoiser, paths, exr.read, side, side)
        images = _colors(sequence.denoise(index) for index in middle)
        yield measured(scene, f"kpcn, window {window}", images, reference)
    for window in (1, max(WINDOWS)):
        side = window // 2
        sequence = SequenceDenoiser(denoiser, paths, exr.read, side, side)
        kept: dict[float, list[Pixels]] = {slope: [] for slope in ASYMMETRIES}
        for index in middle:
            for slope, images in kept.items():
                images.append(sequence.denoise(index, slope)["color"])
        for slope, images in kept.items():
            title = f"kpcn, window {window}, λ = {slope:g}"
            yield measured(scene, title, images, reference)


@dataclass(frozen=True)
class Cost:
    """Seconds of a frame, reading included.

    Attributes:
        window: frames.
        full: nothing is kept: every frame of the window is read and encoded.
        next: the window has moved on by one frame.
        asymmetry: the same frame for another lambda.
    """

    window: int
    full: float
    next: float
    asymmetry: float


def cost(paths: Sequence[Path], denoiser: Denoiser, window: int, rounds: int = 3) -> Cost:
    """Medians over some rounds, each in turn."""
    side, centre = window // 2, len(paths) // 2
    seconds: list[tuple[float, float, float]] = []
    for _ in range(rounds):
        sequence = SequenceDenoiser(denoiser, paths, exr.read, side, side)
        times = [time.perf_counter()]
        for index, slope in ((centre - 1, 1.0), (centre, 1.0), (centre, 2.0)):
            sequence.denoise(index, slope)
            times.append(time.perf_counter())
        full, following, again = (b - a for a, b in pairwise(times))
        seconds.append((full, following, again))
    return Cost(window, *(statistics.median(each) for each in zip(*seconds, strict=True)))


def table(found: Sequence[Row]) -> str:
    """The rows of a scene as Markdown."""
    names = ("smape", "dssim", "instability", "variance", "bias")
    lines = [f"| {found[0].scene} | SMAPE | DSSIM | instability | variance | bias² |"]
    lines.append("| --- | ---: | ---: | ---: | ---: | ---: |")
    for row in found:
        values = asdict(row)
        lines.append(f"| {row.method} | " + " | ".join(f"{values[n]:.4f}" for n in names) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Render what is missing, measure, print, write."""
    options = _parser().parse_args(arguments)
    check_writable(options.json, overwrite=True)
    denoiser = Denoiser.load(options.model, options.device)
    found: list[Row] = []
    costs: list[Cost] = []
    for scene in options.scenes:
        folder = options.scenes_folder / scene
        paths = shot(folder / "scene.xml", options.renders, options.spp, options.frames)
        reference = exr.read(folder / "reference.exr")["color"]
        lines = list(rows(scene, paths, reference, denoiser))
        print(f"\n{table(lines)}", flush=True)
        found += lines
        costs = costs or [cost(paths, denoiser, window) for window in WINDOWS]
    for each in costs:
        print(
            f"window {each.window}: {each.full:.2f} s, next frame {each.next:.2f} s, "
            f"another lambda {each.asymmetry:.2f} s"
        )
    origin = provenance.collect("benchmarks.windows", denoiser.device, PACKAGES)
    origin["weights"] = weights_name(options.model)
    _write(options.json, found, costs, origin, options.spp)


def _colors(frames: Iterator[Frame]) -> list[Pixels]:
    return [frame["color"] for frame in frames]


def _write(
    path: Path,
    found: Sequence[Row],
    costs: Sequence[Cost],
    origin: Mapping[str, str],
    spp: int,
) -> None:
    content = {
        "provenance": dict(origin),
        "spp": spp,
        "rows": [asdict(row) for row in found],
        "costs": [asdict(each) for each in costs],
    }
    with replaced(path, overwrite=True) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("scenes_folder", type=Path, help="holds SCENE/{scene.xml,reference.exr}")
    parser.add_argument("--scenes", nargs="+", required=True)
    parser.add_argument("--renders", type=Path, default=Path("runs/validation"))
    parser.add_argument("--spp", type=int, default=8)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, default=OUTPUT)
    return parser


if __name__ == "__main__":
    main()
