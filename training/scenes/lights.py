"""Random light: skies, studios, area lights."""

import numpy as np

from training.scenes.description import Environment, Light
from training.scenes.textures import Image, spectral_noise

Generator = np.random.Generator

HEIGHT, WIDTH = 64, 128


def light_color(rng: Generator) -> Image:
    """Warm to cold white [3], now and then a color."""
    warmth = rng.uniform(-1, 1)
    color = np.array([1 + 0.4 * warmth, 1.0, 1 - 0.5 * warmth])
    if rng.random() < 0.05:
        color = rng.uniform(0.05, 1.0, 3)
    balanced: Image = (color / color.mean()).astype(np.float32)
    return balanced


def emitter(rng: Generator, radiance: float) -> Light:
    """An area emitter of a mean radiance."""
    red, green, blue = (light_color(rng) * radiance).tolist()
    return Light((red, green, blue))


def environment(rng: Generator, strength: float = 1.0) -> Environment:
    """A sky with or without sun, or a studio."""
    image = sky(rng) if rng.random() < 0.65 else studio(rng)
    scaled = np.ascontiguousarray(image * strength, np.float32)
    return Environment(scaled, float(rng.uniform(0, 360)))


def sky(rng: Generator) -> Image:
    """A gradient with clouds over a ground, and a sun in two of three."""
    elevation, azimuth = _directions()
    zenith = np.array([0.35, 0.55, 1.0]) * rng.uniform(0.2, 1.0)
    horizon = light_color(rng) * rng.uniform(0.5, 1.5)
    height = np.clip(np.sin(elevation), 0, 1)[..., None] ** rng.uniform(0.3, 0.8)
    image = horizon * (1 - height) + zenith * height
    noise = np.asarray(spectral_noise(rng, 1.6)[::4, ::2])
    clouds = np.clip((noise - rng.uniform(0.3, 0.9)) * 4, 0, 1)[..., None]
    image = image * (1 - clouds) + rng.uniform(0.6, 1.4) * clouds
    ground = rng.uniform(0.05, 0.4) * light_color(rng)
    image = np.where((elevation > 0)[..., None], image, ground)
    if rng.random() < 0.66:
        height_of_sun, width = rng.uniform(0.1, 1.3), rng.uniform(0.03, 0.12)
        glow = _spot(elevation, azimuth, height_of_sun, rng.uniform(-3, 3), width)
        image = image + glow * light_color(rng) * rng.uniform(0.05, 1.0) / width**2
    return image.astype(np.float32)


def studio(rng: Generator) -> Image:
    """Soft boxes around a dim room."""
    elevation, azimuth = _directions()
    image = np.full((HEIGHT, WIDTH, 3), rng.uniform(0.01, 0.3))
    for _ in range(rng.integers(1, 6)):
        width, height = rng.uniform(0.1, 0.8, 2)
        middle, turn = rng.uniform(-0.3, 1.4), rng.uniform(-np.pi, np.pi)
        away = np.abs((azimuth - turn + np.pi) % (2 * np.pi) - np.pi)
        box = (away < width) & (np.abs(elevation - middle) < height)
        image = image + box[..., None] * light_color(rng) * np.exp(rng.uniform(-0.5, 2.5))
    return image.astype(np.float32)


def _directions() -> tuple[Image, Image]:
    """Elevation and azimuth of each texel [H,W], radians."""
    elevation = np.pi / 2 - (np.arange(HEIGHT) + 0.5) / HEIGHT * np.pi
    azimuth = (np.arange(WIDTH) + 0.5) / WIDTH * 2 * np.pi - np.pi
    rows, columns = np.meshgrid(elevation, azimuth, indexing="ij")
    return rows.astype(np.float32), columns.astype(np.float32)


def _spot(elevation: Image, azimuth: Image, height: float, turn: float, width: float) -> Image:
    """A Gaussian [H,W,1] around a direction."""
    cosine = np.sin(elevation) * np.sin(height)
    cosine = cosine + np.cos(elevation) * np.cos(height) * np.cos(azimuth - turn)
    angle = np.arccos(np.clip(cosine, -1, 1))
    glow: Image = np.exp(-0.5 * (angle / width) ** 2)[..., None]
    return glow
