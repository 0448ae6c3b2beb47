"""Shots in which nothing moves: one scene rendered with different seeds, as if it were frames.

What still changes from frame to frame after denoising is instability; and over the seeds, the error
has a variance (residual noise) and a square of the mean (bias).
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from kpcn_core import exr, metrics
from kpcn_core.frame import Pixels

SIZE = {"resx": "320", "resy": "180"}
SEED = 1000
# Of squared references, so that dark pixels do not dominate what is relative to them.
DARK = 1e-2


@dataclass(frozen=True)
class Row:
    """What one way of denoising gives; means over the frames of a shot.

    Attributes:
        scene: which.
        method: how.
        smape: error against the reference.
        dssim: likewise.
        instability: mean DSSIM of adjacent frames (paper Fig. 12).
        variance: mean over pixels of the relative variance over the frames.
        bias: mean over pixels of the relative squared difference of the mean to the reference,
            without what the variance of a mean of so few frames adds to it.
    """

    scene: str
    method: str
    smape: float
    dssim: float
    instability: float
    variance: float
    bias: float


def shot(scene: Path, folder: Path, spp: int, count: int) -> list[Path]:
    """A static scene rendered with different seeds; what is there already is kept."""
    paths = [folder / f"{scene.parent.name}_{spp}.{index:04d}.exr" for index in range(count)]
    missing = [index for index, path in enumerate(paths) if not path.exists()]
    if missing:
        from kpcn_core.renderers.mitsuba import MitsubaRenderer

        renderer = MitsubaRenderer.from_file(scene, SIZE)
        for index in missing:
            frame = renderer.render(spp, SEED + index).frame()
            still = np.zeros((2, *frame.size), np.float32)
            exr.write_frame(paths[index], frame.with_aovs(forward=still, backward=still))
    return paths


def measured(scene: str, method: str, images: Sequence[Pixels], reference: Pixels) -> Row:
    """All figures of one method."""
    stack = np.stack(images).astype(np.float64)
    square = np.square(reference.astype(np.float64)) + DARK
    variance = stack.var(axis=0, ddof=1)
    squared_bias = np.square(stack.mean(axis=0) - reference) - variance / len(stack)
    return Row(
        scene,
        method,
        smape=statistics.fmean(metrics.smape(image, reference) for image in images),
        dssim=statistics.fmean(metrics.dssim(image, reference) for image in images),
        instability=statistics.fmean(metrics.dssim(a, b) for a, b in pairwise(images)),
        variance=float((variance / square).mean()),
        bias=float((squared_bias / square).mean()),
    )
