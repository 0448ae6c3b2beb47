"""`TemporalFeatures` on a CPU: frame after frame by `ops.combined`, its blocks by `ops.winograd`.

Needs the extra "cpu" (`ops.compiler`).
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kpcn_core.model.encoding import HEIGHT, pixels_of, residual
from kpcn_core.model.temporal import Context, TemporalFeatures
from kpcn_core.ops.memory import channels_last
from kpcn_core.ops.pyramid import down_motion
from kpcn_core.ops.registers import in_panels
from kpcn_core.ops.warp import positions
from kpcn_core.ops.workers import in_strips

Floats = NDArray[np.float32]
Origin = tuple[int, int]


def combine(
    module: TemporalFeatures,
    features: Sequence[Tensor],
    motion: Sequence[Tensor],
    centre: int,
    origins: Sequence[Origin],
) -> Context:
    """`TemporalFeatures.forward` of one image on a CPU (`encoding.usable`); arguments as there."""
    here = features[centre]
    asked = pixels_of(module.centre(here))
    height, width, channels = asked.shape
    gathered = np.zeros((height, width, channels + 1), np.float32)
    layers = _layers(module)
    links: list[Tensor] = []
    for frame, there in enumerate(features):
        if frame == centre:
            links.append(torch.zeros_like(here))
            continue
        steps = down_motion(motion[frame], module.fold)
        links.append(_link(asked, there, steps, origins[frame], layers, gathered))
    mean = gathered[..., :-1] / np.maximum(gathered[..., -1:], 1.0)
    together = here + torch.from_numpy(mean).permute(2, 0, 1)[None]
    return Context(residual(module.blocks, together), links)


def _link(
    asked: Floats,
    there: Tensor,
    motion: Tensor,
    origin: Origin,
    layers: tuple[Floats, Floats, Floats],
    gathered: Floats,
) -> Tensor:
    """What one frame's link is, while it is added to the gathered ones; see `combine_rows`."""
    from kpcn_core.ops.combined import combine_rows

    height, width, channels = asked.shape
    link = channels_last(channels, height, width)
    found, image = pixels_of(link), pixels_of(there)
    row, column, below, right, inside = positions(motion, image.shape[0], image.shape[1], origin)
    whole = [one[0].int().numpy() for one in (row, column)]
    parts = [one[0].float().contiguous().numpy() for one in (below, right, inside)]
    operands = (asked, image, *whole, *parts, *layers)

    def rows(first: int, last: int) -> None:
        combine_rows(*operands, first, last, gathered, found)  # type: ignore[call-arg, arg-type]

    in_strips(rows, height, HEIGHT)
    return link


def _layers(module: TemporalFeatures) -> tuple[Floats, Floats, Floats]:
    """Those over what is fetched, as `combine_rows` reads them."""
    both = torch.cat([layer.weight.flatten(1) for layer in (module.gather, module.link)])
    biases = [layer.bias for layer in (module.gather, module.link) if layer.bias is not None]
    other = module.other.weight.flatten(1)
    return in_panels(other.numpy()), in_panels(both.numpy()), torch.cat(biases).numpy()
