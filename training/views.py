"""View: one image of a data set, as independent noisy buffers and a reference.

A view may come with the frames around it, each as noisy buffers of its own with motion vectors;
only the centre frame has a reference (paper §6.1).

A file is safetensors. Each buffer has its sample count and, per AOV, the mean and, if the renderer
gives a variance, the square root of the summed squared deviations. The root is what lets half
precision hold a variance: its range is that of the colors themselves.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from kpcn_core.atomic import replaced
from kpcn_core.renderers.base import Accumulation
from training.errors import InvalidDataset

AOVS = ("color", "diffuse", "specular", "albedo", "normal")
REFERENCE = "reference"
MOTION = ("forward", "backward")
# So many buffers have a spread that says how noisy they are, where their renderer does not.
PARTS = 3
# Relative to the values of the array; half precision rounds by 0.0005 unless values are too small.
HALF_TOLERANCE = 1e-3

Array = NDArray[np.float32]
Buffers = Mapping[str, Accumulation]

ALL = slice(None)


def write(path: Path, buffers: Buffers, around: Mapping[int, Buffers] | None = None) -> None:
    """Store named accumulations as one view; atomic, replaces an older file.

    Args:
        path: the file to make.
        buffers: "reference" and the noisy ones, all of one size, each with "color" and the same
            others of `AOVS`.
        around: the noisy buffers of other frames, by their distance from the centre in frames.
    """
    arrays = _arrays("", buffers)
    for offset, others in (around or {}).items():
        arrays |= _arrays(_prefix(offset), others)
    with replaced(path, overwrite=True) as temporary:
        temporary.write_bytes(save(arrays))


def _arrays(prefix: str, buffers: Buffers) -> dict[str, NDArray[Any]]:
    """Everything about one frame."""
    arrays = {}
    for name, buffer in buffers.items():
        arrays[f"{prefix}{name}/count"] = compact(buffer.count[None])
        for aov in AOVS:
            if aov not in buffer.mean:
                continue
            arrays[f"{prefix}{name}/mean/{aov}"] = compact(buffer.mean[aov])
            if aov in buffer.deviation:
                arrays[f"{prefix}{name}/spread/{aov}"] = compact(np.sqrt(buffer.deviation[aov]))
    noisy = [buffer for name, buffer in buffers.items() if name != REFERENCE]
    closest = reduce(Accumulation.merged, noisy).closest
    return arrays | {
        f"{prefix}motion/{aov}": compact(closest[aov]) for aov in MOTION & closest.keys()
    }


def _prefix(offset: int) -> str:
    """Of the names of a frame's buffers; the centre frame has none."""
    return f"{offset:+d}:" if offset else ""


def compact(values: NDArray[np.floating | np.integer]) -> NDArray[Any]:
    """Half precision if that changes no value noticeably, else single. Nothing is clamped."""
    single = values.astype(np.float32)
    with np.errstate(over="ignore"):
        half = single.astype(np.float16)
    # Pixels that the renderer could not compute stay as they are in both.
    known = single[np.isfinite(single)]
    rounded = half[np.isfinite(single)].astype(np.float32)
    typical = np.abs(known).mean() if known.size else 0.0
    fits = np.abs(rounded - known) <= HALF_TOLERANCE * (np.abs(known) + typical)
    return np.ascontiguousarray(half if fits.all() else single)


