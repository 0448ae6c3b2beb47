"""Small EXR files of every kind that the format has, to be damaged."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import OpenEXR
from numpy.typing import NDArray

HEIGHT, WIDTH = 37, 43  # in every codec, more than a block, and the last one is cut
CODECS = [
    getattr(OpenEXR, name)
    for name in sorted(dir(OpenEXR))
    if name.endswith("_COMPRESSION") and name != "NUM_COMPRESSION_METHODS"
]
TYPES = (np.float16, np.float32, np.uint32)


def write(folder: Path) -> list[Path]:
    """Files of every codec in lines and tiles, of several parts, deep, mipmapped and subsampled."""
    paths = []
    for name, file in _files():
        path = folder / f"{name}.exr"
        try:
            file.write(str(path))
        except (RuntimeError, ValueError):  # a codec that this build of OpenEXR has not
            path.unlink(missing_ok=True)
            continue
        paths.append(path)
    return paths


def _files() -> Iterator[tuple[str, OpenEXR.File]]:
    tiles = OpenEXR.TileDescription()
    tiles.xSize = tiles.ySize = 16
    levels = OpenEXR.TileDescription()
    levels.xSize = levels.ySize = 16
    levels.mode = OpenEXR.MIPMAP_LEVELS
    for codec in CODECS:
        header = {"compression": codec}
        yield f"lines-{codec.name}", OpenEXR.File(header, _channels())
        tiled = {**header, "type": OpenEXR.tiledimage, "tiles": tiles}
        yield f"tiles-{codec.name}", OpenEXR.File(tiled, _channels())
    for codec in (OpenEXR.ZIPS_COMPRESSION, OpenEXR.RLE_COMPRESSION, OpenEXR.NO_COMPRESSION):
        deep = {"compression": codec, "type": OpenEXR.deepscanline}
        yield f"deep-{codec.name}", OpenEXR.File(deep, {"Z": _deep()})
    parts = [
        OpenEXR.Part({"compression": OpenEXR.PIZ_COMPRESSION}, _channels(), "rgba"),
        OpenEXR.Part({"type": OpenEXR.tiledimage, "tiles": tiles}, _channels(), "tiled"),
        OpenEXR.Part({"compression": OpenEXR.ZIP_COMPRESSION}, _channels(), "more"),
    ]
    yield "parts", OpenEXR.File(parts)
    yield "mipmaps", OpenEXR.File({"type": OpenEXR.tiledimage, "tiles": levels}, _channels())


def _channels() -> dict[str, NDArray[np.generic]]:
    generator = np.random.default_rng(0)
    names = ("R", "G", "B", "A", "albedo.R", "albedo.G", "albedo.B", "Z")
    return {
        name: (100 * generator.random((HEIGHT, WIDTH))).astype(TYPES[index % len(TYPES)])
        for index, name in enumerate(names)
    }


def _deep() -> NDArray[np.object_]:
    generator = np.random.default_rng(0)
    samples = np.empty((HEIGHT, WIDTH), dtype=object)
    for row, column in np.ndindex(HEIGHT, WIDTH):
        samples[row, column] = generator.random(generator.integers(1, 4)).astype(np.float32)
    return samples
