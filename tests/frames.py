"""Frames made of noise, for tests."""

import numpy as np

from kpcn_core.aov import AOVS
from kpcn_core.frame import Frame, Pixels

ESTIMATED = ("color", "albedo", "normal", "diffuse", "specular")


def random_frame(height: int, width: int, seed: int = 0) -> Frame:
    """A frame with every AOV that the network reads, and a mask-like alpha."""
    generator = np.random.default_rng(seed)

    def noise(name: str) -> Pixels:
        return generator.random((AOVS[name].channels, height, width), dtype=np.float32)

    aovs = {name: noise(name) for name in ESTIMATED}
    aovs["albedo"] = 0.2 + 0.8 * aovs["albedo"]  # a noisy albedo near 0 has no noisy diffuse
    aovs["color"] = aovs["diffuse"] + aovs["specular"]
    aovs |= {f"{name}_mse": 0.01 * noise(name) for name in ESTIMATED}
    return Frame({**aovs, "alpha": noise("alpha")})


def moving_frame(height: int, width: int, seed: int = 0) -> Frame:
    """A random frame whose pixels move by less than one, at random; for windows."""
    generator = np.random.default_rng(seed)
    motion = {
        name: generator.uniform(-1, 1, (2, height, width)).astype(np.float32)
        for name in ("forward", "backward")
    }
    return random_frame(height, width, seed).with_aovs(**motion)
