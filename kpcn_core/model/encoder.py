"""Source-aware encoder (paper §3.2): the only part that differs between sources."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class Encoder(nn.Module):
    """Two 3x3 convolutions from one source's input planes to the common features.

    Args:
        planes: of the source.
        channels: of the features.
        fold: pixels of a cell, along each side, that share a feature.
        pixels: channels that are kept of every pixel by itself, beside those.
    """

    def __init__(self, planes: int, channels: int, fold: int, pixels: int = 0) -> None:
        super().__init__()
        self.fold = fold
        self.first = nn.Conv2d(planes * fold * fold, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.pixels = nn.Conv2d(planes, pixels, 1) if pixels else None

    def forward(self, planes: Tensor) -> Tensor:
        """Input planes [B,P,H,W], H and W multiples of fold -> features [B,C,H/fold,W/fold]."""
        folded = functional.pixel_unshuffle(planes, self.fold)
        features: Tensor = self.second(functional.relu(self.first(folded)))
        return features

    def of_pixels(self, planes: Tensor) -> list[Tensor]:
        """What is kept of every pixel, folded [B,pixels*fold**2,H/fold,W/fold]; if anything is."""
        if self.pixels is None:
            return []
        return [functional.pixel_unshuffle(self.pixels(planes), self.fold)]

    def folded_pixels(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the 1x1 layer that makes `of_pixels` of planes that come folded."""
        assert self.pixels is not None
        assert self.pixels.bias is not None
        weight, count = self.pixels.weight, self.fold**2
        every = torch.kron(weight.flatten(1), torch.eye(count).to(weight))
        return every[..., None, None], self.pixels.bias.repeat_interleave(count)
