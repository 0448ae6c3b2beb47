"""Several renders of one frame -> one frame that knows how noisy it is.

Renderers such as Cycles give no variance. Renders of the same frame by other samples do: their mean
has the samples of all, and their spread says how noisy it is.
"""

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kpcn_core import exr
from kpcn_core.aov import AOVS
from kpcn_core.errors import InvalidPixels, MissingAov
from kpcn_core.exr_file import converted, open_file, window
from kpcn_core.frame import Frame
from kpcn_core.layer import Channel, split
from kpcn_core.renderers.base import Accumulation, Float64, SamplingMap
from kpcn_core.renderers.batched import with_spread
from kpcn_core.renderers.rendered import accumulated

log = logging.getLogger(__name__)

# Layers of numbers whose mean means nothing.
IDENTITIES = ("*crypto*", "*index*", "*id")

# The channels of our own layout.
OURS = {f"{aov.layer}.{suffix}".lstrip(".") for aov in AOVS.values() for suffix in aov.suffixes}

Planes = dict[str, NDArray[np.generic]]


def merged(
    paths: Sequence[Path],
    source: str = "auto",
    layers: Mapping[str, str] | None = None,
    spp: int = 1,
    keep: Sequence[str] = IDENTITIES,
) -> tuple[Frame, Planes]:
    """Renders of one frame, each by samples of its own, as one.

    Args:
        paths: at least two; of four or more the spread is known well enough.
        source: see `exr.read`.
        layers: AOV name to the layer it is read from.
        spp: samples per pixel of each, if the files do not say; 1 counts renders instead.
        keep: patterns of layers that are those of the first render, not means.

    Returns:
        The frame: AOVs as means over all samples with their `*_mse` twins, depth and motion of the
        nearest sample (motion of the first render, if there is no depth), the sum of the samples.
        And all other channels of the first file with the same data window, by name: means in their
        own type; integers, and what `keep` names, as in the first render.

    Raises:
        InvalidPixels: they differ in size, two are the same image, or one has NaN or Inf.
        MissingAov: they differ in their layers.
        UnreadableFile: see `exr.read`.
    """
    first = exr.read(paths[0], source, layers)
    others = _Others(first, keep)

    def renders() -> Iterator[Accumulation]:
        images: dict[bytes, Path] = {}
        for index, path in enumerate(paths):
            frame = exr.read(path, source, layers) if index else first
            _check_window(frame, first)
            _check_image(frame, path, images)
            part = accumulated(frame, np.full(frame.size, spp, np.uint32))
            others.add(path, part.count)
            yield part

    frame = with_spread(renders()).frame()
    return (
        replace(
            frame,
            # Without a depth nothing says which motion is the nearest.
            aovs={**first.aovs, **frame.aovs},
            display=first.display,
            origin=first.origin,
            metadata={**first.metadata, "renders": len(paths)},
        ),
        others.planes(),
    )


def _check_window(frame: Frame, first: Frame) -> None:
    if frame.data != first.data:
        raise InvalidPixels(
            f"{frame.label}: expected the data window of {first.label}, {first.data}; it has "
            f"{frame.data}. Merge renders of the same frame."
        )


def _check_image(frame: Frame, path: Path, images: dict[bytes, Path]) -> None:
    """Refuse an image that was there before, and note this one."""
    digest = hashlib.sha256(frame["color"].tobytes()).digest()
    if digest in images:
        raise InvalidPixels(
            f"{path}: the same image as {images[digest]}, as if there were no noise. Render each "
            f"with a seed, or a part of the samples, of its own."
        )
    images[digest] = path


class _Others:
    """The channels that are no AOVs: means over the renders, or the first render's.

    Args:
        first: the first render, read from a file.
        keep: see `merged`.
    """

    def __init__(self, first: Frame, keep: Sequence[str]) -> None:
        assert first.path is not None
        self._path, self._window = first.path, first.data
        read = {channel for channels in first.channels.values() for channel in channels}
        self._samples: Float64 = np.zeros(first.size)
        self._kept: Planes = {}
        self._sums: dict[str, Float64] = {}
        self._types: dict[str, np.dtype[np.generic]] = {}
        for name, (channel, pixels) in self._channels(first.path).items():
            if channel in read:
                continue
            if pixels.dtype.kind == "f" and not _fits(name, keep):
                self._sums[name], self._types[name] = np.zeros(first.size), pixels.dtype
            else:
                self._kept[name] = pixels

    def add(self, path: Path, count: SamplingMap) -> None:
        """Take a render of so many samples [H,W] into the means."""
        if not self._sums:
            return
        there = self._channels(path)
        missing = sorted(self._sums.keys() - there.keys())
        if missing:
            raise MissingAov(
                f"{path}: lacks channels that {self._path} has: {', '.join(missing)}. Render all "
                f"with the same layers, or take these from the first with --keep."
            )
        self._samples += count
        for name, total in self._sums.items():
            total += there[name].pixels.astype(np.float64) * count

    def planes(self) -> Planes:
        """All of them by name; none is called like a channel of our own layout."""
        planes = dict(self._kept)
        for name, total in self._sums.items():
            mean = (total / np.maximum(self._samples, 1)).astype(np.float32)
            planes[name] = converted(mean, self._types[name])
        taken = sorted(planes.keys() & OURS)
        if taken:
            log.warning("%s: left out, since AOVs are called so: %s", self._path, ", ".join(taken))
        return {name: plane for name, plane in planes.items() if name not in OURS}

    def _channels(self, path: Path) -> dict[str, "_Plane"]:
        """Every channel by its name with its layer's; those of other windows do not fit."""
        found = {}
        for index, part in enumerate(open_file(path).parts):
            if window(part.header, "dataWindow") != self._window:
                log.warning("%s: part '%s' has another window: left out", path, part.name())
                continue
            for name, channel in part.channels.items():
                called = name if index == 0 or split(name)[0] else f"{part.name()}.{name}"
                found[called] = _Plane(Channel(index, name), channel.pixels)
        return found


class _Plane(NamedTuple):
    """A channel and its pixels [H,W]."""

    channel: Channel
    pixels: NDArray[np.generic]


def _fits(channel: str, patterns: Sequence[str]) -> bool:
    """Whether the layer of a channel is called so."""
    layer = (split(channel)[0] or channel).lower()
    return any(fnmatchcase(layer, pattern.lower()) for pattern in patterns)
