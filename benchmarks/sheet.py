"""A contact sheet: one row a frame, one column a method, the reference last."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from kpcn_core import picture
from kpcn_core.comparison import Comparison

WIDTH = 480
GAP = 8
TEXT = 18
BACKGROUND, INK = (38, 38, 38), (221, 221, 221)


def contact_sheet(comparisons: Sequence[Comparison]) -> Image.Image:
    """Every image at the exposure of its reference, scaled to the same width, with its SMAPE."""
    rows = [_row(comparison) for comparison in comparisons]
    size = (max(row.width for row in rows), sum(row.height for row in rows))
    page = Image.new("RGB", size, BACKGROUND)
    top = 0
    for row in rows:
        page.paste(row, (0, top))
        top += row.height
    return page


def _row(comparison: Comparison) -> Image.Image:
    reference = (
        comparison.entries[0].color if comparison.reference is None else comparison.reference
    )
    gain = picture.exposure(reference)
    labelled = [
        (f"{comparison.title}: {entry.label}, SMAPE {entry.metrics['smape']:.4f}", entry.color)
        for entry in comparison.entries
    ]
    labelled.append((f"{comparison.title}: reference", reference))
    height, width = reference.shape[-2:]
    cell = (WIDTH, max(1, round(WIDTH * height / width)))
    row = Image.new("RGB", ((WIDTH + GAP) * len(labelled), cell[1] + TEXT + GAP), BACKGROUND)
    draw = ImageDraw.Draw(row)
    for index, (label, color) in enumerate(labelled):
        left = index * (WIDTH + GAP)
        row.paste(picture.shown(color, gain).resize(cell), (left, TEXT))
        draw.text((left, 2), label, fill=INK)
    return row
