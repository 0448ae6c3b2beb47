"""How biased is the mean of samples that were taken adaptively (docs/adaptive.md)?

Counts depend on the samples before them, and merging weighs samples by counts: where the first
pass was too bright by chance it also looks noisy, gets more samples, and is corrected more than
where it was too dark. For each guide the loop is run many times with other seeds, and the mean
image compared with one of uniform samples:

- ``merged``: what the loop gives, all samples alike.
- ``separate``: the mean of each pass by itself, with weights that no pixel has a say in. Each pass
  is unbiased given the ones before it, so this is too; it is noisier.

Example:
    python -m benchmarks.adaptive_bias examples/scene/scene.0001.xml -D resx=48 -D resy=27 --runs 40
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import provenance
from benchmarks.unbiased import blocks
from kpcn_core import adaptive
from kpcn_core.adaptive import guides
from kpcn_core.atomic import check_writable, replaced
from kpcn_core.comparison import markdown
from kpcn_core.denoiser import Denoiser
from kpcn_core.provenance import weights_name
from kpcn_core.renderers.base import Renderer
from kpcn_core.renderers.mitsuba import MitsubaRenderer, description
from kpcn_core.settings import DEFAULT_MODEL

OUTPUT = Path(__file__).with_name("adaptive_bias.json")
PACKAGES = ("mitsuba", "drjit", "numpy")
REFERENCE_SEED = 1 << 20
BLOCK = 9

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bias:
    """How far the mean image of many runs is from the truth.

    Attributes:
        guide: of the runs.
        estimate: "merged" or "separate".
        bias: of the mean over pixels and channels, relative.
        error: standard error of that, from the spread of the runs and that of the reference.
        mean_z: difference of blocks in their standard errors, mean; 0 if unbiased.
        std_z: the same, deviation; 1 if unbiased.
        noise: mean over pixels of the variance of one run, relative to that of uniform sampling.
    """

    guide: str
    estimate: str
    bias: float
    error: float
    mean_z: float
    std_z: float
    noise: float


def estimates(
    renderer: Renderer, denoiser: Denoiser, guide: str, budget: int, seed: int
) -> dict[str, Floats]:
    """Both estimates of the color [3,H,W] that one run gives."""
    separate, before, total = np.zeros(()), None, 0
    for step in adaptive.run(renderer, denoiser, budget=budget, guide=guide, seed=seed):
        now = step.accumulation
        count, mean = now.count.astype(np.float64), now.mean["color"].astype(np.float64)
        new, value = (count, mean) if before is None else _last_pass(before, (count, mean))
        # A pass that left a pixel out says nothing of it; what was known then stands for it.
        value = np.where(new > 0, value, mean)
        separate = separate + (step.total - total) * value
        before, total = (count, mean), step.total
    assert before is not None
    return {"merged": before[1], "separate": separate / total}


def biases(
    renderer: Renderer, denoiser: Denoiser, names: Sequence[str], budget: int, runs: int, spp: int
) -> Iterator[Bias]:
    """Every guide, both estimates."""
    truth = renderer.render(spp, REFERENCE_SEED).frame()
    expected, variance = (truth[aov].astype(np.float64) for aov in ("color", "color_mse"))
    noise = None
    for guide in names:
        found = [estimates(renderer, denoiser, guide, budget, seed) for seed in range(runs)]
        for estimate in found[0]:
            images = np.stack([one[estimate] for one in found])
            spread = float(images.var(axis=0, ddof=1).mean())
            noise = noise or spread
            yield _bias(guide, estimate, images, expected, variance, spread / noise)


def _bias(
    guide: str, estimate: str, images: Floats, expected: Floats, variance: Floats, noise: float
) -> Bias:
    means, mean = images.mean(axis=(1, 2, 3)), expected.mean()
    error = np.sqrt(means.var(ddof=1) / len(images) + variance.sum() / variance.size**2)
    cells = blocks(images, BLOCK)
    difference = cells.mean(axis=0) - blocks(expected, BLOCK)
    deviation = cells.var(axis=0, ddof=1) / len(images) + blocks(variance, BLOCK) / BLOCK**2
    z = difference / np.sqrt(deviation)
    bias = float(means.mean() / mean) - 1
    return Bias(guide, estimate, bias, float(error / mean), float(z.mean()), float(z.std()), noise)


def _last_pass(
    before: tuple[Floats, Floats], after: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Counts and means of the samples that came last, from those of all before and after."""
    new = after[0] - before[0]
    value = (after[0] * after[1] - before[0] * before[1]) / np.maximum(new, 1)
    return new, value


def table(found: Sequence[Bias]) -> list[list[str]]:
    """A row for each guide and estimate."""
    heading = ["guide", "estimate", "bias", "its standard error", "z of blocks", "variance"]
    return [
        heading,
        *(
            [b.guide, b.estimate, f"{b.bias:+.3%}", f"{b.error:.3%}",
             f"{b.mean_z:+.2f} ± {b.std_z:.2f}", f"{b.noise:.2f}"]
            for b in found
        ),
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = _parser().parse_args(arguments)
    check_writable(options.json, overwrite=True)
    renderer = MitsubaRenderer.from_file(options.scene, dict(options.parameters))
    denoiser = Denoiser.load(options.model, options.device)
    found = list(
        biases(renderer, denoiser, options.guides, options.budget, options.runs, options.spp)
    )
    print(markdown(table(found)))
    origin: dict[str, Any] = provenance.collect(
        "benchmarks.adaptive_bias", denoiser.device, PACKAGES
    )
    origin |= {"renderer": description(), "weights": weights_name(options.model)}
    record = {"provenance": origin, "results": [asdict(one) for one in found]}
    with replaced(options.json, overwrite=True) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("scene", type=Path, help="in Mitsuba's XML format")
    parser.add_argument(
        "-D", dest="parameters", default=[], action="append",
        type=lambda text: text.split("=", 1), metavar="NAME=VALUE",
    )  # fmt: skip
    names = [name for name in guides.NAMES if not name.startswith(guides.TRUE)]
    parser.add_argument("--guides", nargs="+", choices=names, default=["uniform", "variance"])
    parser.add_argument("--budget", type=int, default=64)
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--spp", type=int, default=20_000, help="of the reference")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, default=OUTPUT)
    return parser


if __name__ == "__main__":
    main()
