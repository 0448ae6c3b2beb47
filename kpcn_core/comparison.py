"""Images of one frame beside each other, measured against a reference if there is one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from kpcn_core.errors import InvalidPixels
from kpcn_core.frame import Pixels, Window
from kpcn_core.metrics import METRICS, measure


@dataclass(frozen=True)
class Entry:
    """One image of a comparison.

    Attributes:
        label: what a person calls it.
        color: linear radiance, float32 [3,H,W].
        seconds: how long it took to make, if that was measured.
        metrics: name in `METRICS` -> value; empty without a reference.
        maps: what a file says of each pixel, by what it is ("samples", …) -> [1,H,W].
    """

    label: str
    color: Pixels
    seconds: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    maps: Mapping[str, Pixels] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Some images of the same frame, the noisy one first.

    Attributes:
        title: what is compared, e.g. the frame or the scene.
        entries: the images.
        reference: what they are measured against [3,H,W], or None.
    """

    title: str
    entries: Sequence[Entry]
    reference: Pixels | None = None

    def cropped(self, part: Window) -> "Comparison":
        """A rectangle of every image, counted from the first pixel; figures stay those of all.

        Raises:
            InvalidPixels: the rectangle is not within the images.
        """
        height, width = self.entries[0].color.shape[-2:]
        if not (part.x + part.width <= width and part.y + part.height <= height):
            raise InvalidPixels(
                f"{part.width}x{part.height} pixels from {part.x},{part.y} on are not within the "
                f"images, which are {width}x{height}. Choose another rectangle."
            )
        rows = slice(part.y, part.y + part.height)
        columns = slice(part.x, part.x + part.width)
        entries = [
            replace(
                entry,
                color=entry.color[:, rows, columns],
                maps={what: pixels[:, rows, columns] for what, pixels in entry.maps.items()},
            )
            for entry in self.entries
        ]
        reference = None if self.reference is None else self.reference[:, rows, columns]
        return replace(self, entries=entries, reference=reference)


def measured(
    label: str,
    color: Pixels,
    reference: Pixels,
    seconds: float | None = None,
    maps: Mapping[str, Pixels] | None = None,
) -> Entry:
    """An entry with every metric; arguments as its attributes.

    Raises:
        InvalidPixels: as `metrics.measure`, with the label.
    """
    try:
        return Entry(label, color, seconds, measure(color, reference), maps or {})
    except InvalidPixels as error:
        raise InvalidPixels(f"{label}: {error}") from error


def rows(entries: Sequence[Entry]) -> list[list[str]]:
    """A heading and a line an entry: label, metrics, and seconds if any has them."""
    timed = any(entry.seconds is not None for entry in entries)
    heading = ["image", *(metric.title for metric in METRICS.values())]
    lines = [
        [entry.label, *(f"{entry.metrics[name]:.4f}" for name in METRICS)] for entry in entries
    ]
    if timed:
        heading.append("seconds")
        for line, entry in zip(lines, entries, strict=True):
            line.append("" if entry.seconds is None else f"{entry.seconds:.2f}")
    return [heading, *lines]


def markdown(table: Sequence[Sequence[str]]) -> str:
    """A table as aligned Markdown, which a terminal shows well too; numbers to the right."""
    widths = [max(3, *(len(cell) for cell in column)) for column in zip(*table, strict=True)]
    heading, *lines = (
        [cell.ljust(width) if index == 0 else cell.rjust(width)
         for index, (cell, width) in enumerate(zip(row, widths, strict=True))]
        for row in table
    )  # fmt: skip
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heading, rule, *lines))
