"""EXR files as OpenEXR reads and writes them: opened whole, checked, written atomically."""

import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import OpenEXR
from numpy.typing import NDArray

from kpcn_core.atomic import replaced
from kpcn_core.errors import UnreadableFile
from kpcn_core.exr_check import check_complete, headers
from kpcn_core.exr_promise import types
from kpcn_core.frame import Pixels, Window
from kpcn_core.layer import Channel, LayerSet, layers
from kpcn_core.memory import exhausted, free, gib
from kpcn_core.patience import fetch

log = logging.getLogger(__name__)

FLAT = (OpenEXR.scanlineimage, OpenEXR.tiledimage)
# Compressing decoded pixels once more changes them. (That of PXR24 does not, though it is lossy.)
LOSSY = (
    OpenEXR.B44_COMPRESSION,
    OpenEXR.B44A_COMPRESSION,
    OpenEXR.DWAA_COMPRESSION,
    OpenEXR.DWAB_COMPRESSION,
    OpenEXR.LJ2K_COMPRESSION,
)
# Texts and numbers that describe a part of a file rather than the image.
PART_ATTRIBUTES = ("name", "chunkCount", "version")
HEADER = 1 << 16  # bytes that most headers have at most
TYPES = (np.uint32, np.float16, np.float32)  # by the number that a header has for them
HALF_MAX = float(np.finfo(np.float16).max)

_decoding = threading.Lock()  # there is one sys.stdout for all threads


@contextmanager
def several_threads(count: int) -> Iterator[None]:
    """Decode and encode in so many threads in a block; 1 for none beside the caller's."""
    before = OpenEXR.global_thread_count()
    OpenEXR.set_global_thread_count(count if count > 1 else 0)
    try:
        yield
    finally:
        OpenEXR.set_global_thread_count(before)


def open_file(path: Path) -> OpenEXR.File:
    """Read an EXR file; every channel is an array [H,W] of its own, in the file's type.

    Raises:
        UnreadableFile: it is missing, damaged or incomplete, or not made of flat, full pixels.
        OutOfMemory, MemoryError: its pixels do not fit into memory.
    """
    fetch(path)
    size, left = check_complete(path), free()
    if left is not None and size > left:
        raise exhausted(f"{path}: its pixels take {gib(size)}", left)
    header = _open_header(path)
    try:
        # OpenEXR leaves damaged parts out, and prints why.
        with _decoding, redirect_stdout(_Printed()) as printed:
            file = OpenEXR.File(str(path), separate_channels=True)
    except (RuntimeError, ValueError) as error:
        raise unreadable(path, error) from error
    if len(file.parts) != len(header.parts):
        reason = " ".join(printed.getvalue().split())
        if MemoryError.__name__ in reason:
            raise MemoryError(reason)
        raise UnreadableFile(
            f"{path}: the pixels of {len(header.parts) - len(file.parts)} of {len(header.parts)} "
            f"parts are damaged. Render or copy the file again. ({reason})"
        )
    sys.stdout.write(printed.getvalue())
    return file


class _Printed(StringIO):
    """What the thread that makes it prints; what others print goes where it would have gone."""

    def __init__(self) -> None:
        super().__init__()
        self._owner, self._others = threading.get_ident(), sys.stdout

    def write(self, text: str) -> int:
        if threading.get_ident() != self._owner:
            return self._others.write(text)
        return super().write(text)

    def flush(self) -> None:
        self._others.flush()


def decoded_size(path: Path) -> int:
    """Bytes of a file's pixels once they are decoded; errors as of `open_header`."""
    return check_complete(path)


def open_header(path: Path) -> OpenEXR.File:
    """As `open_file`, but the parts have headers only."""
    fetch(path, HEADER)
    check_complete(path)
    return _open_header(path)


def open_blank(path: Path, channels: Iterable[Channel]) -> OpenEXR.File:
    """As `open_header`, but these channels have pixels, of their size and type: 0.

    Nothing is decoded, which takes longer than to write a few channels.
    """
    file = open_header(path)
    found = [types(header) for header in headers(path)]
    for index, name in channels:
        part = file.parts[index]
        listed = {channel.name: channel for channel in part.header["channels"]}
        area = window(part.header, "dataWindow")
        blank = np.zeros((area.height, area.width), TYPES[found[index][name.encode()]])
        part.channels[name] = OpenEXR.Channel(name, blank, 1, 1, listed[name].pLinear)
    return file


