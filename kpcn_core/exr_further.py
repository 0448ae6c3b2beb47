"""Layers of a file that are no AOVs but shall be filtered like one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from kpcn_core import exr
from kpcn_core.aov import RGB
from kpcn_core.errors import MissingAov
from kpcn_core.exr_file import layer_set, open_header
from kpcn_core.frame import Frame, Pixels
from kpcn_core.layer import Channel, Layer, LayerSet


def read_further(frame: Frame, patterns: Mapping[str, str]) -> tuple[Frame, dict[str, str]]:
    """A frame with the further layers of its file that fit patterns.

    Args:
        frame: as it was read from a file.
        patterns: layer pattern such as "lg_*_diffuse" to what its layers are filtered like.

    Returns:
        The frame, and each layer's name to what it is filtered like; the first pattern counts.

    Raises:
        MissingAov: no layer fits a pattern.
    """
    if not patterns or frame.path is None:
        return frame, {}
    found = layer_set(open_header(frame.path))
    like: dict[str, str] = {}
    chosen: dict[str, Layer] = {}
    for pattern, model in patterns.items():
        fitting = [layer for layer in found if _fits(layer, pattern, frame)]
        if not fitting:
            raise MissingAov(
                f"{frame.path}: no layer fits '{pattern}'; the file has {found.names()}. "
                f"What is an AOV is denoised by --aovs."
            )
        for layer in fitting:
            like.setdefault(layer.name, model)
            chosen.setdefault(layer.name, layer)
    channels = {name: _ordered(layer) for name, layer in chosen.items()}
    pixels = exr.read_layers(frame.path, channels)  # at once: each time all is decoded
    return replace(frame, layers=pixels, layer_channels=channels), like


def read_mask(path: Path, channel: str) -> Pixels:
    """One channel of a file, clamped to 0..1 [H,W]; NaN stays.

    Raises:
        MissingAov: the file has no such channel.
    """
    layers = layer_set(open_header(path))
    found = layers.find(channel)
    scalar = None if found is None else found.scalar
    if scalar is None:
        raise MissingAov(
            f"{path}: no channel '{channel}' to take the asymmetry from; the file has "
            f"{_channels(layers)}."
        )
    pixels = exr.read_channels(path, [scalar])[0]
    return np.asarray(np.clip(pixels, 0.0, 1.0), dtype=np.float32)


def _ordered(layer: Layer) -> tuple[Channel, ...]:
    """The channels of a layer, colors first and in the order of ours; files sort them by name."""
    order = [*RGB, *(suffix for suffix in layer.channels if suffix not in RGB)]
    return tuple(layer.channels[suffix] for suffix in order if suffix in layer.channels)


def _fits(layer: Layer, pattern: str, frame: Frame) -> bool:
    """Whether a layer is asked for, and no AOV that is read from the file anyway."""
    taken = {channel for channels in frame.channels.values() for channel in channels}
    if taken & set(layer.channels.values()):
        return False
    wanted, name = pattern.lower(), layer.name.lower()
    return fnmatchcase(name, wanted) or fnmatchcase(name.rpartition(".")[2], wanted)


def _channels(layers: LayerSet) -> str:
    names: Sequence[str] = [one.name for layer in layers for one in layer.channels.values()]
    return ", ".join(names)
