"""Exposure and components of a frame on a GPU (`ops.fused_components`, which needs Triton)."""

from collections.abc import Sequence

from torch import Tensor

from kpcn_core.features import ALBEDO_EPSILON, BLACK, EXPOSURE_BLOCK, MIDDLE_GREY, Component
from kpcn_core.ops import fused_components


def exposure(color: Tensor) -> Tensor:
    """`features.exposure`."""
    return fused_components.exposure(color, EXPOSURE_BLOCK, BLACK, MIDDLE_GREY)


def component(
    name: str,
    images: Sequence[Tensor],
    variance: Tensor | None,
    gain: Tensor | None = None,
    albedo: Tensor | None = None,
) -> Component:
    """`features.component`."""
    made = fused_components.component(images, variance, gain, albedo, ALBEDO_EPSILON)
    return Component(name, *made)
