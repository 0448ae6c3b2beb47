"""From kernels to images: every scale of every frame filtered, and joined (paper Fig. 3, 4).

All of it is linear in the colors, so any further layer can ride along with a component.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from kpcn_core.model import streamed
from kpcn_core.model.kernels import KernelLayer
from kpcn_core.model.network import Network, Origin
from kpcn_core.model.specialization import is_one_number
from kpcn_core.model.temporal import Context
from kpcn_core.ops import fusion
from kpcn_core.ops.kernels import renormalized, with_mask, without_mask
from kpcn_core.ops.pyramid import down, down_masked, down_motion
from kpcn_core.ops.reposition import Share, masked_share, masked_share_in_place, together

Shares = list[dict[str, Share]]  # of every scale, component by component


class Image(NamedTuple):
    """What kernels are applied to.

    Attributes:
        radiance: a component's linear values in its first three channels, then those of further
            layers that shall be filtered like it [B,C,H,W]; 0 where not valid.
        valid: 1 where a pixel may be read, else 0 [B,1,H,W].
    """

    radiance: Tensor
    valid: Tensor

    def pyramid(self, scales: int) -> list[Tensor]:
        """The image with its mask at every scale, finest first [B,C+1,h,w]."""
        if fusion.usable(self.radiance):
            return streamed.pyramid(self.radiance, self.valid, scales)
        found = [with_mask(self.radiance, self.valid)]
        for _ in range(scales - 1):
            found.append(down_masked(found[-1]))
        return found


def neighbours(
    network: Network,
    contexts: Sequence[Context],
    window: Iterable[Mapping[str, Image]],
    motion: Sequence[Sequence[Tensor]],
    centre: int,
    origins: Sequence[Origin] | None = None,
) -> Shares | None:
    """What all frames but the centre add to it: the part that no lambda changes.

    One frame after another, so that no more than one has its images and its share in memory.

    Args:
        network: predicts the kernels.
        contexts: of every scale, finest first.
        window: the components of every frame, all the same ones in the same order; those of the
            centre are not read.
        motion: from the centre to each frame, at every scale, in its pixels [B,2,h,w].
        centre: index of the centre frame.
        origins: see `Network.window`.

    Returns:
        None if there is no other frame.
    """
    starts = origins or [(0, 0)] * len(motion)
    found: Shares = [{} for _ in contexts]
    for frame, parts in enumerate(window):
        if frame == centre:
            continue
        pyramids = {name: image.pyramid(len(contexts)) for name, image in parts.items()}
        for scale, context in enumerate(contexts):
            images = {name: pyramid[scale] for name, pyramid in pyramids.items()}
            start = (starts[frame][0] >> scale, starts[frame][1] >> scale)
            vectors = motion[frame][scale]
            found[scale] = _shares(
                network, context, scale, frame, images, vectors, start, found[scale]
            )
    return found if found[0] else None


def reconstruct(
    network: Network,
    contexts: Sequence[Context],
    images: Mapping[str, Image],
    around: Shares | None = None,
) -> dict[str, Tensor]:
    """Filter the centre frame of a window.

    Args:
        network: predicts the kernels.
        contexts: of every scale, finest first.
        images: the components of the centre frame.
        around: see `neighbours`.

    Returns:
        Component to the filtered image [B,C,H,W]; NaN where no kernel covers a valid pixel.
    """
    names = list(images)
    pyramids = {name: image.pyramid(len(contexts)) for name, image in images.items()}
    joined: dict[str, Tensor] = {}
    for scale in reversed(range(len(contexts))):
        level = {name: pyramids[name][scale] for name in names}
        others = None if around is None else around[scale]
        shares, joins = _shares_in_place(network, contexts[scale], scale, level, others)
        for name in names:
            sums = shares[name].sums
            joined[name] = _joined(network, sums, joined.get(name), joins.get(name))
    return {name: without_mask(image) for name, image in joined.items()}


def _joined(
    network: Network, sums: Tensor, coarser: Tensor | None, made_by: KernelLayer | Tensor | None
) -> Tensor:
    """Sums with their weights as an image with its mask, and that with the coarser scale's.

    Args:
        network: joins.
        sums: [B,C+1,H,W].
        coarser: the joined image of the next scale.
        made_by: logits of the join, or the layer that makes them.
    """
    if coarser is None:
        return renormalized(sums)
    if isinstance(made_by, KernelLayer):
        return streamed.join(sums, coarser, made_by)
    return network.join(renormalized(sums), coarser, made_by)


def _shares_in_place(
    network: Network,
    context: Context,
    scale: int,
    images: Mapping[str, Tensor],
    around: Mapping[str, Share] | None,
) -> tuple[dict[str, Share], Mapping[str, KernelLayer | Tensor]]:
    """What the centre's own kernels, and other frames, make of its components at one scale.

    Beside it the joins' logits, or what makes them.
    """
    names = list(images)
    if fusion.usable(next(iter(images.values()))):
        return streamed.shares_in_place(network, context, scale, images, around)
    logits = network.logits(context, scale, names)
    shares = {name: masked_share_in_place(images[name], logits[name]) for name in names}
    if around is not None:
        shares = {name: together([share, around[name]]) for name, share in shares.items()}
    return shares, {name: logits[f"{name}.join"] for name in names if f"{name}.join" in logits}


def _shares(
    network: Network,
    context: Context,
    scale: int,
    frame: int,
    images: Mapping[str, Tensor],
    motion: Tensor,
    origin: Origin,
    onto: Mapping[str, Share],
) -> dict[str, Share]:
    """What the kernels of another frame make of its components at one scale, added to others'."""
    if fusion.usable(next(iter(images.values()))):
        return streamed.shares(network, context, scale, frame, images, motion, origin, onto)
    logits = network.neighbour_logits(context, scale, frame, list(images))
    found = {
        name: masked_share(image, logits[name], motion, origin) for name, image in images.items()
    }
    return {name: together([onto[name], share]) if onto else share for name, share in found.items()}


def motion_pyramid(motion: Tensor, scales: int) -> list[Tensor]:
    """Motion [B,2,H,W] at every scale, finest first."""
    return [motion, *(down_motion(motion, 2**scale) for scale in range(1, scales))]


def slope_pyramid(slope: Tensor, scales: int) -> list[Tensor]:
    """log(lambda) [B,1,H,W] at every scale, finest first."""
    if is_one_number(slope):
        height, width = slope.shape[-2:]
        return [
            slope[..., : -(-height // 2**scale), : -(-width // 2**scale)] for scale in range(scales)
        ]
    found = [slope]
    for _ in range(scales - 1):
        found.append(down(found[-1]))
    return found
