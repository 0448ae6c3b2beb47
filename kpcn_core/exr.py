"""Frames from and to EXR files (docs/formats.md)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from kpcn_core import __version__
from kpcn_core import source as sources
from kpcn_core.aov import AOVS
from kpcn_core.errors import InvalidPixels, KpcnError, MissingAov
from kpcn_core.exr_aovs import load_aovs
from kpcn_core.exr_file import (
    channel_names,
    converted,
    layer_set,
    make_lossless,
    metadata,
    open_blank,
    open_file,
    open_header,
    save,
    unreadable,
    window,
)
from kpcn_core.exr_layers import layer_channels
from kpcn_core.frame import Frame, Pixels, Window
from kpcn_core.layer import Channel, LayerSet
from kpcn_core.mapping import Found, find_aovs
from kpcn_core.memory import exhausted, free
from kpcn_core.source import Source

# In our own files these keep 32 bits also where the rest has 16.
FULL = ("depth", "sample_count", "forward", "backward")


@dataclass(frozen=True)
class Part:
    """One image of a file: its name, data window and channels' names."""

    name: str
    data: Window
    channels: tuple[str, ...]


@dataclass(frozen=True)
class Contents:
    """What a file holds, and how it is understood.

    Attributes:
        display: display window.
        parts: its images.
        layers: the layers of all parts.
        source: whose way of writing it is.
        reason: why it is taken for that one.
        aovs: where each AOV is.
    """

    display: Window
    parts: tuple[Part, ...]
    layers: LayerSet
    source: Source
    reason: str
    aovs: Mapping[str, Found]


def contents(path: Path, source: str = "auto", layers: Mapping[str, str] | None = None) -> Contents:
    """What `read` would find, from the header alone; arguments and errors as there."""
    return _contents(path, open_header(path), source, layers or {})


def read(path: Path, source: str = "auto", layers: Mapping[str, str] | None = None) -> Frame:
    """Read a file's AOVs.

    Args:
        path: an EXR file: one or more parts, scanlines or tiles, any compression and pixel types.
        source: name of the source, path of a toml file that describes one, or "auto".
        layers: AOV name to the layer it is read from, instead of the source's.

    Raises:
        UnreadableFile: the file is missing, damaged or of a kind that cannot be denoised.
        MissingAov: it has no beauty, or not a layer that `layers` names.
        InvalidPixels: parts that belong together differ in their data windows.
        UnknownName: no such source or AOV.
        OutOfMemory: the pixels do not fit into memory.
    """
    try:
        return _read(path, source, layers or {})
    except MemoryError as error:
        raise exhausted(path, free()) from error


def _read(path: Path, source: str, layers: Mapping[str, str]) -> Frame:
    file = open_file(path)
    inside = _contents(path, file, source, layers)
    if "color" not in inside.aovs:
        raise MissingAov(
            f"{path}: no layer for AOV 'color'. Source '{inside.source.name}' expects "
            f"{' or '.join(map(str, inside.source.aovs['color']))}; the file has "
            f"{inside.layers.names()}. Map one with --aov color=LAYER."
        )
    data = common_window(path, inside)
    return Frame(
        aovs=load_aovs(inside.aovs, partial(_pixels, file)),
        display=inside.display,
        origin=(data.x, data.y),
        source=inside.source.name,
        path=path,
        metadata=metadata(file.parts[0].header),
        channels={
            aov: found.terms[0] for aov, found in inside.aovs.items() if found.recipe.is_plain
        },
    )


def read_channels(path: Path, channels: Sequence[Channel]) -> Pixels:
    """Channels as they are stored [C,H,W], in no convention; errors as of `read_layers`."""
    return read_layers(path, {"": channels})[""]


