"""Sampling maps on disk: samples per pixel, in the `samples` layer of an EXR."""

from pathlib import Path

import numpy as np

from kpcn_core import exr
from kpcn_core.errors import InvalidPixels, MissingAov
from kpcn_core.layer import Channel
from kpcn_core.renderers.base import SamplingMap

LAYER = "samples"
MOST = np.iinfo(np.int32).max


def read_sampling_map(path: Path) -> SamplingMap:
    """Read a sampling map [H,W]: the layer `samples`, or a file's only channel.

    Fractions are rounded to the nearest number of samples.

    Raises:
        UnreadableFile: the file cannot be read.
        MissingAov: the file has neither.
        InvalidPixels: values that are not numbers of samples.
    """
    names = exr.contents(path).parts[0].channels
    layer = [name for name in names if name.split(".")[0] == LAYER]
    candidates = layer or list(names)
    if len(candidates) != 1:
        raise MissingAov(
            f"{path}: expected one channel of a layer '{LAYER}', or a single channel; the file has "
            f"{', '.join(names)}."
        )
    values = exr.read_channels(path, [Channel(0, candidates[0])])[0]
    if not ((values >= 0) & (values <= MOST)).all():
        raise InvalidPixels(
            f"{path}: a sampling map holds numbers from 0 to {MOST}; this one goes from "
            f"{values.min()} to {values.max()}."
        )
    counts: SamplingMap = np.rint(values).astype(np.uint32)
    return counts
