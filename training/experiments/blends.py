"""The asymmetry lambda beside blends with the noisy image (paper §7.4, Figs. 17 and 18).

Denoised * (1 - a) + noisy * a is the simple way to keep noise. Scenes that stand still, rendered
with several seeds, give bias and variance of both ways; and for each lambda the blend that is
nearest to it (least squared error over all frames, as in the paper) is compared with it: of the
same likeness on average, which noise has outliers? Nothing is trained.

Example:
    python -m training.experiments.blends runs/blends SCENES --scenes bathroom staircase2
"""

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kpcn_core import exr
from kpcn_core.atomic import replaced
from kpcn_core.comparison import markdown
from kpcn_core.denoiser import Denoiser
from kpcn_core.frame import Pixels
from kpcn_core.settings import DEFAULT_MODEL
from training.experiments import plots
from training.experiments.page import PLOT, write_tables
from training.experiments.static_shots import DARK, Row, measured, shot

SLOPES = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0)
PARTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
LAMBDA, BLEND, NEAREST = "λ", "blend", "nearest blend"
FIGURES = "figures.json"
# Of the absolute residual noise: one value in a thousand is larger.
OUTLIER = 0.999

Stack = NDArray[np.float32]  # [frames,3,H,W]


@dataclass(frozen=True)
class Point:
    """One way to keep noise, at one setting.

    Attributes:
        way: lambda, blend, or the blend that is nearest to a lambda.
        setting: the lambda, or the part of the noisy image.
        row: its errors.
        outliers: the 99.9th percentile of its residual noise, relative to the reference, as a
            multiple of that noise's median. 4.9 would be normal.
    """

    way: str
    setting: float
    row: Row
    outliers: float


def nearest_part(wanted: Stack, denoised: Stack, noisy: Stack) -> float:
    """The part of the noisy image whose blend is nearest to what is wanted (least squares)."""
    step = (noisy - denoised).astype(np.float64)
    total = float(np.square(step).sum())
    return float(((wanted - denoised) * step).sum() / total) if total else 0.0


def outliers(images: Stack, reference: Pixels) -> float:
    """How far the largest values of the noise that is left are from its typical ones."""
    residual = (images - images.mean(axis=0)) / np.sqrt(np.square(reference) + DARK)
    typical, largest = np.quantile(np.abs(residual), (0.5, OUTLIER)).tolist()
    return float(largest / typical) if typical else 0.0


def points(scene: str, slopes: Mapping[float, Stack], noisy: Stack, clean: Pixels) -> list[Point]:
    """Every lambda, every blend, and for each lambda above 1 the nearest blend."""
    denoised = slopes[1.0]

    def point(way: str, setting: float, images: Stack) -> Point:
        row = measured(scene, f"{way} {setting:.3g}", list(images), clean)
        return Point(way, setting, row, outliers(images, clean))

    def blend(part: float) -> Stack:
        return denoised * np.float32(1 - part) + noisy * np.float32(part)

    nearest = [
        nearest_part(images, denoised, noisy) for slope, images in slopes.items() if slope > 1
    ]
    return [
        *(point(LAMBDA, slope, images) for slope, images in slopes.items()),
        *(point(BLEND, part, blend(part)) for part in PARTS),
        *(point(NEAREST, part, blend(part)) for part in nearest),
    ]


def table(scene: str, found: Sequence[Point]) -> str:
    """Each lambda beside the blend that is nearest to it, as Markdown."""
    slopes = [point for point in found if point.way == LAMBDA and point.setting > 1]
    blends = [point for point in found if point.way == NEAREST]
    heading = [
        scene, "nearest a", "SMAPE: λ", "blend", "variance: λ", "blend", "bias²: λ", "blend",
        "outliers: λ", "blend",
    ]  # fmt: skip
    rows = []
    for one, other in zip(slopes, blends, strict=True):
        cells = [f"λ = {one.setting:g}", f"{other.setting:.3f}"]
        for name in ("smape", "variance", "bias"):
            cells += [f"{getattr(each.row, name):.4f}" for each in (one, other)]
        rows.append([*cells, f"{one.outliers:.1f}", f"{other.outliers:.1f}"])
    return markdown([heading, *rows])


def panels(found: Mapping[str, Sequence[Point]]) -> list[plots.Panel]:
    """Means over scenes of each setting: SMAPE and bias² over variance, and outliers."""
    curves: dict[str, dict[str, list[tuple[float, float]]]] = {
        name: {} for name in ("smape", "bias", "outliers")
    }
    labels: dict[tuple[float, float], str] = {}
    for way in (LAMBDA, BLEND):
        alike = zip(*([p for p in each if p.way == way] for each in found.values()), strict=True)
        for same in alike:
            variance = statistics.fmean(point.row.variance for point in same)
            values = {
                "smape": statistics.fmean(point.row.smape for point in same),
                "bias": statistics.fmean(point.row.bias for point in same),
                "outliers": statistics.fmean(point.outliers for point in same),
            }
            for name, value in values.items():
                curves[name].setdefault(way, []).append((variance, value))
            labels[variance, values["smape"]] = f"{same[0].setting:g}"
    titles = {
        "smape": "SMAPE",
        "bias": "bias²",
        "outliers": "outliers (99.9th percentile / median)",
    }
    return [
        plots.Panel(
            "mean over scenes", ("variance", titles[name]), lines, "x",
            labels if name == "smape" else {},
        )
        for name, lines in curves.items()
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Render what is missing, denoise, measure, print, write."""
    options = _parser().parse_args(arguments)
    denoiser = Denoiser.load(options.model, options.device)
    found = {}
    for scene in options.scenes:
        folder = options.scenes_folder / scene
        paths = shot(folder / "scene.xml", options.renders, options.spp, options.frames)
        frames = [exr.read(path) for path in paths]
        noisy = np.stack([frame["color"] for frame in frames])
        slopes = {
            slope: np.stack([denoiser.denoise(frame, asymmetry=slope)["color"] for frame in frames])
            for slope in SLOPES
        }
        clean = exr.read(folder / "reference.exr")["color"]
        found[scene] = points(scene, slopes, noisy, clean)
        print(table(scene, found[scene]), flush=True)
    record = {scene: [asdict(point) for point in each] for scene, each in found.items()}
    options.output.mkdir(parents=True, exist_ok=True)
    with replaced(options.output / FIGURES, overwrite=True) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    write_tables(
        options.output, [table(scene, each) for scene, each in found.items()], denoiser.device
    )
    plots.draw(options.output / PLOT, *panels(found))


def _parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    made.add_argument("output", type=Path, help="folder of the figures, the table and the plot")
    made.add_argument("scenes_folder", type=Path, help="holds SCENE/{scene.xml,reference.exr}")
    made.add_argument("--scenes", nargs="+", required=True)
    made.add_argument("--renders", type=Path, default=Path("runs/validation"))
    made.add_argument("--spp", type=int, default=8)
    made.add_argument("--frames", type=int, default=8)
    made.add_argument("--model", default=DEFAULT_MODEL)
    made.add_argument("--device", default="auto")
    return made


if __name__ == "__main__":
    main()
