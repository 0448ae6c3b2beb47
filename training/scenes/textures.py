"""Procedural textures: tileable images of noise, tiles, bricks, wood, print and pictures."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.floating]  # [H,W] or [H,W,3], 0 to 1
Generator = np.random.Generator

SIZE = 256


def random_texture(rng: Generator) -> Image:
    """Any of the textures below, in random colors, [H,W,3]."""
    kinds: tuple[Callable[[Generator], Image], ...] = (
        marble, checks, bricks, stripes, dots, wood, printed, patches,
    )  # fmt: skip
    painted = kinds[rng.integers(len(kinds))](rng)
    image: Image = np.clip(painted, 0.02, 0.95).astype(np.float32)
    return image


def random_color(rng: Generator) -> Image:
    """A reflectance [3]: mostly muted, sometimes saturated, light or dark."""
    value = rng.uniform(0.05, 0.9)
    tint = rng.uniform(0, 1, 3)
    saturation = rng.choice([0.1, 0.35, 0.8], p=[0.6, 0.3, 0.1])
    color = value * ((1 - saturation) + saturation * tint / tint.max())
    clipped: Image = np.clip(color, 0.02, 0.92).astype(np.float32)
    return clipped


def spectral_noise(rng: Generator, slope: float) -> Image:
    """Tileable noise [H,W] with a power-law spectrum, 0 to 1; steeper slopes are smoother."""
    frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.fftfreq(SIZE)[None, :])
    frequency[0, 0] = 1.0
    spectrum = np.fft.fft2(rng.standard_normal((SIZE, SIZE))) * frequency**-slope
    spectrum[0, 0] = 0
    noise = np.fft.ifft2(spectrum).real
    low, high = np.quantile(noise, [0.01, 0.99])
    stretched: Image = np.clip((noise - low) / (high - low), 0, 1).astype(np.float32)
    return stretched


def marble(rng: Generator) -> Image:
    """Two or three colors mixed by noise, softly or with hard edges."""
    noise = spectral_noise(rng, rng.uniform(0.8, 2.2))
    contrast = rng.choice([1.0, 4.0, 30.0])
    mixed = _blend(rng, _contrast(noise, contrast))
    if rng.random() < 0.3:
        third = _contrast(spectral_noise(rng, 1.5), 8.0)[..., None]
        mixed = mixed * (1 - third) + random_color(rng) * third
    return mixed


def checks(rng: Generator) -> Image:
    """A checkerboard with a little noise."""
    x, y = _grid()
    count = 2 ** rng.integers(1, 6)
    return _grain(rng, _blend(rng, ((x * count).astype(int) + (y * count).astype(int)) % 2))


def bricks(rng: Generator) -> Image:
    """Bricks or tiles, each of its own shade, with joints between them."""
    x, y = _grid()
    rows, columns = 2 ** rng.integers(1, 5), 2 ** rng.integers(1, 4)
    row = (y * rows).astype(int)
    shifted = x * columns + 0.5 * (row % 2) * rng.integers(0, 2)
    column = shifted.astype(int) % columns
    shade = rng.uniform(0.7, 1.1, (rows, columns)).astype(np.float32)[row, column]
    width = rng.uniform(0.02, 0.1)
    joint = ((y * rows) % 1 < width) | (shifted % 1 < width * columns / rows)
    faces = random_color(rng) * shade[..., None]
    return _grain(rng, np.where(joint[..., None], random_color(rng), faces))


def stripes(rng: Generator) -> Image:
    """Stripes in one direction or woven in two."""
    x, y = _grid()
    count = 2 ** rng.integers(1, 7)
    wave = np.sin(2 * np.pi * count * x)
    if rng.random() < 0.4:
        wave = wave * np.sin(2 * np.pi * count * y)
    return _grain(rng, _blend(rng, _contrast(wave * 0.5 + 0.5, rng.choice([1.0, 20.0]))))


def dots(rng: Generator) -> Image:
    """Round dots on a ground."""
    x, y = _grid()
    count = 2 ** rng.integers(1, 6)
    distance = np.hypot((x * count) % 1 - 0.5, (y * count) % 1 - 0.5)
    return _grain(rng, _blend(rng, distance < rng.uniform(0.15, 0.45)))


def wood(rng: Generator) -> Image:
    """Stretched, bent grain, in planks."""
    x, y = _grid()
    bend = spectral_noise(rng, 2.0)
    planks = 2 ** rng.integers(0, 4)
    plank = (y * planks).astype(int)
    phase = rng.uniform(0, 10, planks)[plank]
    rings = np.sin(2 * np.pi * (rng.uniform(2, 9) * (y * planks % 1) + 2 * bend + phase + x))
    base = np.array([0.45, 0.26, 0.13], np.float32) * rng.uniform(0.4, 1.6)
    shade = 0.75 + 0.25 * rings + rng.uniform(-0.15, 0.15, planks)[plank]
    gap = (y * planks) % 1 < 0.02
    return _grain(rng, np.where(gap[..., None], 0.3, 1.0) * base * shade[..., None])


def printed(rng: Generator) -> Image:
    """Lines of small marks, like print on paper."""
    cells = 2 ** rng.integers(4, 7)
    marks = rng.random((cells, cells)) < 0.45
    marks[:: rng.integers(2, 4)] = False
    marks[:, : cells // 10] = False
    return _blend(rng, np.kron(marks, np.ones((SIZE // cells, SIZE // cells))))


def patches(rng: Generator) -> Image:
    """A picture of flat patches around random centres, with brush strokes."""
    x, y = _grid()
    centres = rng.random((rng.integers(4, 40), 2))
    distances = np.hypot(x[..., None] - centres[:, 0], y[..., None] - centres[:, 1])
    palette = np.stack([random_color(rng) for _ in centres])
    return _grain(rng, palette[distances.argmin(axis=-1)])


def _grid() -> tuple[Image, Image]:
    steps = ((np.arange(SIZE) + 0.5) / SIZE).astype(np.float32)
    x, y = np.meshgrid(steps, steps)
    return x, y


def _contrast(values: Image, amount: float) -> Image:
    steeper: Image = np.clip((values - 0.5) * amount + 0.5, 0, 1)
    return steeper


def _blend(rng: Generator, mask: NDArray[np.generic]) -> Image:
    """Two random colors by a mask [H,W]."""
    weight = np.asarray(mask, np.float32)[..., None]
    return random_color(rng) * (1 - weight) + random_color(rng) * weight


def _grain(rng: Generator, image: Image) -> Image:
    """Slight unevenness, as real surfaces have; none in a third of the cases."""
    strength = rng.choice([0.0, 0.1, 0.35])
    factor: Image = 1 + strength * (spectral_noise(rng, rng.uniform(0.3, 1.5)) - 0.5)
    return image * factor[..., None]
