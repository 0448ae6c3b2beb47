"""Fireflies on purpose: single samples that are far too bright, and what they do to the variance.

Small data sets hold few, and a network that has seen few keeps some of them.
"""

import numpy as np

from training.augmentation import Aovs

LAYERS = ("diffuse", "specular")
# Of a patch, at most.
MOST = 24
# Times the mean color of the patch, as powers of ten.
STRENGTH = (0.5, 3.5)
# How far a channel may stay behind the brightest one.
TINT = 0.3


def add_fireflies(aovs: Aovs, generator: np.random.Generator) -> None:
    """Add some to a noisy patch [3,h,w], in place: to its color, one of its layers and variances.

    One sample of value nX among n others near 0 adds X to the mean and X^2 to the variance of the
    mean, whatever n is.

    Args:
        aovs: needs "color"; of its layers one gets the same, with the `*_mse` twins that there are.
        generator: where they lie, and how bright they are.
    """
    color = aovs["color"]
    height, width = color.shape[-2:]
    count = int(generator.integers(1, MOST, endpoint=True))
    rows, columns = generator.integers((height, width), size=(count, 2)).T
    strength = 10 ** generator.uniform(*STRENGTH, count)
    tint = generator.uniform(TINT, 1.0, (3, count))
    typical = float(np.nanmean(np.where(np.isfinite(color), color, np.nan)))
    added = np.zeros_like(color)
    added[:, rows, columns] = strength * tint * max(typical, 0.0)
    layers = [name for name in LAYERS if name in aovs]
    names = ["color", str(generator.choice(layers))] if layers else ["color"]
    for name in names:
        aovs[name] = aovs[name] + added
        if f"{name}_mse" in aovs:
            aovs[f"{name}_mse"] = aovs[f"{name}_mse"] + added**2
