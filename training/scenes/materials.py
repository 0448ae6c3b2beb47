"""Random materials, as Mitsuba plugin dictionaries.

Built from few plugin types on purpose: a renderer that compiles compiles every type in a scene.
`principled` is left out because its lobes cannot be told apart (docs/rendering.md).
"""

from typing import Any

import numpy as np

from kpcn_core.renderers.mitsuba import mi
from training.scenes.textures import Image, random_color, random_texture, spectral_noise

Generator = np.random.Generator
Plugin = dict[str, Any]

METALS = ("Al", "Ag", "Au", "Cu", "Cr", "W")
TEXTURED = 0.6


def random_material(rng: Generator) -> Plugin:
    """Any material: matte, plastic, metal, mirror or glass."""
    kinds = (matte, rough_plastic, smooth_plastic, rough_metal, mirror, glass, frosted_glass)
    chosen = rng.choice(len(kinds), p=[0.42, 0.2, 0.06, 0.16, 0.04, 0.08, 0.04])
    return kinds[chosen](rng)


def surface_material(rng: Generator) -> Plugin:
    """A material for walls, floors and furniture: nothing transparent."""
    kinds = (matte, rough_plastic, smooth_plastic, rough_metal)
    return kinds[rng.choice(len(kinds), p=[0.6, 0.28, 0.06, 0.06])](rng)


def matte(rng: Generator) -> Plugin:
    """Lambertian."""
    return _twosided({"type": "diffuse", "reflectance": reflectance(rng)})


def rough_plastic(rng: Generator) -> Plugin:
    """A diffuse base under a rough coat."""
    return _twosided(
        {
            "type": "roughplastic",
            "distribution": "ggx",
            "alpha": float(rng.uniform(0.03, 0.4)),
            "int_ior": float(rng.uniform(1.3, 1.8)),
            "diffuse_reflectance": reflectance(rng),
        }
    )


def smooth_plastic(rng: Generator) -> Plugin:
    """A diffuse base under a clear coat."""
    return _twosided({"type": "plastic", "diffuse_reflectance": reflectance(rng)})


def rough_metal(rng: Generator) -> Plugin:
    """Metal, brushed to polished; sometimes tinted by a texture, sometimes worn unevenly."""
    alpha: float | Plugin = float(rng.choice([rng.uniform(0.02, 0.15), rng.uniform(0.1, 0.5)]))
    if rng.random() < 0.25:
        worn = 0.03 + 0.4 * spectral_noise(rng, 1.5)
        alpha = texture(rng, worn[..., None])
    metal = {"type": "roughconductor", "distribution": "ggx", "alpha": alpha}
    if rng.random() < 0.4:
        metal |= {"material": "none", "specular_reflectance": reflectance(rng)}
    else:
        metal["material"] = str(rng.choice(METALS))
    return _twosided(metal)


def mirror(rng: Generator) -> Plugin:
    """A perfect mirror."""
    tint = [float(rng.uniform(0.7, 1.0))] * 3
    return _twosided(
        {
            "type": "conductor",
            "material": "none",
            "specular_reflectance": {"type": "rgb", "value": tint},
        }
    )


def glass(rng: Generator) -> Plugin:
    """Clear glass or water."""
    return {"type": "dielectric", "int_ior": float(rng.uniform(1.2, 1.7))}


def frosted_glass(rng: Generator) -> Plugin:
    """Rough glass."""
    return {
        "type": "roughdielectric",
        "distribution": "ggx",
        "alpha": float(rng.uniform(0.03, 0.3)),
        "int_ior": float(rng.uniform(1.2, 1.7)),
    }


def foliage(rng: Generator) -> Plugin:
    """A leaf or a grille: matte with holes."""
    holes = (spectral_noise(rng, rng.uniform(1.0, 2.0)) > rng.uniform(0.3, 0.6))[..., None]
    return {
        "type": "mask",
        "opacity": texture(rng, holes.astype(np.float32)),
        "base": matte(rng),
    }


def reflectance(rng: Generator) -> Plugin:
    """A texture or a plain color."""
    if rng.random() < TEXTURED:
        return texture(rng, random_texture(rng))
    return {"type": "rgb", "value": random_color(rng).tolist()}


def texture(rng: Generator, image: Image) -> Plugin:
    """An image [H,W,C], repeated and turned at random."""
    scale = float(np.exp(rng.uniform(np.log(0.5), np.log(8.0))))
    turn = float(rng.choice([0, 90, rng.uniform(0, 360)]))
    return {
        "type": "bitmap",
        "bitmap": mi.Bitmap(np.ascontiguousarray(image, np.float32)),
        "raw": True,
        "filter_type": "bilinear",
        "wrap_mode": "repeat",
        "to_uv": mi.ScalarTransform4f().rotate([0, 0, 1], turn).scale([scale, scale, 1]),
    }


def _twosided(material: Plugin) -> Plugin:
    return {"type": "twosided", "material": material}
