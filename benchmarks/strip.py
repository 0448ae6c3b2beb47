"""Labelled pictures in rows, for the figures of docs/."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kpcn_core import picture
from kpcn_core.frame import Pixels

GAP, LINE, SIZE = 6, 18, 13
BACKGROUND, INK = (255, 255, 255), (60, 60, 60)
BAR = 10


@dataclass(frozen=True)
class Cell:
    """A picture with up to two lines of text below it."""

    picture: Image.Image
    label: str
    detail: str = ""


@dataclass(frozen=True)
class Square:
    """A square of an image, each pixel a block of `factor` pixels."""

    left: int
    top: int
    side: int
    factor: int

    def of(self, color: Pixels, gain: float) -> Image.Image:
        """The square of a linear image [3,H,W]."""
        rows, columns = (
            slice(self.top, self.top + self.side),
            slice(self.left, self.left + self.side),
        )
        return enlarged(picture.shown(color[:, rows, columns], gain), self.factor)


def enlarged(image: Image.Image, factor: int) -> Image.Image:
    """Each pixel as a block."""
    size = (image.width * factor, image.height * factor)
    return image.resize(size, Image.Resampling.NEAREST)


def rows(cells: Sequence[Sequence[Cell]]) -> Image.Image:
    """Rows below each other; the cells of a column have one width."""
    strips = [_row(row) for row in cells]
    page = Image.new("RGB", (strips[0].width, sum(each.height for each in strips)), BACKGROUND)
    top = 0
    for strip in strips:
        page.paste(strip, (0, top))
        top += strip.height
    return page


def scale_bar(width: int, top: float, unit: str) -> Image.Image:
    """False color from 0 to `top`, with the numbers at its ends."""
    ramp = np.linspace(0, 1, width, dtype=np.float32)[None, None].repeat(BAR, axis=1)
    bar = Image.new("RGB", (width, BAR + LINE), BACKGROUND)
    bar.paste(picture.heat(ramp), (0, 0))
    draw, font = ImageDraw.Draw(bar), _font()
    for text, place, anchor in (("0", 0, "la"), (unit, width / 2, "ma"), (f"{top:g}", width, "ra")):
        draw.text((place, BAR + 2), text, fill=INK, font=font, anchor=anchor)
    return bar


def stacked(upper: Image.Image, lower: Image.Image) -> Image.Image:
    """One picture above another of the same width."""
    both = Image.new("RGB", (upper.width, upper.height + GAP + lower.height), BACKGROUND)
    both.paste(upper, (0, 0))
    both.paste(lower, (0, upper.height + GAP))
    return both


def _row(cells: Sequence[Cell]) -> Image.Image:
    lines = max(bool(cell.label) + bool(cell.detail) for cell in cells)
    width = sum(cell.picture.width for cell in cells) + GAP * (len(cells) - 1)
    height = max(cell.picture.height for cell in cells)
    row = Image.new("RGB", (width, height + lines * LINE + GAP), BACKGROUND)
    draw, font = ImageDraw.Draw(row), _font()
    left = 0
    for cell in cells:
        row.paste(cell.picture, (left, 0))
        for line, text in enumerate((cell.label, cell.detail)):
            draw.text((left, height + 2 + line * LINE), text, fill=INK, font=font)
        left += cell.picture.width + GAP
    return row


def _font() -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(SIZE)
