"""Procedural scenes: one seed, one view. All content is computed; nothing is loaded.

A description that knows no renderer; `training.renderers` turns it into the scenes of each.

Rooms teach indirect light, openings and flat textured surfaces; piles of objects teach materials,
silhouettes and skies (see docs/training.md for the shares).
"""

from dataclasses import dataclass, replace

import numpy as np

from training.scenes.piles import pile
from training.scenes.rooms import room
from training.scenes.stage import Stage

# Raise it with every change that alters what a seed gives.
VERSION = 5
SIZE = (144, 192)
ROOMS = 0.7
# How often the camera does not move.
STILL = 0.25


@dataclass(frozen=True)
class Scene:
    """A view of a procedural scene.

    Attributes:
        stage: what is in it.
        size: (height, width) of the image in pixels.
    """

    stage: Stage
    size: tuple[int, int]


def scene(seed: int, size: tuple[int, int] = SIZE) -> Scene:
    """The scene of a seed; the same for every call with the same `VERSION`."""
    rng = np.random.default_rng([VERSION, seed])
    build = room if rng.random() < ROOMS else pile
    stage = build(rng)
    stage.clear_camera()
    if rng.random() < STILL:
        stage.camera = replace(stage.camera, velocity=(0.0, 0.0, 0.0), pan=(0.0, 0.0, 0.0))
    return Scene(stage, size)
