"""Kernel predictor (paper §3.1): features -> kernels of every pixel, before softmax."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


class KernelPredictor(nn.Module):
    """One layer to all logits of a pixel; folded features are unfolded to full resolution first.

    Args:
        channels: of the features.
        outputs: numbers a pixel: k*k for a kernel.
        fold: how many times smaller than the image the features are.
    """

    def __init__(self, channels: int, outputs: int, fold: int) -> None:
        super().__init__()
        self.fold = fold
        width = self.width(channels, fold)
        self.unfold = (
            nn.Identity()
            if fold == 1
            else nn.Sequential(nn.Conv2d(channels, width * fold * fold, 1), nn.PixelShuffle(fold))
        )
        self.logits = nn.Linear(width, outputs)
        # All logits equal at first: training starts from box filters instead of random kernels.
        nn.init.zeros_(self.logits.weight)
        nn.init.zeros_(self.logits.bias)

    @staticmethod
    def width(channels: int, fold: int) -> int:
        """How many numbers a pixel the last layer reads."""
        # Half of the channels: unfolding the logits themselves would be far dearer.
        return channels if fold == 1 else channels // 2

    def unfolded(self, features: Tensor) -> Tensor:
        """What the last layer reads [B,C',H,W]."""
        return functional.relu(self.unfold(features))

    def forward(self, features: Tensor) -> Tensor:
        """Features [B,C,H/fold,W/fold] -> logits [B,outputs,H,W]."""
        return layer_logits(self.unfolded(features), self.logits.weight, self.logits.bias)


class KernelLayer(NamedTuple):
    """Logits that need not be made: what makes them.

    Attributes:
        features: of every pixel [B,C,H,W].
        weight: of a layer [outputs,C].
        bias: of the same [outputs].
    """

    features: Tensor
    weight: Tensor
    bias: Tensor

    def logits(self) -> Tensor:
        """Make them [B,outputs,H,W]."""
        return layer_logits(*self)


def layer_logits(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A layer applied to every pixel; see `KernelLayer`.

    Where features are of a lower precision than the layer, its weights are rounded like them, and
    the sums are not: what a GPU's products of matrices do.
    """
    # A matrix product with the logits outermost: a channels-last convolution would give all
    # numbers of a pixel side by side, and turning them around costs more than the product.
    pixels = features.flatten(2).contiguous().to(bias.dtype)
    rounded = weight.to(features.dtype).to(bias.dtype)
    logits = torch.baddbmm(bias[:, None], rounded.expand(pixels.shape[0], -1, -1), pixels)
    return logits.view(pixels.shape[0], -1, features.shape[-2], features.shape[-1])
