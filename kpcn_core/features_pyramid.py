"""Components and guides at coarser scales (paper §3.4): all are 2x2 means, variances / 4."""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from kpcn_core.features import Component
from kpcn_core.ops.pyramid import LEVELS, down, down_valid, down_variance

GUIDES = ("albedo", "normal")

Scale = tuple[Component, dict[str, Tensor]]


def scales(component: Component, aovs: Mapping[str, Tensor], levels: int = LEVELS) -> list[Scale]:
    """A component with the AOVs that guide it at every scale, finest first.

    Each pair is what `features.component_planes` takes; pixels that are not valid reach no coarser one.

    Args:
        component: at full resolution.
        aovs: AOV name to [B,C,H,W]; the guides and their variances are taken.
        levels: how many scales, the full resolution included.
    """
    names = [name for guide in GUIDES for name in (guide, f"{guide}_mse") if name in aovs]
    found = [(component, {name: aovs[name] for name in names})]
    for _ in range(levels - 1):
        finer, guides = found[-1]
        found.append((coarser(finer), coarser_guides(guides)))
    return found


def coarser(component: Component) -> Component:
    """A component at half the resolution."""
    variance = component.variance
    return replace(
        component,
        radiance=down(component.radiance, component.valid),
        variance=None if variance is None else down_variance(variance, component.valid),
        valid=down_valid(component.valid),
    )


def coarser_guides(guides: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Albedo, normal and their variances at half the resolution; what is not finite is left out."""
    return {
        name: (down_variance if name.endswith("_mse") else down)(aov, torch.isfinite(aov))
        for name, aov in guides.items()
    }
