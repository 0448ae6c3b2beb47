"""Any renderer that is a command line: it reads a map, takes the samples, and writes an EXR."""

import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from tempfile import mkdtemp

import numpy as np

from kpcn_core import exr
from kpcn_core.errors import KpcnError, RenderFailed, UnknownName
from kpcn_core.exr_layers import write_layers
from kpcn_core.frame import Frame
from kpcn_core.renderers import child
from kpcn_core.renderers.base import Accumulation, Progress, SamplingMap
from kpcn_core.renderers.map_encoding import ENCODINGS, Encoding, Request
from kpcn_core.renderers.rendered import accumulated
from kpcn_core.renderers.template import filled, parsed

POSSIBLE = ("map", "seed", "pass", "render", "spp", "min", "max", "width", "height")
SEEDS = 1 << 31


class CommandRenderer:
    """A renderer behind a command line.

    The command is split into words as a shell does, but no shell runs it. In each word the
    placeholders are replaced: {map} and {output} are paths of EXR files, {seed} a number below
    2^31 that no other render of the image gets, {pass} and {render} count from 0 (renders within
    the pass), {width} and {height} are pixels, {min} and {max} the least and most samples of the
    map, and {spp} is the encoding's.

    Example:
        >>> command = "kpcn render a.xml -o {output} --spp-map {map} --seed {seed}"
        >>> CommandRenderer(command, (90, 160)).render(16, seed=0).frame()
    """

    def __init__(
        self,
        command: str,
        size: tuple[int, int],
        encoding: str = "counts",
        *,
        sizes: Sequence[int] = (),
        seconds: float | None = None,
        source: str = "auto",
        layers: Mapping[str, str] | None = None,
        passes: int = 0,
    ) -> None:
        """Check the command.

        Args:
            command: the template.
            size: (height, width) of the image that it writes.
            encoding: how it reads the sampling map, one of `ENCODINGS`.
            sizes: samples per render that it can take (masks), or its own setting (multiplier).
            seconds: how long one render may take; None is forever.
            source: whose way of writing EXR files it has, see `exr.read`.
            layers: AOV name to layer, see `exr.read`.
            passes: passes that an earlier run has done, from where {pass} goes on.

        Raises:
            UnknownName: the encoding or a placeholder does not exist, or one is missing.
        """
        self.size = size
        self.origin = (0, 0)
        self.film_size = size
        self._encode = _encoding(encoding)
        needed = ("output",) if encoding == "even" else ("map", "output")
        self._words = parsed(command, needed, POSSIBLE)
        self._sizes = sizes
        self._seconds = seconds
        self._source, self._layers = source, layers or {}
        self._passes = passes

    def render(
        self, samples: int | SamplingMap, seed: int, progress: Progress | None = None
    ) -> Accumulation:
        """Take this many new samples in each pixel, in one render or more.

        Args:
            samples: a number, or a map [H,W] of numbers.
            seed: of the random numbers.
            progress: called after each render with (samples done, samples in all).

        Raises:
            RenderFailed: the command fails, takes too long, or leaves no image.
            InvalidPixels: the image has another size, NaN or Inf.
            UnreadableFile, MissingAov: the image cannot be read, or lacks what earlier ones had.
        """
        counts = np.broadcast_to(np.asarray(samples, np.uint32), self.size)
        requests = list(self._encode(counts, self._sizes, seed))
        total, done, parts = int(counts.sum(dtype=np.int64)), 0, []
        for number, request in enumerate(requests):
            parts.append(self._render(request, seed, number))
            done += int(request.counts.sum(dtype=np.int64))
            if progress:
                progress(done, total)
        self._passes += 1
        return reduce(Accumulation.merged, parts)

    def _render(self, request: Request, seed: int, number: int) -> Accumulation:
        with work_folder() as folder:
            files = {"map": folder / "map.exr", "output": folder / "output.exr"}
            write_layers(files["map"], request.layers)
            values = {
                **files,
                "seed": (seed + number * 1_000_003) % SEEDS,
                "pass": self._passes,
                "render": number,
                "spp": request.spp,
                "min": request.counts.min(),
                "max": request.counts.max(),
                "height": self.size[0],
                "width": self.size[1],
            }
            words = filled(self._words, values)
            child.run(words, folder / "printed.txt", self._seconds)
            frame = read_image(files["output"], words, self._source, self._layers)
            self._place(frame)
            return accumulated(frame, request.counts)

    def _place(self, frame: Frame) -> None:
        """Remember where the image lies on the film."""
        film = frame.display or frame.data
        self.origin = (frame.origin[0] - film.x, frame.origin[1] - film.y)
        self.film_size = (film.height, film.width)


def _encoding(name: str) -> Encoding:
    if name not in ENCODINGS:
        raise UnknownName(
            f"No encoding of sampling maps is called '{name}'. There are {', '.join(ENCODINGS)}."
        )
    return ENCODINGS[name]


def read_image(path: Path, words: Sequence[str], source: str, layers: Mapping[str, str]) -> Frame:
    """The image that a command left.

    Raises:
        RenderFailed: there is none.
        UnreadableFile, MissingAov, UnknownName: see `exr.read`.
    """
    if not path.is_file():
        raise RenderFailed(
            f"The renderer left no image at {path}. Its command: {shlex.join(words)}."
        )
    return exr.read(path, source, layers)


@contextmanager
def work_folder() -> Iterator[Path]:
    """A temporary folder; kept if something of ours fails, as its files show what went wrong."""
    folder = Path(mkdtemp(prefix="kpcn-"))
    try:
        yield folder
    except KpcnError:
        raise
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
