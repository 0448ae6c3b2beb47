"""What training makes small."""

import torch
from torch import Tensor

from kpcn_core import features
from kpcn_core.features import Component

EPSILON = 1e-2
# How strongly noise of a reference takes weight from a pixel.
REFERENCE_NOISE = 4.0


def smape(
    denoised: Tensor,
    reference: Tensor,
    weight: Tensor | None = None,
    epsilon: float = EPSILON,
    detach: bool = False,
) -> Tensor:
    """Symmetric mean absolute percentage error (paper §3.4), a number.

    Args:
        denoised: exposed colors [B,3,H,W].
        reference: the same without noise.
        weight: how much each pixel counts [B,1,H,W].
        epsilon: keeps dark pixels from dominating.
        detach: take the denominator as given, so that a pixel gains nothing by being brighter.
    """
    return weighted_mean(smape_map(denoised, reference, epsilon, detach), weight)


def smape_map(
    denoised: Tensor, reference: Tensor, epsilon: float = EPSILON, detach: bool = False
) -> Tensor:
    """The terms of `smape` before their mean [B,3,H,W]; arguments as there."""
    scale = denoised.detach() if detach else denoised
    return (denoised - reference).abs() / (scale.abs() + reference.abs() + epsilon)


def gradient_error(denoised: Tensor, reference: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean L1 error of the differences between neighbours of log(1+x), a number: edges count."""
    difference = denoised.abs().log1p() - reference.abs().log1p()
    total = denoised.new_zeros(())
    for dim in (-1, -2):
        steps = difference.diff(dim=dim).abs()
        there = None if weight is None else weight.narrow(dim, 1, weight.shape[dim] - 1)
        total = total + weighted_mean(steps, there)
    return total


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of [B,C,H,W] with weights [B,1,H,W]; a pixel of weight 0 may hold anything."""
    if weight is None:
        return values.mean()
    counted = torch.where(weight > 0, values * weight, 0.0)
    return counted.sum() / (weight.sum() * values.shape[1]).clamp(min=1e-6)


def trust(reference: Component, strength: float = REFERENCE_NOISE) -> Tensor:
    """1 / (1 + strength * relative variance) of a reference component [B,1,H,W]; 0 if not valid."""
    if reference.variance is None or strength == 0:
        return reference.valid
    relative = features.relative_deviation(reference.radiance, reference.variance).square()
    return reference.valid / (1 + strength * relative)
