"""What a page shows of its comparisons: images, maps in false color, and the maps' scales."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10
from typing import Any

import numpy as np

from kpcn_core import metric_maps, picture
from kpcn_core.comparison import Comparison, Entry
from kpcn_core.frame import Pixels
from kpcn_core.metrics import METRICS
from kpcn_core.report import codes

SQUARE = 64
SQUARES = 3
# The largest errors are few; a scale that held them would leave the rest in the dark.
PERCENTILE = 99


@dataclass(frozen=True)
class Map:
    """Numbers, one a pixel.

    Attributes:
        label: whose they are.
        unit: what they are; maps of one unit share a scale.
        pixels: [1,H,W].
        target: not the noisy image's, so its values set the scale.
    """

    label: str
    unit: str
    pixels: Pixels
    target: bool = True


def payload(comparisons: Sequence[Comparison], metrics: Sequence[str]) -> dict[str, Any]:
    """All that the page's script needs, as JSON can hold it.

    Args:
        comparisons: the frames of the page.
        metrics: of which of `metric_maps.MAPS` to show the error maps.
    """
    maps = [list(_maps(comparison, metrics)) for comparison in comparisons]
    frames = [
        _frame(comparison, of_frame) for comparison, of_frame in zip(comparisons, maps, strict=True)
    ]
    return {
        "lowest": codes.LOWEST,
        "heat": picture.HEAT.tolist(),
        "units": _units([each for of_frame in maps for each in of_frame]),
        "frames": frames,
    }


def worst_squares(error: Pixels, side: int, count: int) -> list[tuple[int, int]]:
    """(left, top) of the squares of a grid whose mean error is the largest, worst first.

    Args:
        error: map [1,H,W]; what is left over at the right and bottom of the grid is not looked at.
        side: of a square, at most H and W.
        count: at most so many.
    """
    tall, wide = (size // side for size in error.shape[-2:])
    blocks = error[0, : tall * side, : wide * side].reshape(tall, side, wide, side)
    order = np.argsort(-blocks.mean(axis=(1, 3)), axis=None)[:count]
    return [(int(index % wide) * side, int(index // wide) * side) for index in order]


def scale_top(values: Pixels) -> float:
    """1, 2 or 5 times a power of ten, which few values exceed; 1 if all are 0."""
    finite = values[np.isfinite(values)]
    reached = float(np.percentile(finite, PERCENTILE)) if finite.size else 0.0
    if reached <= 0:
        return 1.0
    power = 10.0 ** floor(log10(reached))
    # Half a per mille is what single precision and powers of ten may be off.
    step = next(step for step in (1, 2, 5, 10) if step * power >= 0.9995 * reached)
    return float(f"{step * power:.0e}")


def _frame(comparison: Comparison, maps: Sequence[Map]) -> dict[str, Any]:
    reference = comparison.reference
    images = {entry.label: entry.color for entry in comparison.entries}
    first = next(iter(images.values()))
    gain = picture.exposure(first if reference is None else reference)
    if reference is not None:
        images["reference"] = reference
    height, width = first.shape[-2:]
    side = min(SQUARE, height, width)
    return {
        "title": comparison.title,
        "width": width,
        "height": height,
        "gain": gain,
        "layers": [_image(label, color * np.float32(gain)) for label, color in images.items()]
        + [_map(each) for each in maps],
        "side": side,
        "squares": _squares(comparison.entries, maps, side),
    }


def _maps(comparison: Comparison, metrics: Sequence[str]) -> Iterator[Map]:
    entries, reference = comparison.entries, comparison.reference
    if reference is not None:
        for metric in metrics:
            for index, entry in enumerate(entries):
                error = metric_maps.error_map(metric, entry.color, reference)
                target = index > 0 or len(entries) == 1
                yield Map(entry.label, METRICS[metric].title, error, target)
    for entry in entries:
        for unit, pixels in entry.maps.items():
            yield Map(entry.label, unit, pixels)


def _units(maps: Sequence[Map]) -> Mapping[str, Any]:
    return {
        unit: {
            "top": scale_top(
                np.concatenate([m.pixels.ravel() for m in maps if m.unit == unit and m.target])
            )
        }
        for unit in dict.fromkeys(each.unit for each in maps)
    }


def _squares(entries: Sequence[Entry], maps: Sequence[Map], side: int) -> list[tuple[int, int]]:
    """Where the first metric says that the images after the noisy one differ most."""
    errors = [each for each in maps if each.target and each.unit == maps[0].unit]
    if not errors or not any(entry.metrics for entry in entries):
        return []
    return worst_squares(np.mean([each.pixels for each in errors], axis=0), side, SQUARES)


def _image(label: str, exposed: Pixels) -> dict[str, Any]:
    return {"label": label, "unit": None, **_packed(exposed, codes.COLOR_STEPS)}


def _map(each: Map) -> dict[str, Any]:
    return {
        "label": each.label,
        "unit": each.unit,
        **_packed(each.pixels, codes.map_steps(each.pixels)),
    }


def _packed(pixels: Pixels, steps: int) -> dict[str, Any]:
    return {"steps": steps, "data": codes.packed(codes.encoded(pixels, steps))}
