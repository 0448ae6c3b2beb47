"""From kernels to images: every scale of every frame filtered, and joined (paper Fig. 3, 4).

All of it is linear in the colors, so any further layer can ride along with a component.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from kpcn_core.model.network import Network, Origin
from kpcn_core.model.temporal import Context
from kpcn_core.ops.pyramid import down, down_motion, down_valid
from kpcn_core.ops.reposition import Share, joint, share, share_in_place


class Image(NamedTuple):
    """What kernels are applied to.

    Attributes:
        radiance: a component's linear values in its first three channels, then those of further
            layers that shall be filtered like it [B,C,H,W]; 0 where not valid.
        valid: 1 where a pixel may be read, else 0 [B,1,H,W].
    """

    radiance: Tensor
    valid: Tensor

    def pyramid(self, scales: int) -> list["Image"]:
        """The image at every scale, finest first; pixels not valid reach no coarser one."""
        found = [self]
        for _ in range(scales - 1):
            finer = found[-1]
            found.append(Image(down(finer.radiance, finer.valid), down_valid(finer.valid)))
        return found


def reconstruct(
    network: Network,
    contexts: Sequence[Context],
    window: Sequence[Mapping[str, Image]],
    motion: Sequence[Sequence[Tensor]],
    centre: int,
    origins: Sequence[Origin] | None = None,
) -> dict[str, Tensor]:
    """Filter the centre frame of a window.

    Args:
        network: predicts the kernels.
        contexts: of every scale, finest first.
        window: the components of every frame, all the same ones in the same order.
        motion: from the centre to each frame, at every scale, in its pixels [B,2,h,w].
        centre: index of the centre frame.
        origins: see `Network.window`.

    Returns:
        Component to the filtered image [B,C,H,W]; NaN where no kernel covers a valid pixel.
    """
    names = list(window[centre])
    pyramids = [
        {name: image.pyramid(len(contexts)) for name, image in images.items()} for images in window
    ]
    starts = origins or [(0, 0)] * len(window)
    joined: dict[str, Tensor] = {}
    for scale in reversed(range(len(contexts))):
        shares: dict[str, list[Share]] = {name: [] for name in names}
        joins: dict[str, Tensor] = {}
        for frame, images in enumerate(pyramids):
            here = frame == centre
            logits = network.logits(contexts[scale], scale, frame, here, names)
            joins = logits if here else joins
            for name in names:
                image, kernel = images[name][scale], logits[name]
                shares[name].append(
                    share_in_place(image.radiance, kernel, image.valid)
                    if here
                    else share(
                        image.radiance,
                        kernel,
                        motion[frame][scale],
                        image.valid,
                        _scaled(starts[frame], scale),
                    )
                )
        for name in names:
            filtered = joint(shares[name])
            coarser = joined.get(name)
            joined[name] = (
                filtered
                if coarser is None
                else network.join(filtered, coarser, joins.get(f"{name}.join"))
            )
    return joined


def _scaled(origin: Origin, scale: int) -> Origin:
    return origin[0] >> scale, origin[1] >> scale


def motion_pyramid(motion: Tensor, scales: int) -> list[Tensor]:
    """Motion [B,2,H,W] at every scale, finest first."""
    return [motion, *(down_motion(motion, 2**scale) for scale in range(1, scales))]


def slope_pyramid(slope: Tensor, scales: int) -> list[Tensor]:
    """log(lambda) [B,1,H,W] at every scale, finest first."""
    found = [slope]
    for _ in range(scales - 1):
        found.append(down(found[-1]))
    return found


def still(like: Tensor, scales: int) -> list[Tensor]:
    """The motion of a frame to itself, at every scale."""
    none = torch.zeros_like(like[:, :1]).expand(-1, 2, -1, -1)
    return motion_pyramid(none, scales)
