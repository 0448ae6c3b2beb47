"""The body of a Python Snippet COP, which has its inputs denoised by the worker. Houdini 21.

    import kpcn_houdini.cop
    return kpcn_houdini.cop.snippet(kwargs)

Layers begin with the bottom row; files with the top one.
"""

from __future__ import annotations

import atexit
import hashlib
import shutil
import tempfile
from array import array
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import hou

from kpcn_core import host_exr, host_panel
from kpcn_core.client import Client
from kpcn_core.errors import KpcnError, Refused
from kpcn_core.host_exr import Picture
from kpcn_core.host_run import Run, again

CODE = "import kpcn_houdini.cop\nreturn kpcn_houdini.cop.snippet(kwargs)\n"
OUTPUT = "clean"
MASK = "mask"
KEPT = 4  # files of earlier pictures

# Name of an input to the channels of the file, see docs/formats.md.
CHANNELS = {
    "color": ("R", "G", "B", "A"),
    "albedo": ("albedo.R", "albedo.G", "albedo.B"),
    "normal": ("normal.X", "normal.Y", "normal.Z"),
    "diffuse": ("diffuse.R", "diffuse.G", "diffuse.B"),
    "specular": ("specular.R", "specular.G", "specular.B"),
    "color_mse": ("mse.R", "mse.G", "mse.B"),
    "albedo_mse": ("albedo_mse.R", "albedo_mse.G", "albedo_mse.B"),
    "normal_mse": ("normal_mse.X", "normal_mse.Y", "normal_mse.Z"),
    "diffuse_mse": ("diffuse_mse.R", "diffuse_mse.G", "diffuse_mse.B"),
    "specular_mse": ("specular_mse.R", "specular_mse.G", "specular_mse.B"),
    "depth": ("Z",),
    MASK: (f"{MASK}.Y",),
}
# What a new layer has of the one that it is made from.
COPIED = (
    ("border", "setBorder"), ("typeInfo", "setTypeInfo"), ("pixelScale", "setPixelScale"),
    ("pixelAspectRatio", "setPixelAspectRatio"), ("projection", "setProjection"),
    ("aperture", "setAperture"), ("focalLength", "setFocalLength"),
    ("cameraPosition", "setCameraPosition"), ("clippingRange", "setClippingRange"),
    ("attributes", "setAttributes"),
)  # fmt: skip


def snippet(given: Mapping[str, object]) -> dict[str, hou.ImageLayer]:
    """Denoise what a snippet gets.

    Args:
        given: its `kwargs`: layers by the names of `CHANNELS`, of which `color` is needed; and
            values by the names of ``host_panel.ITEMS``.

    Returns:
        The layer `OUTPUT`, with four channels.

    Raises:
        hou.NodeError: what the node is to show.
    """
    layers = {name: layer for name, layer in given.items() if isinstance(layer, hou.ImageLayer)}
    values = {name: given[name] for name in host_panel.ITEMS if name in given}
    try:
        return {OUTPUT: denoise(layers, values)}
    except KpcnError as error:
        raise hou.NodeError(f"kpcn: {error}") from error


def denoise(layers: Mapping[str, hou.ImageLayer], values: Mapping[str, object]) -> hou.ImageLayer:
    """Denoise the layer `color`; for another asymmetry of the same it takes a part of the time.

    Raises:
        Refused: a layer is missing, or has another size or too few channels.
        KpcnError: what the worker refuses.
    """
    if "color" not in layers:
        raise Refused("Connect the render to an input that is called 'color'.")
    content = host_exr.encoded(_picture(layers))
    source = _folder() / f"{hashlib.sha256(content).hexdigest()[:16]}.exr"
    output = source.with_suffix(".clean.exr")
    host_exr.write(source, content)
    mask = f"{MASK}.Y" if MASK in layers else str(values.get("asymmetry_layer", ""))
    settings = host_panel.settings({"source": "kpcn", **values, "asymmetry_layer": mask})
    request = settings.request(str(source), str(output))
    Run(_client(str(values.get("device") or "auto")), again(request), request).finish()
    clean = host_exr.read(output)
    _tidy(source)
    return _layer(clean, layers["color"])


