"""Random materials.

Of few kinds on purpose: a renderer that compiles compiles every kind in a scene.
"""

from collections.abc import Callable

import numpy as np

from training.scenes.description import Color, Glass, Leaf, Material, Matte, Metal, Plastic, Texture
from training.scenes.textures import Image, random_color, random_texture, spectral_noise, wood

Generator = np.random.Generator

METALS = ("Al", "Ag", "Au", "Cu", "Cr", "W")
TEXTURED = 0.6


def random_material(rng: Generator) -> Material:
    """Any material: matte, plastic, metal, mirror or glass."""
    kinds: tuple[Callable[[Generator], Material], ...] = (
        matte, rough_plastic, smooth_plastic, rough_metal, mirror, glass, frosted_glass,
    )  # fmt: skip
    chosen = rng.choice(len(kinds), p=[0.42, 0.2, 0.06, 0.16, 0.04, 0.08, 0.04])
    return kinds[chosen](rng)


def surface_material(rng: Generator) -> Material:
    """A material for walls, floors and furniture: nothing transparent."""
    kinds: tuple[Callable[[Generator], Material], ...] = (
        matte, rough_plastic, smooth_plastic, rough_metal,
    )  # fmt: skip
    return kinds[rng.choice(len(kinds), p=[0.6, 0.28, 0.06, 0.06])](rng)


def matte(rng: Generator) -> Matte:
    """Lambertian."""
    return Matte(reflectance(rng))


def rough_plastic(rng: Generator) -> Plastic:
    """A diffuse base under a rough coat."""
    roughness, ior = float(rng.uniform(0.03, 0.4)), float(rng.uniform(1.3, 1.8))
    return Plastic(reflectance(rng), roughness, ior)


def painted(rng: Generator, coat: float = 0.5) -> Matte | Plastic:
    """One color all over, of which so many have a coat."""
    red, green, blue = random_color(rng).tolist()
    if rng.random() < coat:
        return Plastic((red, green, blue), float(rng.uniform(0.05, 0.4)))
    return Matte((red, green, blue))


def wooden(rng: Generator) -> Matte | Plastic:
    """Wood, raw or varnished, for texture coordinates in metres."""
    grain = np.clip(wood(rng), 0.02, 0.95).astype(np.float32)
    color = Texture(grain, float(rng.uniform(0.8, 2.5)), float(rng.choice([0.0, 90.0])))
    if rng.random() < 0.5:
        return Plastic(color, float(rng.uniform(0.05, 0.3)))
    return Matte(color)


def polished(rng: Generator) -> Plastic:
    """A color or texture under a coat that shows what is around: glazed tiles, a waxed floor."""
    return Plastic(reflectance(rng), float(rng.choice([0.0, rng.uniform(0.01, 0.08)])))


def polished_metal(rng: Generator) -> Metal:
    """A mirror that is not quite one."""
    return Metal(float(rng.uniform(0.01, 0.06)), element=str(rng.choice(METALS)))


def smooth_plastic(rng: Generator) -> Plastic:
    """A diffuse base under a clear coat."""
    return Plastic(reflectance(rng))


def rough_metal(rng: Generator) -> Metal:
    """Metal, brushed to polished; sometimes tinted by a texture, sometimes worn unevenly."""
    roughness: float | Texture
    roughness = float(rng.choice([rng.uniform(0.02, 0.15), rng.uniform(0.1, 0.5)]))
    if rng.random() < 0.25:
        worn = 0.03 + 0.4 * spectral_noise(rng, 1.5)
        roughness = texture(rng, worn[..., None])
    if rng.random() < 0.4:
        return Metal(roughness, reflectance(rng))
    return Metal(roughness, element=str(rng.choice(METALS)))


def mirror(rng: Generator) -> Metal:
    """A perfect mirror."""
    tint = float(rng.uniform(0.7, 1.0))
    return Metal(0.0, (tint, tint, tint))


def glass(rng: Generator) -> Glass:
    """Clear glass or water."""
    return Glass(float(rng.uniform(1.2, 1.7)))


def frosted_glass(rng: Generator) -> Glass:
    """Rough glass."""
    roughness = float(rng.uniform(0.03, 0.3))
    return Glass(float(rng.uniform(1.2, 1.7)), roughness)


def foliage(rng: Generator) -> Leaf:
    """A leaf or a grille: matte with holes."""
    holes = (spectral_noise(rng, rng.uniform(1.0, 2.0)) > rng.uniform(0.3, 0.6))[..., None]
    opacity = texture(rng, holes.astype(np.float32))
    return Leaf(matte(rng), opacity)


def reflectance(rng: Generator) -> Color:
    """A texture or a plain color."""
    if rng.random() < TEXTURED:
        return texture(rng, random_texture(rng))
    red, green, blue = random_color(rng).tolist()
    return red, green, blue


def texture(rng: Generator, image: Image) -> Texture:
    """An image [H,W,C], repeated and turned at random."""
    scale = float(np.exp(rng.uniform(np.log(0.5), np.log(8.0))))
    turn = float(rng.choice([0, 90, rng.uniform(0, 360)]))
    return Texture(np.ascontiguousarray(image, np.float32), scale, turn)
