"""Kernel predictor (paper §3.1): features -> kernels of every pixel, before softmax."""

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
        # Half of the channels a pixel: unfolding the logits themselves would be far dearer.
        width = channels if fold == 1 else channels // 2
        self.unfold = (
            nn.Identity()
            if fold == 1
            else nn.Sequential(nn.Conv2d(channels, width * fold * fold, 1), nn.PixelShuffle(fold))
        )
        self.logits = nn.Linear(width, outputs)
        # All logits equal at first: training starts from box filters instead of random kernels.
        nn.init.zeros_(self.logits.weight)
        nn.init.zeros_(self.logits.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Features [B,C,H/fold,W/fold] -> logits [B,outputs,H,W]."""
        full = functional.relu(self.unfold(features))
        # A matrix product with the logits outermost: a channels-last convolution would give all
        # numbers of a pixel side by side, and turning them around costs more than the product.
        pixels = full.flatten(2).contiguous()
        weight = self.logits.weight.expand(pixels.shape[0], -1, -1)
        logits = torch.baddbmm(self.logits.bias[:, None], weight, pixels)
        return logits.view(pixels.shape[0], -1, full.shape[-2], full.shape[-1])
