"""Static scenes rendered as shots, and what a window costs (docs/results.md; paper Fig. 12, 15).

A scene in which nothing moves is rendered several times with different seeds, as if the renders
were frames of a shot, to `<scene>_<spp>.<number>.exr`. `benchmarks.quality` measures how good and
how stable they become; this says what a frame costs.

Example:
    python -m benchmarks.windows scenes renders --scenes bathroom staircase2 --spp 8
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

from benchmarks import provenance
from benchmarks.quality_methods import WINDOWS
from kpcn_core import exr
from kpcn_core.atomic import check_writable, replaced
from kpcn_core.denoiser import Denoiser
from kpcn_core.provenance import weights_name
from kpcn_core.sequence_denoiser import SequenceDenoiser
from kpcn_core.settings import DEFAULT_MODEL
from training.experiments.static_shots import shot

OUTPUT = Path(__file__).with_name("windows.json")
PACKAGES = ("mitsuba", "numpy")


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


def main(arguments: Sequence[str] | None = None) -> None:
    """Render what is missing, measure the cost on the first scene, print, write."""
    options = _parser().parse_args(arguments)
    check_writable(options.json, overwrite=True)
    shots = [
        shot(
            options.scenes_folder / scene / "scene.xml",
            options.renders,
            options.spp,
            options.frames,
        )
        for scene in options.scenes
    ]
    denoiser = Denoiser.load(options.model, options.device)
    costs = [cost(shots[0], denoiser, window) for window in WINDOWS]
    for each in costs:
        print(
            f"window {each.window}: {each.full:.2f} s, next frame {each.next:.2f} s, "
            f"another lambda {each.asymmetry:.2f} s"
        )
    origin = provenance.collect("benchmarks.windows", denoiser.device, PACKAGES)
    origin["weights"] = weights_name(options.model)
    content = {"provenance": origin, "costs": [asdict(each) for each in costs]}
    with replaced(options.json, overwrite=True) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("scenes_folder", type=Path, help="holds SCENE/scene.xml")
    parser.add_argument("renders", type=Path, help="where the shots are, or are rendered to")
    parser.add_argument("--scenes", nargs="+", required=True)
    parser.add_argument("--spp", type=int, default=8)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, default=OUTPUT)
    return parser


if __name__ == "__main__":
    main()
