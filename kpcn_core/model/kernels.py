"""Kernel predictor (paper §3.1): features -> one k x k kernel per pixel, before softmax."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class KernelPredictor(nn.Module):
    """One layer to k*k logits; folded features are unfolded to full resolution before it."""

    def __init__(self, channels: int, kernel: int, fold: int) -> None:
        super().__init__()
        # Half of the channels a pixel: unfolding the k*k logits themselves would be far dearer.
        width = channels if fold == 1 else channels // 2
        self.unfold = (
            nn.Identity()
            if fold == 1
            else nn.Sequential(nn.Conv2d(channels, width * fold * fold, 1), nn.PixelShuffle(fold))
        )
        self.logits = nn.Linear(width, kernel * kernel)

    def forward(self, features: Tensor) -> Tensor:
        """Features [B,C,H/fold,W/fold] -> logits [B,k*k,H,W]."""
        full = functional.relu(self.unfold(features))
        # A matrix product with the taps outermost: a channels-last convolution would give k*k
        # numbers a pixel side by side, and turning them around costs more than the product.
        pixels = full.flatten(2).contiguous()
        weight = self.logits.weight.expand(len(pixels), -1, -1)
        logits = torch.baddbmm(self.logits.bias[:, None], weight, pixels)
        return logits.view(len(pixels), -1, *full.shape[-2:])
