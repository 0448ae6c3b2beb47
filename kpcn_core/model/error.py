"""Error predictor (paper §5): from a noisy and a denoised image to a map of the error left."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from kpcn_core.features import signed_log
from kpcn_core.model.residual import ResidualStack

BLOCKS = 6
GUIDING_METRICS = ("smape", "mrse", "dssim", "ms_dssim")


class ErrorPredictor(nn.Module):
    """Six residual blocks, for one guiding metric.

    Args:
        channels: width of every layer.
        guides: further input planes, such as a relative deviation; the paper has none.
        blocks: residual blocks.
    """

    def __init__(self, channels: int = 32, guides: int = 0, blocks: int = BLOCKS) -> None:
        super().__init__()
        self.first = nn.Conv2d(6 + guides, channels, 3, padding=1)
        self.blocks = ResidualStack(channels, blocks)
        self.last = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, noisy: Tensor, denoised: Tensor, guides: Tensor | None = None) -> Tensor:
        """Predict the error of `denoised` against a reference that nobody has.

        Args:
            noisy: exposed colors, finite [B,3,H,W].
            denoised: the same, denoised.
            guides: further planes [B,G,H,W], if the network was built for them.

        Returns:
            The error map, never negative [B,1,H,W].
        """
        seen = [signed_log(noisy), signed_log(denoised)]
        if guides is not None:
            seen.append(guides)
        features = self.blocks(self.first(torch.cat(seen, dim=1)))
        # Metrics are not negative; a ReLU here could die on images without error.
        return functional.softplus(self.last(functional.relu(features)))

    @property
    def footprint(self) -> int:
        """How far, in pixels, an output pixel can see in each direction."""
        return 2 + 2 * len(self.blocks)


def error_predictors(
    metrics: tuple[str, ...] = GUIDING_METRICS, channels: int = 32, guides: int = 0
) -> nn.ModuleDict:
    """An `ErrorPredictor` for each metric: nothing is shared, so that each can be trained alone."""
    return nn.ModuleDict({metric: ErrorPredictor(channels, guides) for metric in metrics})
