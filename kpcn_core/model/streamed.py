"""A GPU's way through a network: what would be large in memory never gets there.

Features of a window are combined as they are gathered (`ops.fused_combiner`), and kernels applied
as they are predicted: no logits in memory (`ops.fused`). `ops.fusion.usable` says where.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from kpcn_core.model import convolved
from kpcn_core.model.kernels import KernelLayer
from kpcn_core.model.network import Network, Origin
from kpcn_core.model.temporal import Context, TemporalFeatures
from kpcn_core.ops.pyramid import down_motion
from kpcn_core.ops.reposition import Share


def combine(
    module: TemporalFeatures,
    features: Sequence[Tensor],
    motion: Sequence[Tensor],
    centre: int,
    origins: Sequence[Origin],
) -> Context:
    """`TemporalFeatures.forward`; arguments as there."""
    from kpcn_core.ops import fused_combiner
    from kpcn_core.ops.fused_combiner import Layer, Layers

    here = features[centre]
    if not fused_combiner.fits(here):
        return module(features, motion, centre, origins)  # type: ignore[no-any-return]
    others = [frame for frame in range(len(features)) if frame != centre]
    layers = (module.centre, module.other, module.gather, module.link)
    shared, found = fused_combiner.combined(
        here,
        [features[frame] for frame in others],
        [down_motion(motion[frame], module.fold) for frame in others],
        [origins[frame] for frame in others],
        Layers(*(Layer(layer.weight, layer.bias) for layer in layers)),
    )
    links = list(found)
    links.insert(centre, torch.zeros_like(here[:1, :1, :1, :1]))
    return Context(convolved.residual(module.blocks, shared), links)


def shares_in_place(
    network: Network,
    context: Context,
    scale: int,
    images: Mapping[str, Tensor],
    around: Mapping[str, Share] | None = None,
) -> tuple[dict[str, Share], dict[str, KernelLayer]]:
    """What the centre's own kernels make of its components at one scale, and the joins' layers.

    Args:
        network: predicts the kernels.
        context: of the scale.
        scale: 0 is the finest.
        images: each component with its mask [B,C+1,h,w].
        around: what other frames add to them.
    """
    from kpcn_core.ops import fused

    layers = network.kernel_layers(context, scale, list(images), unfold=convolved.unfolded)
    onto = around or {}
    found = {
        name: fused.share(*layers[name], image, onto=onto.get(name))
        for name, image in images.items()
    }
    joins = ((name, layers.get(f"{name}.join")) for name in images)
    return found, {name: layer for name, layer in joins if layer is not None}


def shares(
    network: Network,
    context: Context,
    scale: int,
    frame: int,
    images: Mapping[str, Tensor],
    motion: Tensor,
    origin: Origin,
    onto: Mapping[str, Share],
) -> dict[str, Share]:
    """What the kernels of another frame make of its components at one scale, added to others'.

    Args:
        network: predicts the kernels.
        context: of the scale.
        scale: 0 is the finest.
        frame: which of the window.
        images: its components with their masks [B,C+1,H,W].
        motion: from the centre to it, in pixels of the scale [B,2,h,w].
        origin: row and column, in it, of the centre's first pixel.
        onto: component to what the frames before it gave; nothing for the first.
    """
    from kpcn_core.ops import fused

    layers = network.kernel_layers(context, scale, list(images), frame, unfold=convolved.unfolded)
    name, image = next(iter(images.items()))
    side = network.config.neighbours
    base = fused.first_taps(image, layers[name].features, motion, origin, side)
    return {
        name: fused.share(*layers[name], image, motion, origin, onto.get(name), base)
        for name, image in images.items()
    }


def join(sums: Tensor, coarser: Tensor, layer: KernelLayer) -> Tensor:
    """What `Network.join` of a U-Net makes of `renormalized` sums [B,C+1,H,W]; see there."""
    from kpcn_core.ops import fused_join

    return fused_join.joined(sums, coarser, *layer)


def pyramid(radiance: Tensor, valid: Tensor, scales: int) -> list[Tensor]:
    """`reconstruction.Image.pyramid`."""
    from kpcn_core.ops import fused_pyramid

    return fused_pyramid.pyramid(radiance, valid, scales)
