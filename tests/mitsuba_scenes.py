"""Small Mitsuba scenes as dictionaries, and what Mitsuba itself renders of them; for tests."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kpcn_core.frame import Frame, Pixels
from kpcn_core.renderers.mitsuba import mi

Scene = dict[str, Any]
Floats = NDArray[np.floating[Any]]

HEIGHT, WIDTH = 24, 32
FIELD = 45.0  # degrees, along x
Transform = mi.ScalarTransform4f


def rgb(*values: float) -> Scene:
    return {
        "type": "rgb",
        "value": [float(value) for value in values] if len(values) > 1 else values[0],
    }


def matte(*reflectance: float) -> Scene:
    return {"type": "diffuse", "reflectance": rgb(*reflectance)}


def film(rfilter: Scene | None = None, **more: Any) -> Scene:
    return {
        "type": "hdrfilm", "width": WIDTH, "height": HEIGHT, "pixel_format": "rgba",
        "rfilter": rfilter or {"type": "box"}, **more,
    }  # fmt: skip


def camera(
    origin: tuple[float, ...] = (0, 0, 4), target: tuple[float, ...] = (0, 0, 0), **more: Any
) -> Scene:
    """A pinhole camera, y up; `more` replaces or adds any of its properties."""
    return {
        "type": "perspective", "fov": FIELD,
        "to_world": Transform().look_at(origin, target, (0, 1, 0)),
        "film": film(), "sampler": {"type": "independent"}, **more,
    }  # fmt: skip


def scene(**parts: Any) -> Scene:
    """Parts with the default camera and a path tracer, unless they bring their own."""
    return {"type": "scene", "integrator": {"type": "path"}, "camera": camera(), **parts}


def room(**parts: Any) -> Scene:
    """Matte, metal and plastic balls on a floor, under a lamp and a sky."""
    place = Transform
    checks = {"type": "checkerboard", "color0": rgb(0.1), "color1": rgb(0.8, 0.7, 0.5)}
    up = place().translate([0, -1, 0]).rotate([1, 0, 0], -90).scale(4)
    down = place().translate([0.5, 1.7, 1]).rotate([1, 0, 0], 90).scale(0.5)
    metal = {"type": "roughconductor", "alpha": 0.3}
    red = matte(0.7, 0.3, 0.2)
    plastic = {"type": "roughplastic", "diffuse_reflectance": rgb(0.2, 0.3, 0.7)}
    return scene(
        sky={"type": "constant", "radiance": rgb(0.3)},
        lamp={
            "type": "rectangle", "to_world": down,
            "emitter": {"type": "area", "radiance": rgb(6)},
        },
        floor={
            "type": "rectangle", "to_world": up,
            "bsdf": {"type": "diffuse", "reflectance": checks},
        },
        matte={"type": "sphere", "center": [-1, -0.4, 0], "radius": 0.6, "bsdf": red},
        metal={"type": "sphere", "center": [0.3, -0.4, -0.8], "radius": 0.6, "bsdf": metal},
        plastic={"type": "sphere", "center": [1, -0.5, 0.3], "radius": 0.5, "bsdf": plastic},
        **parts,
    )  # fmt: skip


def stock(description: Scene, spp: int, renders: int) -> tuple[Floats, Floats]:
    """Mitsuba's own image of a scene: mean [3,H,W] of some renders, and each render [N,3,H,W]."""
    loaded = mi.load_dict(description)
    images = [np.array(mi.render(loaded, spp=spp, seed=1000 + i)) for i in range(renders)]
    stack = np.stack(images).transpose(0, 3, 1, 2)[:, :3].astype(np.float64)
    return stack.mean(axis=0), stack


def blocks(image: Floats, size: int = 8) -> Floats:
    """Averages over size x size pixels; of [...,H,W], both multiples of the size."""
    *rest, height, width = image.shape
    cut = image.reshape(*rest, height // size, size, width // size, size)
    averages: Floats = cut.mean(axis=(-3, -1))
    return averages


def z_scores(frame: Frame, renders: Floats, size: int = 8) -> Floats:
    """Differences to Mitsuba's own renders in standard errors, of averages over blocks."""
    stock_blocks = blocks(renders, size)
    stock_variance = stock_blocks.var(axis=0, ddof=1) / len(renders)
    ours_variance = blocks(frame["color_mse"].astype(np.float64), size) / size**2
    difference = blocks(frame["color"].astype(np.float64), size) - stock_blocks.mean(axis=0)
    # What is seen directly has no noise, but float32 is rounded, on each processor in its way.
    rounding = np.square(1e-6 * stock_blocks.mean(axis=0)) + 1e-20
    z: Floats = difference / np.sqrt(ours_variance + stock_variance + rounding)
    return z


def cell(pixels: Pixels, column: int, row: int, size: int = 8) -> Pixels:
    """The pixels of one cell of a grid."""
    return pixels[:, row * size : (row + 1) * size, column * size : (column + 1) * size]
