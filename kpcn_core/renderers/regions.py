"""Renderers that can only be given a crop window: each pass is a list of regions."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from kpcn_core.errors import InvalidPixels
from kpcn_core.frame import Frame
from kpcn_core.renderers import child
from kpcn_core.renderers.base import Accumulation, Progress, SamplingMap
from kpcn_core.renderers.command import read_image, work_folder
from kpcn_core.renderers.rendered import accumulated
from kpcn_core.renderers.rounding import proportional
from kpcn_core.renderers.template import filled, parsed

SIDE = 32
NEEDED = ("map",)
POSSIBLE = ("seed", "pass", "width", "height")


@dataclass(frozen=True)
class SampledRegion:
    """A rectangle of pixels, y down, with one number of samples per pixel."""

    x: int
    y: int
    width: int
    height: int
    spp: int

    @property
    def rows(self) -> slice:
        """Its rows."""
        return slice(self.y, self.y + self.height)

    @property
    def columns(self) -> slice:
        """Its columns."""
        return slice(self.x, self.x + self.width)


def regions(counts: SamplingMap, side: int, seed: int) -> list[SampledRegion]:
    """Squares that cover a sampling map, each with the mean of its pixels, where that is not 0.

    Means are rounded without bias, so the total is that of the map to about a square's worth.

    Args:
        counts: the sampling map [H,W].
        side: of the squares in pixels; those at the right and bottom are what is left.
        seed: of the rounding.
    """
    height, width = counts.shape
    rows, columns = range(0, height, side), range(0, width, side)
    means = np.array(
        [[counts[y : y + side, x : x + side].mean() for x in columns] for y in rows], np.float64
    )
    if not means.any():
        return []
    spp = proportional(means, round(means.sum()), seed)
    return [
        SampledRegion(x, y, min(side, width - x), min(side, height - y), int(spp[row, column]))
        for row, y in enumerate(rows)
        for column, x in enumerate(columns)
        if spp[row, column]
    ]


class RegionRenderer:
    """A renderer behind a command line that renders crop windows.

    {map} is a JSON file: `{"width", "height", "seed", "regions": [{"x", "y", "width", "height",
    "spp", "output"}, …]}`. The command renders every region with its samples per pixel and writes
    it, cropped, to its `output`, an EXR. {seed}, {pass}, {width} and {height} are as in
    `CommandRenderer`.
    """

    origin = (0, 0)

    def __init__(
        self,
        command: str,
        size: tuple[int, int],
        *,
        side: int = SIDE,
        seconds: float | None = None,
        source: str = "auto",
        layers: Mapping[str, str] | None = None,
        passes: int = 0,
    ) -> None:
        """Check the command; arguments as `CommandRenderer`, and the side of a region in pixels.

        Raises:
            UnknownName: {map} is missing, or a placeholder does not exist.
        """
        self.size = self.film_size = size
        self._words = parsed(command, NEEDED, POSSIBLE)
        self._side = side
        self._seconds = seconds
        self._source, self._layers = source, layers or {}
        self._passes = passes

    def render(
        self, samples: int | SamplingMap, seed: int, progress: Progress | None = None
    ) -> Accumulation:
        """Take this many new samples, as far as regions allow; errors as `CommandRenderer`."""
        counts = np.broadcast_to(np.asarray(samples, np.uint32), self.size)
        wanted = regions(counts, self._side, seed)
        with work_folder() as folder:
            outputs = [folder / f"region{index}.exr" for index in range(len(wanted))]
            words = self._command(folder / "map.json", wanted, outputs, seed)
            child.run(words, folder / "printed.txt", self._seconds)
            parts = [read_image(path, words, self._source, self._layers) for path in outputs]
        self._passes += 1
        if progress:
            total = int(counts.sum(dtype=np.int64))
            progress(total, total)
        return accumulated(*assembled(wanted, parts, self.size))

    def _command(
        self, path: Path, wanted: Sequence[SampledRegion], outputs: Sequence[Path], seed: int
    ) -> list[str]:
        """Write the map; the words of the command that reads it."""
        height, width = self.size
        listed = [
            {**asdict(region), "output": str(output)}
            for region, output in zip(wanted, outputs, strict=True)
        ]
        content = {"width": width, "height": height, "seed": seed, "regions": listed}
        path.write_text(json.dumps(content), encoding="utf-8")
        values = {
            "map": path,
            "seed": seed,
            "pass": self._passes,
            "width": width,
            "height": height,
        }
        return filled(self._words, values)


def assembled(
    wanted: Sequence[SampledRegion], parts: Sequence[Frame], size: tuple[int, int]
) -> tuple[Frame, SamplingMap]:
    """One frame of the images of all regions, and how many samples its pixels have.

    Raises:
        InvalidPixels: an image is not of its region's size.
        MissingAov: an image lacks an AOV that the first one has.
    """
    counts = np.zeros(size, np.uint32)
    first = parts[0]
    aovs = {
        aov: np.zeros((len(pixels), *size), np.float32)
        for aov, pixels in first.aovs.items()
        if aov != "sample_count"  # a region's may be of anything; its spp is known
    }
    for region, part in zip(wanted, parts, strict=True):
        if part.size != (region.height, region.width):
            height, width = part.size
            raise InvalidPixels(
                f"{part.label}: expected a region of {region.width}x{region.height} pixels; the "
                f"renderer wrote {width}x{height}. Crop the image to the region."
            )
        counts[region.rows, region.columns] = region.spp
        for aov, pixels in aovs.items():
            pixels[:, region.rows, region.columns] = part[aov]
    return Frame(aovs, source=first.source), counts
