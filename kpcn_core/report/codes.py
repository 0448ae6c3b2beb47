"""Images as logarithmic codes: the whole range of a render, small, and equally exact everywhere.

A code has 15 bits: a sign, and 1 + steps · (log2 |value| - LOWEST) rounded. So a value comes back
within half a step, 2^(1 / (2 · steps)): ±0.27 % with 128 steps a stop, which moves an 8-bit sRGB
display by one step at most. Smaller magnitudes than 2^LOWEST become 0. Whole numbers that fit are
their own codes, with 0 steps. `codes.js` is the reader.
"""

import base64
import zlib

import numpy as np
from numpy.typing import NDArray

from kpcn_core.frame import Pixels

Codes = NDArray[np.uint16]

SIGN, INFINITE = 0x4000, 0x3FFF
NAN = SIGN  # there is no negative zero
LOWEST = -32
COLOR_STEPS, MAP_STEPS, WHOLE = 128, 32, 0  # a stop


def map_steps(pixels: Pixels) -> int:
    """The steps for a map: `WHOLE` if it holds nothing but whole numbers that are codes."""
    finite = pixels[np.isfinite(pixels)]
    whole = (finite == np.rint(finite)).all() and (np.abs(finite) < INFINITE).all()
    return WHOLE if whole else MAP_STEPS


def encoded(pixels: Pixels, steps: int) -> Codes:
    """Codes of any array; NaN and infinities have codes of their own."""
    values = np.abs(np.nan_to_num(pixels.astype(np.float64), posinf=0.0, neginf=0.0))
    magnitude = values if steps == WHOLE else _logarithms(values, steps)
    magnitude = np.where(np.isinf(pixels), INFINITE, magnitude).astype(np.uint16)
    codes = magnitude | np.where(np.signbit(pixels) & (magnitude > 0), SIGN, 0).astype(np.uint16)
    return np.where(np.isnan(pixels), NAN, codes).astype(np.uint16)


def decoded(codes: Codes, steps: int) -> NDArray[np.float64]:
    """The values that a page shows."""
    magnitude = codes & INFINITE
    values = magnitude.astype(np.float64)
    if steps != WHOLE:
        values = np.where(magnitude > 0, 2.0 ** ((values - 1) / steps + LOWEST), 0.0)
    values = np.where(magnitude == INFINITE, np.inf, values)
    return np.where(codes == NAN, np.nan, np.where(codes & SIGN, -values, values))


def _logarithms(values: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    large = values >= 2.0**LOWEST
    stops = np.log2(values, where=large, out=np.zeros_like(values)) - LOWEST
    return np.where(large, np.minimum(1 + np.rint(steps * stops), INFINITE - 1), 0.0)


def packed(codes: Codes) -> str:
    """Codes [C,H,W] as a text for the page.

    Of three channels red and blue are stored as differences to green, since noise is much the same
    in all. What is compressed is each code's difference to the one before it, zigzag (small numbers
    whatever their sign), first all low bytes, then all high ones, which are nearly constant.
    """
    planes = codes.astype(np.int64)
    if len(planes) == 3:
        red, green, blue = planes
        planes = np.stack([green, red - green, blue - green])
    flat = planes.reshape(len(planes), -1)
    steps = np.diff(flat, axis=1, prepend=0).astype(np.int16)
    zigzag = ((steps << 1) ^ (steps >> 15)).view(np.uint16)
    halves = (zigzag & 0xFF).astype(np.uint8).tobytes() + (zigzag >> 8).astype(np.uint8).tobytes()
    return base64.b64encode(zlib.compress(halves, 9)).decode()