def read_layers(path: Path, layers: Mapping[str, Sequence[Channel]]) -> dict[str, Pixels]:
    """Layers as they are stored [C,H,W], in no convention; for what is not an AOV yet.

    Raises:
        UnreadableFile: see `read`.
        MissingAov: the file lacks a channel.
        InvalidPixels: the channels differ in size.
    """
    file = open_file(path)
    try:
        return {
            name: np.stack([_pixels(file, channel) for channel in channels])
            for name, channels in layers.items()
        }
    except (IndexError, KeyError) as error:
        expected = (channel.name for channels in layers.values() for channel in channels)
        raise MissingAov(
            f"{path}: expected the channels {', '.join(expected)}; "
            f"the file has {layer_set(file).names()}."
        ) from error
    except ValueError as error:
        raise InvalidPixels(f"{path}: channels of one layer differ in size: {error}.") from error


def write(
    target: Path,
    frame: Frame,
    aovs: Sequence[str] = ("color",),
    overwrite: bool = False,
    ready: Callable[[Path], object] | None = None,
    only_denoised: bool = False,
) -> None:
    """Write the file that a frame was read from, with some AOVs and its further layers replaced.

    Further layers of the frame that the file does not have are added beside the beauty, in 32 bits.
    Everything else is as in that file: parts, windows, order and types of channels, tiles,
    metadata, and every other channel bit by bit. Compression too, unless it is lossy (B44, DWA):
    see docs/formats.md. The file appears whole or not at all; `ready` is that of `atomic.replaced`.

    With `only_denoised` nothing else is: of other channels the beauty's alpha alone, and parts that
    have none of all these are gone.

    Raises:
        MissingAov: an AOV was not read from one layer of the file as it is, but computed.
        InvalidPixels: the file has another size by now.
        UnreadableFile, UnwritableFile: the file to copy from, or the target.
    """
    if frame.path is None:
        raise MissingAov("frame: it was not read from a file; use write_frame.")
    replaced, added = _replaced(frame, aovs), _added(frame)
    if only_denoised:
        replaced = _alpha(frame, frame.path) | replaced
    file = open_blank(frame.path, replaced) if only_denoised else open_file(frame.path)
    for channel, plane in replaced.items():
        _replace(file, frame, channel, plane)
    for (part, name), plane in added.items():
        file.parts[part].channels[name] = OpenEXR.Channel(name, plane)
    if only_denoised:
        file = OpenEXR.File([part for part in file.parts if part.channels])
    for part in file.parts:
        make_lossless(part, target)
    save(target, file, overwrite=overwrite, ready=ready)


def write_frame(
    target: Path,
    frame: Frame,
    overwrite: bool = False,
    half: bool = False,
    layers: Mapping[str, Pixels] | None = None,
    others: Mapping[str, NDArray[np.generic]] | None = None,
) -> None:
    """Write all AOVs of a frame to a new file in our own layout; it appears whole or not at all.

    Args:
        target: where to write.
        frame: its `metadata` become header attributes, with "kpcn" = our version.
        overwrite: replace an existing file.
        half: 16 bits for all but depth, sample count and motion.
        layers: further layers by name, [1,H,W] or [3,H,W]; always 32 bits.
        others: further channels [H,W] by their full name, in their own type.

    Raises:
        UnwritableFile: the target cannot be written.
    """
    data = frame.data
    header = {
        **frame.metadata,
        "kpcn": __version__,
        "type": OpenEXR.scanlineimage,
        "compression": OpenEXR.ZIP_COMPRESSION,
        "dataWindow": _corners(data),
        "displayWindow": _corners(frame.display or data),
    }
    channels: dict[str, NDArray[np.generic]] = {**layer_channels(layers or {}), **(others or {})}
    for name, pixels in frame.aovs.items():
        aov = AOVS[name]
        small = half and name not in FULL
        dtype = np.dtype(np.float16 if small else np.float32)
        for suffix, plane in zip(aov.suffixes, pixels, strict=True):
            channels[f"{aov.layer}.{suffix}".lstrip(".")] = converted(plane, dtype)
    save(target, OpenEXR.File(header, channels), overwrite=overwrite)


