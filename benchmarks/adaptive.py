"""Adaptive sampling by each guide, relative to uniform (docs/adaptive.md; paper Fig. 9, 19).

For each scene and guide the loop runs to the largest budget; every denoised image at one of the
budgets is measured against the reference and divided by that of uniform sampling with as many
samples. Predicted guides are measured as far as the weights have them; `true-*` guides know the
reference, and show what a perfect prediction would give. The noisy mean is compared with the
reference too: z as in ``unbiased.py``, because counts that depend on earlier samples bias it.

Example:
    python -m benchmarks.adaptive bathroom/scene.xml staircase2/scene.xml -D resx=320 -D resy=180
"""

import argparse
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import provenance, sampling_sheet
from benchmarks.unbiased import agreement, of_frame, of_reference
from kpcn_core import adaptive, exr
from kpcn_core.adaptive import Step, guides
from kpcn_core.adaptive.allocation import FLOOR
from kpcn_core.adaptive.loop import INITIAL
from kpcn_core.atomic import check_writable, replaced
from kpcn_core.comparison import markdown
from kpcn_core.denoiser import Denoiser
from kpcn_core.errors import InvalidPixels, UnknownName
from kpcn_core.frame import Pixels
from kpcn_core.metrics import METRICS, measure
from kpcn_core.provenance import predictor_name, weights_name
from kpcn_core.renderers.mitsuba import MitsubaRenderer, description
from kpcn_core.settings import DEFAULT_MODEL

OUTPUT = Path(__file__).with_name("adaptive.json")
PACKAGES = ("mitsuba", "drjit", "numpy", "torchmetrics", "flip-evaluator")
BASELINE = "uniform"
BUDGETS = (64, 128)
BLOCK = 20


@dataclass(frozen=True)
class Scene:
    """What is rendered, and what it should look like."""

    name: str
    renderer: MitsubaRenderer
    reference: Path
    color: Pixels


@dataclass(frozen=True)
class Result:
    """One guide on one scene at one budget.

    Attributes:
        scene: its name.
        guide: its name.
        budget: samples per pixel, on average.
        metrics: name in `METRICS` to the error of the denoised image.
        error: what the guide itself says, mean over pixels.
        z: mean of (noisy - reference) in standard errors of blocks; None without variances.
        bias: of the noisy image's mean, relative to that of the reference.
        image: denoised color [3,H,W].
        counts: samples taken [H,W].
    """

    scene: str
    guide: str
    budget: int
    metrics: Mapping[str, float]
    error: float
    z: float | None
    bias: float
    image: Pixels
    counts: Pixels


def scene(path: Path, parameters: Mapping[str, str], reference: Path | None) -> Scene:
    """Load a scene and its reference: the one named, or `reference.exr` beside it."""
    expected = reference or path.with_name("reference.exr")
    renderer, color = MitsubaRenderer.from_file(path, parameters), exr.read(expected)["color"]
    if color.shape[-2:] != renderer.size:
        raise InvalidPixels(
            f"{expected}: {list(color.shape[-2:])} pixels; {path} renders {list(renderer.size)}. "
            f"Set the scene's size with -D."
        )
    name = path.parent.name if path.stem == "scene" else path.stem
    return Scene(name, renderer, expected, color)


def results(
    of: Scene, denoiser: Denoiser, guide: str, budgets: Sequence[int], seed: int
) -> Iterator[Result]:
    """Run one guide to the largest budget, and measure it at each.

    Raises:
        UnknownName: the denoiser does not predict the guide.
    """
    chosen = guides.choose(guide, denoiser, of.color)
    for step in adaptive.run(of.renderer, denoiser, budget=max(budgets), guide=chosen, seed=seed):
        if round(step.spp) in budgets:
            yield _result(of, guide, step)


def relative(found: Sequence[Result]) -> dict[tuple[str, str, int], dict[str, float]]:
    """(scene, guide, budget) to each metric divided by that of uniform sampling."""
    baseline = {(r.scene, r.budget): r.metrics for r in found if r.guide == BASELINE}
    return {
        (r.scene, r.guide, r.budget): {
            name: _ratio(r.metrics[name], baseline[r.scene, r.budget][name]) for name in METRICS
        }
        for r in found
    }


def table(found: Sequence[Result], budget: int) -> list[list[str]]:
    """Figure 9: geometric mean over scenes, relative to uniform; and bias of the noisy image."""
    ratios = relative(found)
    heading = ["guide", *(metric.title for metric in METRICS.values()), "bias, noisy", "mean z"]
    rows = []
    for guide in dict.fromkeys(result.guide for result in found):
        mine = [r for r in found if (r.guide, r.budget) == (guide, budget)]
        means = [
            statistics.geometric_mean(ratios[r.scene, guide, budget][name] for r in mine)
            for name in METRICS
        ]
        z = [r.z for r in mine if r.z is not None]
        bias = statistics.mean(r.bias for r in mine)
        shown = [*(f"{mean:.3f}" for mean in means), f"{bias:+.3%}"]
        rows.append([guide, *shown, f"{statistics.mean(z):+.3f}" if z else "-"])
    return [heading, *rows]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = _parser().parse_args(arguments)
    _check_budgets(options.budgets)
    check_writable(options.json, overwrite=True)
    denoiser = Denoiser.load(options.model, options.device)
    found: list[Result] = []
    for path in options.scenes:
        one = scene(path, dict(options.parameters), options.reference)
        found += _measured(one, denoiser, options)
        _write(options, denoiser, found)  # after each: a scene takes its time
    for budget in options.budgets:
        print(f"\n{budget} spp, relative to uniform\n\n{markdown(table(found, budget))}")
    if options.sheet:
        _write_sheet(options.sheet, found, options)


