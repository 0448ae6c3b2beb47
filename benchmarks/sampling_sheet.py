"""Images and sampling maps side by side, by a predicted and by the true error (paper Fig. 19)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from kpcn_core import picture
from kpcn_core.frame import Pixels

WIDTH, GAP, TEXT = 480, 8, 18
BACKGROUND, INK = (38, 38, 38), (221, 221, 221)
OCTAVES = 4  # above and below the mean that the colors of a map span
RANK = "dssim"


@dataclass(frozen=True)
class Cell:
    """What one guide led to.

    Attributes:
        guide: its name.
        image: denoised color [3,H,W].
        counts: samples taken [H,W].
        relative: each metric, divided by that of uniform sampling.
    """

    guide: str
    image: Pixels
    counts: Pixels
    relative: Mapping[str, float]


@dataclass(frozen=True)
class Row:
    """A scene by the predicted and, if it was run, by the true error."""

    scene: str
    predicted: Cell
    true: Cell | None = None


def best_median_worst(rows: Sequence[Row]) -> list[Row]:
    """Three of the scenes, by DSSIM relative to uniform; all if there are no more."""
    ranked = sorted(rows, key=lambda row: row.predicted.relative[RANK])
    return ranked if len(ranked) <= 3 else [ranked[0], ranked[len(ranked) // 2], ranked[-1]]


def sheet(rows: Sequence[Row]) -> Image.Image:
    """One row a scene: the image, the sampling map of the prediction, that of the truth."""
    pictures = [_row(row) for row in rows]
    page = Image.new("RGB", (3 * (WIDTH + GAP), sum(p.height for p in pictures)), BACKGROUND)
    top = 0
    for each in pictures:
        page.paste(each, (0, top))
        top += each.height
    return page


def map_picture(counts: Pixels) -> Image.Image:
    """Samples in false color, a step of brightness for each doubling; the mean in the middle."""
    octaves = np.log2(np.maximum(counts, 1) / counts.mean())
    return picture.heat((octaves[None] / (2 * OCTAVES) + 0.5).astype(np.float32))


def _row(row: Row) -> Image.Image:
    height, width = row.predicted.image.shape[-2:]
    cell = (WIDTH, max(1, round(WIDTH * height / width)))
    shown = picture.shown(row.predicted.image, picture.exposure(row.predicted.image))
    labelled = [(row.scene, shown)]
    for found in filter(None, (row.predicted, row.true)):
        errors = f"DSSIM {found.relative['dssim']:.3f}, MrSE {found.relative['mrse']:.3f}"
        labelled.append((f"{found.guide}: {errors} of uniform", map_picture(found.counts)))
    page = Image.new("RGB", (3 * (WIDTH + GAP), cell[1] + TEXT + GAP), BACKGROUND)
    draw = ImageDraw.Draw(page)
    for index, (label, image) in enumerate(labelled):
        left = index * (WIDTH + GAP)
        page.paste(image.resize(cell), (left, TEXT))
        draw.text((left, 2), label, fill=INK)
    return page
