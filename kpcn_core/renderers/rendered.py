"""A rendered image -> an accumulation: the way back from `Accumulation.frame`."""

import numpy as np

from kpcn_core.aov import ESTIMATED
from kpcn_core.errors import InvalidPixels
from kpcn_core.frame import Frame, Pixels
from kpcn_core.renderers.base import Accumulation, Float64, SamplingMap

MOTION = ("forward", "backward")


def accumulated(frame: Frame, asked: SamplingMap) -> Accumulation:
    """What a renderer's image says about its samples.

    Counts are the image's own if it has them, else those that were asked for. Pixels without
    samples may hold anything. Motion is kept if there is a depth to tell which sample is nearest.

    Args:
        frame: AOVs, those with a `*_mse` twin also their variance.
        asked: samples that the renderer was told to take [H,W].

    Raises:
        InvalidPixels: the image has another size, or NaN or Inf.
    """
    if frame.size != asked.shape:
        raise InvalidPixels(
            f"{frame.label}: expected {_size(asked.shape)} pixels; the renderer wrote "
            f"{_size(frame.size)}. Name the renderer's size with --size."
        )
    count = _counts(frame, asked)
    names = [aov for aov in ESTIMATED if aov in frame]
    mean = {aov: _sampled(frame, aov, count) for aov in names}
    samples = count.astype(np.float64)
    deviation = {
        aov: _sampled(frame, f"{aov}_mse", count) * samples * np.maximum(samples - 1, 0)
        for aov in names
        if f"{aov}_mse" in frame
    }
    return Accumulation(count, mean, deviation, _closest(frame, count), frame.source)


def _counts(frame: Frame, asked: SamplingMap) -> SamplingMap:
    if "sample_count" not in frame:
        return asked
    values = frame["sample_count"][0]
    if not (np.isfinite(values) & (values >= 0)).all():
        raise InvalidPixels(
            f"{frame.label}: the sample count has negative values, NaN or Inf. "
            f"Mend the renderer's output, or leave that layer out."
        )
    counts: SamplingMap = np.rint(values).astype(np.uint32)
    return counts


def _sampled(frame: Frame, aov: str, count: SamplingMap) -> Float64:
    """Pixels of an AOV as float64; 0 where there are no samples."""
    pixels = np.where(count > 0, frame[aov], 0).astype(np.float64)
    bad = int((~np.isfinite(pixels)).any(axis=0).sum())
    if bad:
        raise InvalidPixels(
            f"{frame.label}: {bad} of {count.size} pixels of '{aov}' are NaN or Inf. They would "
            f"spoil all renders together, so this one is not used. Mend the scene, render again."
        )
    return pixels


def _closest(frame: Frame, count: SamplingMap) -> dict[str, Pixels]:
    if "depth" not in frame:
        return {}
    depth = np.where((count > 0) & ~np.isnan(frame["depth"]), frame["depth"], np.float32(np.inf))
    motion = {aov: np.where(count > 0, frame[aov], 0) for aov in MOTION if aov in frame}
    return {"depth": depth.astype(np.float32), **motion}


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