def set_up(node: hou.OpNode) -> None:
    """Turn a Python Snippet COP into a denoiser: its code, inputs, output and values.

    Raises:
        Refused: it is none, or holds other code.
    """
    code = node.parm("pythoncode")
    if code is None or code.evalAsString().strip() not in ("", CODE.strip()):
        raise Refused(f"{node.path()}: must be a Python Snippet COP without code of its own.")
    inputs = ("color", "albedo", "normal", MASK)
    _set(node, {"inputs": len(inputs), "outputs": 1, "bindings": 1})
    for number, name in enumerate(inputs, 1):
        optional = int(name != "color")
        _set(
            node,
            {f"input{number}_name": name, f"input{number}_type": "floatn",
             f"input{number}_optional": optional},
        )  # fmt: skip
    _set(node, {"output1_name": OUTPUT, "output1_type": "float4"})
    _set(node, {"bindings1_name": "asymmetry", "bindings1_type": "float", "bindings1_fval": 1.0})
    # Else the worker may have to start again for every cook.
    _set(node, {"options_maintainstate": 1, "pythoncode": CODE})


def _set(node: hou.OpNode, values: Mapping[str, int | float | str]) -> None:
    for name, value in values.items():
        parm = node.parm(name)
        if parm is not None:
            parm.set(value)


def _picture(layers: Mapping[str, hou.ImageLayer]) -> Picture:
    color = layers["color"]
    width, height = color.bufferResolution()
    channels: dict[str, array[float]] = {}
    for name, layer in layers.items():
        if name not in CHANNELS:
            raise Refused(f"No AOV is called '{name}'. There are {', '.join(CHANNELS)}.")
        if layer.bufferResolution() != (width, height):
            raise Refused(f"{name}: is {layer.bufferResolution()}; color is {(width, height)}.")
        channels.update(_planes(name, layer, width))
    channels.setdefault("A", array("f", [1.0]) * (width * height))
    return Picture(width, height, channels, color.pixelAspectRatio())


def _planes(name: str, layer: hou.ImageLayer, width: int) -> dict[str, array[float]]:
    """A layer's channels, from the top."""
    count, wanted = layer.channelCount(), CHANNELS[name]
    if count < min(3, len(wanted)):
        raise Refused(f"{name}: has {count} channels; {min(3, len(wanted))} are needed.")
    pixels = array("f", layer.allBufferElements(hou.imageLayerStorageType.Float32, count))
    return {
        channel: _upside_down(pixels[index::count], width)
        for index, channel in enumerate(wanted[:count])
    }


def _layer(picture: Picture, like: hou.ImageLayer) -> hou.ImageLayer:
    pixels = array("f", bytes(16 * picture.width * picture.height))
    for index, name in enumerate(CHANNELS["color"]):
        pixels[index::4] = _upside_down(picture.channels[name], picture.width)
    made = hou.ImageLayer()
    # In this order: the buffer's size follows from all of these, and is fixed by the window.
    made.setChannelCount(4)
    made.setStorageType(hou.imageLayerStorageType.Float32)
    for get, put in COPIED:
        if hasattr(like, get) and hasattr(made, put):
            getattr(made, put)(getattr(like, get)())
    data, display = like.dataWindow(), like.displayWindow()
    corner, size = data.min(), data.size()
    made.setDataWindow(round(corner.x()), round(corner.y()), round(size.x()), round(size.y()))
    corner, size = display.min(), display.size()
    made.setDisplayWindow(corner.x(), corner.y(), size.x(), size.y())
    made.setAllBufferElements(pixels.tobytes())
    return made


def _upside_down(plane: array[float], width: int) -> array[float]:
    rows = range(len(plane) - width, -1, -width)
    turned = array("f")
    for start in rows:
        turned += plane[start : start + width]
    return turned


@cache
def _client(device: str) -> Client:
    return Client("houdini", device)


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="kpcn-cop-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _tidy(newest: Path) -> None:
    """Remove the files of all but a few pictures. The newest keeps its time, as features do."""
    others = (path for path in _folder().glob("*.exr") if not path.name.startswith(newest.stem))
    files = sorted(others, key=lambda path: path.stat().st_mtime)
    for path in files[: -2 * KEPT]:
        path.unlink()