class View:
    """A stored view. Pixels are read from the mapped file when asked for.

    Attributes:
        path: its file.
        seed: the seed of its scene.
        sha256: of the file, if it is known.
        size: (height, width).
        spp: name of each noisy buffer to its samples per pixel, rounded.
        around: the same for every other frame, by its distance from the centre in frames.
    """

    def __init__(self, path: Path, seed: int, sha256: str = "") -> None:
        self.path = path
        self.seed = seed
        self.sha256 = sha256
        try:
            self._file: Any = safe_open(path, framework="numpy")
            self._names = frozenset(self._file.keys())
            found = [key.removesuffix("/count") for key in self._names if "/count" in key]
            counts = {name: self._file.get_tensor(f"{name}/count") for name in found}
        except (OSError, SafetensorError) as error:
            raise InvalidDataset(f"{path}: not a view, or damaged: {error}.") from error
        if REFERENCE not in counts or len(counts) < 2:
            raise InvalidDataset(
                f"{path}: expected noisy buffers and a reference; found {sorted(counts)}. "
                f"Remove the file and run `kpcn-train render` again."
            )
        self._present = [aov for aov in AOVS if f"{REFERENCE}/mean/{aov}" in self._names]
        self.size: tuple[int, int] = counts[REFERENCE].shape[-2:]
        spp = {name: round(float(counts[name].mean(dtype=np.float64))) for name in sorted(counts)}
        self.spp = {name: spp[name] for name in spp if ":" not in name and name != REFERENCE}
        offsets = sorted({int(name.partition(":")[0]) for name in spp if ":" in name})
        self.around = {
            offset: {
                name.partition(":")[2]: count
                for name, count in spp.items()
                if name.startswith(_prefix(offset))
            }
            for offset in offsets
        }

    @property
    def reach(self) -> int:
        """How many frames before and after the centre there are."""
        return max(self.around, default=0)

    @property
    def aov_names(self) -> frozenset[str]:
        """AOVs that all its noisy buffers together have, with their `*_mse` twins."""
        return self.given(list(self.spp))

    @property
    def has_variance(self) -> bool:
        """Whether each of its noisy buffers says by itself how noisy it is."""
        return self._has_variance(list(self.spp))

    def given(self, buffers: Sequence[str]) -> frozenset[str]:
        """AOVs that `aovs` gives of these buffers."""
        known = self._has_variance(buffers) or self._spreads(buffers)
        return frozenset([*self._present, *(f"{aov}_mse" for aov in self._present if known)])

    def fewest(self, variances: bool) -> int:
        """How many buffers have to be merged, at least, by whoever reads variances or does not."""
        return PARTS if variances and not self.has_variance else 1

    def color(self, buffers: Sequence[str]) -> Array:
        """Mean color of merged buffers, whole image [3,H,W]."""
        counts = self._read(buffers, "count", ALL, ALL)
        return _mean(self._read(buffers, "mean/color", ALL, ALL), counts)

    def motion(self, aov: str, rows: slice = ALL, columns: slice = ALL, offset: int = 0) -> Array:
        """Motion "forward" or "backward" of a frame, pixels [2,h,w]; 0 if the view stands still."""
        if not self.around:
            return np.zeros((2, *self.size), np.float32)[:, rows, columns]
        vectors: Array = self._read([_prefix(offset) + "motion"], aov, rows, columns)[0]
        return vectors

    def aovs(
        self,
        buffers: Sequence[str],
        rows: slice = ALL,
        columns: slice = ALL,
        offset: int = 0,
    ) -> dict[str, Array]:
        """Merge buffers as if all their samples had been taken in one pass (Chan et al. 1979).

        Args:
            buffers: names, at least one.
            rows: part of the image to read.
            columns: part of the image to read.
            offset: of the frame that they belong to; 0 is the centre.

        Returns:
            Each AOV that the view has and its `*_mse` twin (variance of the pixel mean), float32
            [3,h,w]. Where the renderer gives no variance, it is that of the spread of `PARTS` and
            more buffers of a frame that stands alone, and of fewer there are no twins.
        """
        spreads = self._spreads(buffers)
        buffers = [_prefix(offset) + name for name in buffers]
        counts = self._read(buffers, "count", rows, columns)
        total = counts.sum(axis=0)
        merged = {}
        for aov in self._present:
            means = self._read(buffers, f"mean/{aov}", rows, columns)
            mean = _mean(means, counts)
            merged[aov] = mean
            between = (counts * (means - mean) ** 2).sum(axis=0)
            if self._has_variance(buffers):
                within = (self._read(buffers, f"spread/{aov}", rows, columns) ** 2).sum(axis=0)
                merged[f"{aov}_mse"] = (within + between) / np.maximum(total * (total - 1), 1)
            elif spreads:
                merged[f"{aov}_mse"] = between / ((len(buffers) - 1) * np.maximum(total, 1))
        return merged

    def _spreads(self, buffers: Sequence[str]) -> bool:
        """Not in windows, whose other frames have fewer buffers than the centre."""
        return len(buffers) >= PARTS and not self.around

    def _has_variance(self, buffers: Sequence[str]) -> bool:
        return all(f"{name}/spread/color" in self._names for name in buffers)

    def _read(self, buffers: Sequence[str], key: str, rows: slice, columns: slice) -> Array:
        """One array of several buffers [N,C,h,w]."""
        slices = [self._file.get_slice(f"{name}/{key}")[:, rows, columns] for name in buffers]
        # torch widens half precision eight times as fast as numpy does.
        return torch.from_numpy(np.stack(slices)).float().numpy()


def _mean(means: Array, counts: Array) -> Array:
    """Mean [C,h,w] over all samples of buffers with these means [N,C,h,w] and counts [N,1,h,w]."""
    return np.asarray((counts * means).sum(axis=0) / np.maximum(counts.sum(axis=0), 1))
