"""Kernel against direct prediction where all is convex (paper §8, Eq. 9, Proposition 8.1).

One kernel of d weights is to be found from pixels x and filtered colors y = kernel · x, by the mean
absolute error. There is no noise, so that the least error is known: 0. Every method starts from the
box filter, and is judged by the mean of its solutions, as in the proposition, with the step size
that is best for it.

Example:
    python -m training.experiments.mirror_descent
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from kpcn_core import provenance
from kpcn_core.atomic import check_writable, replaced
from kpcn_core.comparison import markdown

OUTPUT = Path(__file__).with_suffix(".json")
SIDES = (3, 5, 9, 15, 21)
POINTS = 512
TAPS = 4  # weights of the wanted kernel that are not 0
RATES = 2.0 ** np.arange(-10, 11)
# Lowest and highest pixel.
PIXELS = {"colors, 0 to 1": (0.0, 1.0), "centred, -1 to 1": (-1.0, 1.0)}

Array = NDArray[np.float64]
# Weights [d,R], gradient of the error [d,R] -> step of what is learned [d,R].
Step = Callable[[Array, Array], Array]


def softmax(logits: Array) -> Array:
    """Over the first axis."""
    powers = np.exp(logits - logits.max(axis=0))
    weights: Array = powers / powers.sum(axis=0)
    return weights


def through_softmax(weights: Array, gradient: Array) -> Array:
    """The gradient of the logits, which is what training a network follows."""
    step: Array = weights * (gradient - (weights * gradient).sum(axis=0))
    return step


def as_it_is(weights: Array, gradient: Array) -> Array:
    """The gradient of the weights."""
    return gradient


# What is learned -> weights, and its step. The first is the update that the appendix analyzes.
METHODS: dict[str, tuple[Callable[[Array], Array], Step]] = {
    "mirror descent": (softmax, as_it_is),
    "softmax": (softmax, through_softmax),
    "direct": (lambda learned: learned, as_it_is),
}


def problem(length: int, pixels: tuple[float, float], seed: int) -> tuple[Array, Array]:
    """Pixels [N,d] and the colors [N] that a kernel with few weights makes of them."""
    generator = np.random.default_rng([seed, length])
    points = generator.uniform(*pixels, (POINTS, length))
    kernel = np.zeros(length)
    taps = generator.choice(length, TAPS, replace=False)
    kernel[taps] = generator.dirichlet(np.ones(TAPS))
    return points, points @ kernel


def error_left(method: str, points: Array, colors: Array, steps: int) -> float:
    """Error of the mean solution, relative to that of the box filter; the best of all `RATES`."""
    weights_of, step_of = METHODS[method]
    box = np.full((points.shape[1], 1), 1 / points.shape[1])
    # Equal numbers are the box filter as weights and as logits.
    learned = np.repeat(box, len(RATES), axis=1)
    total = np.zeros_like(learned)
    for _ in range(steps):
        weights = weights_of(learned)
        total += weights
        signs = np.sign(points @ weights - colors[:, None])
        learned = learned - RATES * step_of(weights, points.T @ signs / len(points))
    found = np.abs(points @ (total / steps) - colors[:, None]).mean(axis=0)
    return float(found.min() / np.abs(points @ box - colors[:, None]).mean())


def measured(
    sides: Sequence[int], steps: int, problems: int
) -> dict[str, dict[int, dict[str, float]]]:
    """Kind of pixels -> side of the kernel -> method -> error left, mean over the problems."""
    return {
        kind: {
            side: {
                method: fmean(
                    error_left(method, *problem(side**2, pixels, seed), steps)
                    for seed in range(problems)
                )
                for method in METHODS
            }
            for side in sides
        }
        for kind, pixels in PIXELS.items()
    }


def table(kind: str, found: Mapping[int, Mapping[str, float]]) -> str:
    """One kind of pixels as Markdown."""
    heading = [kind, "d", *METHODS]
    rows = [
        [f"{side} x {side}", str(side**2), *(f"{errors[method]:.3f}" for method in METHODS)]
        for side, errors in found.items()
    ]
    return markdown([heading, *rows])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    options = _parser().parse_args(arguments)
    check_writable(options.json, overwrite=True)
    found = measured(SIDES, options.steps, options.problems)
    for kind, errors in found.items():
        print(f"{table(kind, errors)}\n")
    record = {"provenance": provenance.collect(), "steps": options.steps, "error left": found}
    with replaced(options.json, overwrite=True) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=256)
    parser.add_argument("--problems", type=int, default=3)
    parser.add_argument("--json", type=Path, default=OUTPUT)
    return parser


if __name__ == "__main__":
    main()
