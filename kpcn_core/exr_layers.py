"""Layers that are no AOVs: what is written beside a frame, or alone as a map."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import OpenEXR

from kpcn_core.aov import RGB
from kpcn_core.exr_file import save
from kpcn_core.frame import Pixels

SUFFIXES = {1: ("Y",), 3: RGB}


def layer_channels(layers: Mapping[str, Pixels]) -> dict[str, Pixels]:
    """Channel name to float32 [H,W] of layers [1,H,W] or [3,H,W]; "" is the main layer."""
    return {
        f"{layer}.{suffix}".lstrip("."): np.ascontiguousarray(plane, np.float32)
        for layer, pixels in layers.items()
        for suffix, plane in zip(SUFFIXES[len(pixels)], pixels, strict=True)
    }


def write_layers(target: Path, layers: Mapping[str, Pixels], overwrite: bool = False) -> None:
    """Write layers alone to a new file, 32 bits; it appears whole or not at all.

    Raises:
        UnwritableFile: the target cannot be written.
    """
    header = {"type": OpenEXR.scanlineimage, "compression": OpenEXR.ZIP_COMPRESSION}
    save(target, OpenEXR.File(header, layer_channels(layers)), overwrite=overwrite)