def _write(options: argparse.Namespace, denoiser: Denoiser, found: Sequence[Result]) -> None:
    origin = provenance.collect("benchmarks.adaptive", denoiser.device, PACKAGES)
    origin |= {"renderer": description(), "weights": weights_name(options.model)}
    origin |= {"predictor": predictor_name(options.model)}
    settings = {"initial": INITIAL, "floor": FLOOR, "seed": options.seed}
    record = {"provenance": origin, "settings": settings, "results": _figures(found)}
    with replaced(options.json, overwrite=True) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _measured(of: Scene, denoiser: Denoiser, options: argparse.Namespace) -> Iterator[Result]:
    for guide in dict.fromkeys([BASELINE, *options.guides]):
        try:
            for result in results(of, denoiser, guide, options.budgets, options.seed):
                shown = ", ".join(f"{name} {result.metrics[name]:.4f}" for name in METRICS)
                print(f"{of.name}, {guide}, {result.budget} spp: {shown}", flush=True)
                yield result
        except UnknownName as error:
            print(f"{guide} is left out: {error}", flush=True)


def _result(of: Scene, guide: str, step: Step) -> Result:
    noisy = of_frame(step.noisy, BLOCK)
    bias = float(step.noisy["color"].mean() / of.color.mean()) - 1
    return Result(
        of.name, guide, round(step.spp), measure(step.denoised["color"], of.color),
        step.mean_error, _z(of, noisy), bias, step.denoised["color"],
        step.accumulation.count.astype(np.float32),
    )  # fmt: skip


def _z(of: Scene, noisy: Any) -> float | None:
    if "color_mse" not in exr.contents(of.reference, "kpcn").aovs:
        return None
    found = agreement(noisy, of_reference(of.reference, BLOCK), of.name, "reference", 0)
    return found.mean_z


def _ratio(value: float, baseline: float) -> float:
    return max(value, 1e-9) / max(baseline, 1e-9)


def _figures(found: Sequence[Result]) -> list[dict[str, Any]]:
    ratios = relative(found)
    return [
        {
            "scene": r.scene, "guide": r.guide, "budget": r.budget, "metrics": dict(r.metrics),
            "relative": ratios[r.scene, r.guide, r.budget], "error": r.error, "z": r.z,
            "bias": r.bias, "counts": [float(r.counts.min()), float(r.counts.max())],
        }
        for r in found
    ]  # fmt: skip


def _write_sheet(path: Path, found: Sequence[Result], options: argparse.Namespace) -> None:
    ratios, budget = relative(found), max(options.budgets)
    scenes = {r.scene for r in found if r.guide == options.shown}
    if not scenes:
        raise SystemExit(f"The guide '{options.shown}' was not run; choose another with --shown.")
    rows = [
        sampling_sheet.Row(
            name,
            *(
                sampling_sheet.Cell(guide, r.image, r.counts, ratios[name, guide, budget])
                for guide in (options.shown, f"true-{options.shown}")
                for r in found
                if (r.scene, r.guide, r.budget) == (name, guide, budget)
            ),
        )
        for name in sorted(scenes)
    ]
    with replaced(path, overwrite=True) as temporary:
        sampling_sheet.sheet(sampling_sheet.best_median_worst(rows)).save(temporary)


def _check_budgets(budgets: Sequence[int]) -> None:
    passes = {INITIAL << shift for shift in range(20)} | {max(budgets)}
    if not passes.issuperset(budgets):
        raise SystemExit(f"Budgets but the largest must be {INITIAL} times a power of 2.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("scenes", type=Path, nargs="+", help="scenes in Mitsuba's XML format")
    parser.add_argument(
        "-D", dest="parameters", default=[], action="append",
        type=lambda text: text.split("=", 1), metavar="NAME=VALUE",
    )  # fmt: skip
    parser.add_argument("--reference", type=Path, help="of the only scene")
    parser.add_argument("--guides", nargs="+", choices=guides.NAMES, default=guides.NAMES)
    parser.add_argument("--budgets", nargs="+", type=int, default=BUDGETS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, default=OUTPUT)
    parser.add_argument("--sheet", type=Path, help="a PNG of images and maps, to look at")
    parser.add_argument("--shown", default="smape", help="the guide of the sheet")
    return parser


if __name__ == "__main__":
    main()
