"""The asymmetric loss (paper §4, Eq. 6), and the slopes that it is trained with."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from kpcn_core.model.specialization import MAX_ASYMMETRY
from training.losses import EPSILON, smape_map, weighted_mean


def asymmetric_smape(
    denoised: Tensor,
    reference: Tensor,
    noisy: Tensor,
    log_asymmetry: Tensor,
    weight: Tensor | None = None,
    epsilon: float = EPSILON,
    detach: bool = False,
) -> Tensor:
    """SMAPE that counts lambda times where the result has left the input's side, a number.

    Args:
        denoised: exposed colors [B,3,H,W].
        reference: the same without noise.
        noisy: the input that was denoised.
        log_asymmetry: log(lambda) of each pixel [B,1,H,W].
        weight: how much each pixel counts [B,1,H,W].
        epsilon: as for `losses.smape`.
        detach: likewise.
    """
    error = smape_map(denoised, reference, epsilon, detach)
    return weighted_mean(error * slopes(denoised, reference, noisy, log_asymmetry), weight)


def slopes(denoised: Tensor, reference: Tensor, noisy: Tensor, log_asymmetry: Tensor) -> Tensor:
    """The factor of Eq. 6 [B,3,H,W]: lambda where input and result are on opposite sides, else 1.

    It is constant between its steps, so no gradient goes through it.
    """
    with torch.no_grad():
        opposite = (denoised - reference) * (reference - noisy) > 0
        return torch.where(opposite, log_asymmetry.exp(), 1.0)


def sample_log_asymmetry(
    image: Tensor, cell: int = 1, generator: torch.Generator | None = None
) -> Tensor:
    """log(lambda) ~ U(0, log 10) for each pixel of an image [B,C,H,W] -> [B,1,H,W] (§4.3).

    Args:
        image: gives the size and the device.
        cell: side of the squares that share one lambda. A network that sees lambda averaged over
            folded pixels or at coarser scales would otherwise learn from averages only, which are
            never near 1 or 10.
        generator: for repeatable numbers.
    """
    height, width = image.shape[-2:]
    cells = (len(image), 1, -(-height // cell), -(-width // cell))
    uniform = torch.rand(cells, generator=generator, device=image.device, dtype=image.dtype)
    plane = functional.interpolate(uniform, scale_factor=float(cell), mode="nearest")
    return math.log(MAX_ASYMMETRY) * plane[..., :height, :width]