def _contents(
    path: Path, file: OpenEXR.File, source: str, overrides: Mapping[str, str]
) -> Contents:
    layers = layer_set(file)
    first = file.parts[0].header
    if source == "auto":
        attributes = {name: value for part in file.parts for name, value in part.header.items()}
        try:
            found, reason = sources.detect(layers, attributes)
        except UnicodeDecodeError as error:  # of an attribute that only now becomes a text
            raise unreadable(path, error) from error
    else:
        found, reason = sources.load(source), "as asked"
    try:
        aovs = find_aovs(found, layers, overrides)
    except KpcnError as error:
        raise type(error)(f"{path}: {error}") from error
    return Contents(
        display=window(first, "displayWindow"),
        parts=tuple(
            Part(part.name(), window(part.header, "dataWindow"), tuple(channel_names(part.header)))
            for part in file.parts
        ),
        layers=layers,
        source=found,
        reason=reason,
        aovs=aovs,
    )


def common_window(path: Path, inside: Contents) -> Window:
    """The data window of all AOVs; raises InvalidPixels if they differ."""
    expected = inside.parts[next(iter(inside.aovs.values())).channels[0].part].data
    for aov, found in inside.aovs.items():
        for channel in found.channels:
            part = inside.parts[channel.part]
            if part.data != expected:
                raise InvalidPixels(
                    f"{path}: AOV '{aov}' in part '{part.name}' has the data window {part.data}; "
                    f"that of the beauty is {expected}. Render all layers with one data window, or "
                    f"read '{aov}' from another layer with --aov {aov}=LAYER."
                )
    return expected


def _pixels(file: OpenEXR.File, channel: Channel) -> Pixels:
    stored = file.parts[channel.part].channels[channel.name].pixels
    return np.asarray(stored, dtype=np.float32)


def _stored(frame: Frame, aov: str) -> tuple[Channel, ...]:
    """The channels that an AOV is written back to."""
    if aov not in frame.channels:
        raise MissingAov(
            f"{frame.label}: AOV '{aov}' is computed from several layers or in other units, and "
            f"cannot be written back. The following can: {', '.join(frame.channels)}."
        )
    return frame.channels[aov]


def _replaced(frame: Frame, aovs: Sequence[str]) -> dict[Channel, Pixels]:
    """The channels of the file that a frame replaces, with their pixels [H,W]."""
    planes: dict[Channel, Pixels] = {}
    for aov in aovs:
        planes |= zip(_stored(frame, aov), frame[aov], strict=True)
    for layer, channels in frame.layer_channels.items():
        planes |= zip(channels, frame.layers[layer], strict=True)
    return planes


def _added(frame: Frame) -> dict[Channel, Pixels]:
    """Those that it adds, beside the beauty."""
    new = {name: frame.layers[name] for name in frame.layers.keys() - frame.layer_channels.keys()}
    part = frame.channels["color"][0].part if "color" in frame.channels else 0
    return {Channel(part, name): plane for name, plane in layer_channels(new).items()}


def _replace(file: OpenEXR.File, frame: Frame, channel: Channel, plane: Pixels) -> None:
    stored = file.parts[channel.part].channels[channel.name]
    if stored.pixels.shape != plane.shape:
        raise InvalidPixels(
            f"{frame.label}: channel '{channel.name}' is {list(stored.pixels.shape)} by now; "
            f"{list(plane.shape)} were read. Denoise the file again."
        )
    stored.pixels = converted(plane, stored.pixels.dtype)


def _alpha(frame: Frame, path: Path) -> dict[Channel, Pixels]:
    """The alpha that the beauty goes with: its layer's, or else the AOV [H,W]."""
    beauty, found = set(frame.channels.get("color", ())), frame.channels.get("alpha", ())
    for layer in layer_set(open_header(path)):
        if "A" in layer.channels and beauty & set(layer.channels.values()):
            own = (layer.channels["A"],)
            if own != found:
                return dict(zip(own, read_channels(path, own), strict=True))
    return dict(zip(found, frame["alpha"], strict=True)) if found else {}


def _corners(rectangle: Window) -> tuple[tuple[int, int], tuple[int, int]]:
    x, y = rectangle.x, rectangle.y
    return (x, y), (x + rectangle.width - 1, y + rectangle.height - 1)
