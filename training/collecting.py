"""A data set from EXR files that some renderer wrote: noisy frames and their references."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kpcn_core import exr
from kpcn_core.errors import InvalidPixels, MissingFrames
from kpcn_core.frame import Frame
from kpcn_core.renderers.base import Accumulation, SamplingMap
from kpcn_core.sequence import expand
from training import views
from training.dataset import MANIFEST, Entry, Manifest, Recipe, file_digest
from training.errors import InvalidDataset

GENERATOR = "EXR files"
CLEAN = 1024  # samples per pixel that a reference without a layer of counts is taken to have


@dataclass(frozen=True)
class Footage:
    """The files of a data set.

    Attributes:
        noisy: patterns of the noisy frames; further ones are other renders of the same frames,
            with other seeds.
        spp: samples per pixel of each, where the files do not say.
        reference: pattern of the clean frames.
        source: how the renderer writes, by name or toml file.
        frames: a range; None for all.
        licence: of the pixels.
    """

    noisy: tuple[str, ...]
    spp: tuple[int, ...]
    reference: str
    source: str = "auto"
    frames: str | None = None
    licence: str = "the owner's"


def collect(
    footage: Footage, folder: Path, stop: Callable[[], bool] = lambda: False
) -> Iterator[tuple[int, Entry]]:
    """Make a view of each frame that a folder lacks; give each one as it is finished.

    Safe to end and start again. Pixels that are not finite are kept, and count nothing in training.

    Raises:
        MissingFrames: a frame has no reference, or not all of its noisy files.
        MissingAov, UnreadableFile: a file cannot be read by its source.
        InvalidPixels: the images of a frame differ in size.
        InvalidDataset: the folder was made of other files.
    """
    matched = _matched(footage)
    manifest = _manifest(footage, folder, matched)
    for frame, paths in matched.items():
        if frame in manifest.views:
            continue
        if stop():
            return
        start = time.monotonic()
        buffers = _buffers(paths, footage)
        path = Path("views") / f"{frame:06d}.safetensors"
        views.write(folder / path, buffers)
        entry = Entry(
            file=path.as_posix(),
            sha256=file_digest(folder / path),
            reference_spp=round(float(buffers[views.REFERENCE].count.mean())),
            seconds=round(time.monotonic() - start, 2),
        )
        manifest = manifest.added(frame, entry)
        manifest.write(folder)
        yield frame, entry


def _matched(footage: Footage) -> dict[int, list[Path]]:
    """Frame number to its noisy files and its reference."""
    patterns = [*footage.noisy, footage.reference]
    found = [dict(expand(pattern, footage.frames)) for pattern in patterns]
    for pattern, files in zip(patterns[1:], found[1:], strict=True):
        if len(found[0]) == len(files) == 1:  # without frame numbers
            continue
        lacking = sorted(found[0].keys() ^ files.keys())
        if lacking:
            raise MissingFrames(
                f"{pattern}: frames {', '.join(map(str, lacking))} are not in both this sequence "
                f"and {patterns[0]}. Name those that have all files with --frames."
            )
    ordered = [[files[frame] for frame in sorted(files)] for files in found]
    return {frame: list(paths) for frame, *paths in zip(sorted(found[0]), *ordered, strict=True)}


def _manifest(footage: Footage, folder: Path, matched: dict[int, list[Path]]) -> Manifest:
    paths = next(iter(matched.values()))
    first = exr.read(paths[0], footage.source)
    spp = tuple(
        round(float(_counts(exr.read(path, footage.source), footage, index).mean()))
        for index, path in enumerate(paths[:-1])
    )
    recipe = Recipe(GENERATOR, first.source, spp=spp, around=(), size=first.size)
    if not (folder / MANIFEST).exists():
        manifest = Manifest(recipe, licence=footage.licence)
        manifest.write(folder)
        return manifest
    manifest = Manifest.read(folder)
    if manifest.recipe != recipe:
        raise InvalidDataset(
            f"{folder}: its views were made by {manifest.recipe}, and these files are {recipe}. "
            f"Collect them in a new folder."
        )
    return manifest


def _buffers(paths: Sequence[Path], footage: Footage) -> dict[str, Accumulation]:
    frames = [exr.read(path, footage.source) for path in paths]
    aovs = set.intersection(*(set(frame.aovs) for frame in frames)) & set(views.AOVS)
    for frame in frames[1:]:
        if frame.size != frames[0].size:
            raise InvalidPixels(
                f"{frame.label}: is {frame.size[1]}x{frame.size[0]} pixels, and "
                f"{frames[0].label} is {frames[0].size[1]}x{frames[0].size[0]}. The images of a "
                f"frame must have one size."
            )
    *noisy, clean = frames
    buffers = {
        str(index): _accumulation(frame, _counts(frame, footage, index), aovs)
        for index, frame in enumerate(noisy)
    }
    return {**buffers, views.REFERENCE: _accumulation(clean, _counts(clean, footage, None), aovs)}


def _counts(frame: Frame, footage: Footage, index: int | None) -> SamplingMap:
    """Samples per pixel of a file [H,W]: its own, or what is said of it; index None: reference."""
    if "sample_count" in frame:
        counts: SamplingMap = np.nan_to_num(frame["sample_count"][0]).round().astype(np.uint32)
        return np.maximum(counts, 1)
    if index is None:
        return np.full(frame.size, CLEAN, np.uint32)
    if index >= len(footage.spp):
        raise InvalidDataset(
            f"{frame.label}: has no layer of sample counts. Say with --spp how many samples a "
            f"pixel has, once for each --noisy."
        )
    return np.full(frame.size, footage.spp[index], np.uint32)


def _accumulation(frame: Frame, count: SamplingMap, aovs: set[str]) -> Accumulation:
    samples = count.astype(np.float64)
    mean = {aov: frame[aov].astype(np.float64) for aov in aovs}
    deviation = {
        aov: frame[f"{aov}_mse"].astype(np.float64).clip(0) * samples * np.maximum(samples - 1, 1)
        for aov in aovs
        if f"{aov}_mse" in frame
    }
    return Accumulation(count, mean, deviation, {}, frame.source)
