"""Linear images -> pictures that a screen shows (Pillow, extra "report")."""

import numpy as np
import torch
from numpy.typing import NDArray

from kpcn_core import features, metrics
from kpcn_core.extras import extra
from kpcn_core.frame import Pixels

with extra("report"):
    from PIL import Image, ImageDraw

Picture = Image.Image

# Dark blue over purple and orange to pale yellow, brighter with every step; sRGB.
HEAT = np.array([(8, 8, 32), (86, 20, 120), (196, 52, 92), (250, 146, 50), (252, 252, 190)])
EDGE = (255, 220, 0)  # of outlines


def exposure(color: Pixels) -> float:
    """The factor that brings an image [3,H,W] to middle grey."""
    return features.exposure(_tensor(color)).item()


def shown(color: Pixels, gain: float) -> Picture:
    """A linear image [3,H,W] times its gain, clipped to 0..1, as sRGB; NaN is black."""
    values = torch.nan_to_num(_tensor(color) * gain, nan=0.0)
    return _image(255.0 * metrics.display(values)[0].permute(1, 2, 0).numpy())


def heat(error: Pixels) -> Picture:
    """An error map [1,H,W] in false color; 0 dark, 1 bright."""
    steps = np.linspace(0.0, 1.0, len(HEAT))
    return _image(np.stack([np.interp(error[0], steps, channel) for channel in HEAT.T], axis=-1))


def outline(picture: Picture, top: int, left: int, size: int) -> None:
    """Draw the edges of a square of so many pixels."""
    corners = [left, top, left + size - 1, top + size - 1]
    ImageDraw.Draw(picture).rectangle(corners, outline=EDGE)


def beside(first: Picture, second: Picture) -> Picture:
    """Two pictures of one height, side by side."""
    both = Image.new("RGB", (first.width + second.width, first.height))
    both.paste(first, (0, 0))
    both.paste(second, (first.width, 0))
    return both


def _tensor(color: Pixels) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(color))[None]


def _image(values: NDArray[np.floating]) -> Picture:
    """[H,W,3], 0 to 255."""
    return Image.fromarray(np.rint(values).astype(np.uint8), "RGB")
