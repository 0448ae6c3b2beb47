"""Frames to measure with: times do not depend on their pixels."""

import numpy as np

from kpcn_core.frame import Frame, Pixels

COLORS = ("diffuse", "specular", "albedo", "normal")
STEP = (3.3, -1.7)  # x and y of the motion from each frame to the next, pixels
SAMPLES = 16


def synthetic(height: int, width: int, layers: int = 0, emission: bool = True) -> Frame:
    """A noisy frame with every AOV that the encoder "kpcn" and restoration read, and motion.

    Args:
        height: pixels.
        width: pixels.
        layers: how many further ones it has, three channels each; see `like`.
        emission: whether that is a component by itself; else the frame has no specular layer.
    """
    random = np.random.default_rng(0)
    aovs = {name: random.random((3, height, width), np.float32) for name in COLORS}
    aovs["color"] = aovs["diffuse"] + aovs["specular"]
    noise = {
        f"{name}_mse": np.repeat(0.1 * pixels.mean(axis=0, keepdims=True), 3, axis=0)
        for name, pixels in aovs.items()
    }
    moving = {"forward": _vectors(height, width, 1), "backward": _vectors(height, width, -1)}
    count = {"sample_count": np.full((1, height, width), SAMPLES, np.float32)}
    further = {name: random.random((3, height, width), np.float32) for name in like(layers)}
    if not emission:
        del aovs["specular"]
    return Frame(aovs | noise | count | moving, layers=further)


def like(layers: int) -> dict[str, str]:
    """The further layers of a frame to what they are filtered like, in turn."""
    return {f"group_{index}": ("diffuse", "specular")[index % 2] for index in range(layers)}


def _vectors(height: int, width: int, sign: int) -> Pixels:
    step = sign * np.array(STEP, np.float32).reshape(2, 1, 1)
    return np.ascontiguousarray(np.broadcast_to(step, (2, height, width)))