def _open_header(path: Path) -> OpenEXR.File:
    try:
        file = OpenEXR.File(str(path), separate_channels=True, header_only=True)
    except (RuntimeError, ValueError) as error:
        raise unreadable(path, error) from error
    for part in file.parts:
        _check_kind(path, part)
    return file


def save(
    target: Path,
    file: OpenEXR.File,
    *,
    overwrite: bool,
    ready: Callable[[Path], object] | None = None,
) -> None:
    """Write a file; it appears whole or not at all.

    Raises:
        UnwritableFile: see `atomic.replaced`.
    """
    with replaced(target, overwrite, ready) as temporary:
        try:
            file.write(str(temporary))
        except RuntimeError as error:  # what OpenEXR raises when the disk is full
            raise OSError(str(error).replace(str(temporary), str(target))) from error


def layer_set(file: OpenEXR.File) -> LayerSet:
    """The layers of all parts."""
    named = len(file.parts) > 1
    return layers(
        [(part.name() if named else "", channel_names(part.header)) for part in file.parts]
    )


def channel_names(header: dict[str, object]) -> list[str]:
    """Names of a part's channels, in the order of the file."""
    listed = header["channels"]
    assert isinstance(listed, Iterable)
    return [channel.name for channel in listed]


def window(header: dict[str, object], name: str) -> Window:
    """The `dataWindow` or `displayWindow` of a part."""
    (x0, y0), (x1, y1) = np.asarray(header[name]).tolist()
    return Window(x0, y0, x1 - x0 + 1, y1 - y0 + 1)


def metadata(header: dict[str, object]) -> dict[str, str | int | float]:
    """The attributes that are texts or numbers, and not the part's own name."""
    return {
        name: value
        for name, value in header.items()
        # Exactly these types: OpenEXR's enumerations are numbers too.
        if isinstance(value, str | int | float)
        and type(value) in (str, int, float)
        and name not in PART_ATTRIBUTES
    }


def make_lossless(part: OpenEXR.Part, path: Path) -> None:
    """Change a codec that would alter the channels that were not touched."""
    codec = part.header["compression"]
    if codec in LOSSY:
        part.header["compression"] = OpenEXR.ZIP_COMPRESSION
        log.warning(
            "%s: written with ZIP: compressing with %s again would change the other layers",
            path,
            codec.name.removesuffix("_COMPRESSION"),
        )


def converted(pixels: Pixels, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """Pixels [H,W] in a channel's type; what is finite stays finite."""
    if dtype == np.float16:
        pixels = np.where(np.isfinite(pixels), np.clip(pixels, -HALF_MAX, HALF_MAX), pixels)
    elif dtype == np.uint32:
        pixels = np.rint(pixels)
    return np.ascontiguousarray(pixels.astype(dtype))


def unreadable(path: Path, error: Exception) -> UnreadableFile:
    """The error for a file that OpenEXR, or a text in it, does not let us read."""
    if isinstance(error, UnicodeDecodeError):
        return UnreadableFile(
            f"{path}: a name or a metadata text is not UTF-8: {error.object!r}. "
            f"Write it as UTF-8 in the renderer."
        )
    return UnreadableFile(f"{path}: not a readable EXR file: {error}")


def _check_kind(path: Path, part: OpenEXR.Part) -> None:
    header = part.header
    try:
        channel_names(header)  # asked for here, where the path is known
    except UnicodeDecodeError as error:
        raise unreadable(path, error) from error
    where = f"{path}: part '{part.name()}'" if part.name() else str(path)
    if header.get("type", OpenEXR.scanlineimage) not in FLAT:
        raise UnreadableFile(f"{where}: deep pixels cannot be denoised. Render or flatten to flat.")
    if "tiles" in header and header["tiles"].mode != OpenEXR.ONE_LEVEL:
        raise UnreadableFile(
            f"{where}: it has mipmap levels, as a texture has. Write it as an image of one level."
        )
    if any(max(channel.xSampling, channel.ySampling) > 1 for channel in header["channels"]):
        raise UnreadableFile(
            f"{where}: luminance-chroma, with channels of lower resolution "
            f"({', '.join(channel_names(header))}). Convert it to R, G, B."
        )
