"""Variations of a patch that leave it a plausible rendering."""

import numpy as np
import torch
from torch import Tensor

COLORS = ("color", "diffuse", "specular")

Aovs = dict[str, Tensor]  # [B,C,H,W]


def augment(patches: list[Aovs], generator: np.random.Generator) -> list[Aovs]:
    """Apply the same random variation to several images of one patch (noisy and reference).

    Flips and transposition of the image; any rotation or reflection of the world, which only the
    normals show; another order of the channels; another white balance.
    """
    flips = generator.random(3) < 0.5
    world = _orthogonal(generator)
    order = generator.permutation(3).tolist()
    balance = torch.from_numpy(2 ** generator.uniform(-0.5, 0.5, (1, 3, 1, 1))).float()
    return [_recolored(_turned(aovs, flips, world), order, balance) for aovs in patches]


def _turned(aovs: Aovs, flips: np.typing.NDArray[np.bool_], world: Tensor) -> Aovs:
    horizontal, vertical, transposed = flips.tolist()
    dims = [dim for dim, flip in ((-1, horizontal), (-2, vertical)) if flip]
    turned = {name: image.flip(dims) for name, image in aovs.items()}
    if transposed:
        turned = {name: image.transpose(-1, -2) for name, image in turned.items()}
    # The variance stays: only its sum over the channels is used, and a rotation keeps that.
    turned["normal"] = torch.einsum("ij,bjhw->bihw", world, turned["normal"])
    return turned


def _recolored(aovs: Aovs, order: list[int], balance: Tensor) -> Aovs:
    """Light of another color falls on surfaces of another color: albedo is only reordered."""
    result = dict(aovs)
    for name in (*COLORS, "albedo"):
        factor = balance if name in COLORS else torch.ones(())
        result[name] = aovs[name][:, order] * factor
        result[f"{name}_mse"] = aovs[f"{name}_mse"][:, order] * factor**2
    return result


def _orthogonal(generator: np.random.Generator) -> Tensor:
    """A random rotation or reflection [3,3]."""
    matrix, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    signs = generator.choice([-1.0, 1.0], 3)
    return torch.from_numpy(matrix * signs).float()
