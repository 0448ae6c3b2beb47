"""Variations of a patch that leave it a plausible rendering."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.views import MOTION, Array

COLORS = ("color", "diffuse", "specular")

Aovs = dict[str, Array]  # [3,h,w]


@dataclass(frozen=True)
class Variation:
    """One random variation, for all images of one patch (noisy and reference) alike.

    Attributes:
        flips: of columns, of rows, and whether both change places.
        world: any rotation or reflection of the world [3,3], which only the normals show.
        order: of the channels.
        balance: factor of the light in each channel.
    """

    flips: tuple[bool, bool, bool]
    world: Array
    order: NDArray[np.int64]
    balance: Array

    @staticmethod
    def random(generator: np.random.Generator) -> "Variation":
        """Any variation."""
        columns, rows, transposed = (generator.random(3) < 0.5).tolist()
        world, _ = np.linalg.qr(generator.normal(size=(3, 3)))
        signs = generator.choice([-1.0, 1.0], 3)
        return Variation(
            flips=(columns, rows, transposed),
            world=np.asarray(world * signs, np.float32),
            order=generator.permutation(3),
            balance=np.asarray(2 ** generator.uniform(-0.5, 0.5, (3, 1, 1)), np.float32),
        )

    def __call__(self, aovs: Aovs) -> Aovs:
        """Vary an image [3,h,w] of every AOV and its `*_mse` twin."""
        turned = {name: self._turned(image) for name, image in aovs.items()}
        # Its variance stays: only the sum over the channels is used, and a rotation keeps that.
        if "normal" in turned:
            turned["normal"] = np.tensordot(self.world, turned["normal"], axes=1)
        # Light of another color falls on the surfaces: their albedo is only reordered.
        for name in {"albedo", "albedo_mse"} & turned.keys():
            turned[name] = turned[name][self.order]
        for name in turned.keys() & set(COLORS):
            turned[name] = turned[name][self.order] * self.balance
        for name in turned.keys() & {f"{color}_mse" for color in COLORS}:
            turned[name] = turned[name][self.order] * self.balance**2
        for name in MOTION & turned.keys():
            turned[name] = self._turned_vectors(turned[name])
        return turned

    def _turned_vectors(self, motion: Array) -> Array:
        """Vectors in the image (x, y) [2,h,w] turn with it."""
        columns, rows, transposed = self.flips
        signs = np.array([-1.0 if columns else 1.0, -1.0 if rows else 1.0], np.float32)
        vectors = motion * signs[:, None, None]
        return vectors[::-1] if transposed else vectors

    def _turned(self, image: Array) -> Array:
        columns, rows, transposed = self.flips
        turned = image[:, :: -1 if rows else 1, :: -1 if columns else 1]
        return turned.swapaxes(1, 2) if transposed else turned
