"""Multi-scale reconstruction (paper §3.4, Fig. 4): denoise every scale, then join them."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from kpcn_core.features import signed_log
from kpcn_core.model.residual import ResidualStack
from kpcn_core.ops.pyramid import LEVELS, compose, join, up

Scale = TypeVar("Scale")


class ScaleWeight(nn.Module):
    """Shallow CNN from two adjacent scales to the alpha that joins them (Fig. 4, right)."""

    def __init__(self, channels: int = 32, blocks: int = 2) -> None:
        super().__init__()
        self.first = nn.Conv2d(6, channels, 3, padding=1)
        self.blocks = ResidualStack(channels, blocks)
        self.last = nn.Conv2d(channels, 1, 3, padding=1)
        # Training starts from alpha = 1/2 everywhere.
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Exposed colors [B,3,H,W] and [B,3,ceil(H/2),ceil(W/2)] -> alpha in 0..1 [B,1,H,W].

        NaN, where a scale had nothing to read, is seen as black.
        """
        height, width = fine.shape[-2:]
        seen = torch.cat([fine, up(coarse, height, width)], dim=1)
        features = self.first(signed_log(torch.nan_to_num(seen)))
        return torch.sigmoid(self.last(functional.relu(self.blocks(features))))

    @property
    def footprint(self) -> int:
        """How far a pixel of alpha can see, in pixels of the fine image."""
        return 2 + 2 * len(self.blocks)


class ScaleCompositor(nn.Module):
    """Joins denoised scales from the coarsest to the finest; one `ScaleWeight` for all joins."""

    def __init__(self, channels: int = 32, blocks: int = 2) -> None:
        super().__init__()
        self.alpha = ScaleWeight(channels, blocks)

    def forward(self, scales: list[Tensor]) -> Tensor:
        """Denoised colors [B,3,H,W], finest first, each half the size of the last -> [B,3,H,W]."""
        return compose(scales, self.weights(scales))

    def weights(self, scales: list[Tensor]) -> list[Tensor]:
        """The alpha of every join, coarsest first: `compose` joins further layers by them."""
        joined = scales[-1]
        alphas: list[Tensor] = []
        for level in range(len(scales) - 2, -1, -1):
            alpha = self.alpha(scales[level], joined)
            joined = join(scales[level], joined, alpha)
            alphas.append(alpha)
        return alphas


def denoise_scales(
    scales: Sequence[Scale], denoise: Callable[[Scale], Tensor], compositor: ScaleCompositor
) -> Tensor:
    """The whole of Fig. 4: one shared module denoises every scale, and the results are joined.

    Args:
        scales: inputs, finest first; see `features_pyramid.scales`.
        denoise: the single-frame or the temporal module, from one scale to its colors [B,3,H,W].
        compositor: joins them.
    """
    return compositor([denoise(scale) for scale in scales])  # type: ignore[no-any-return]


def footprint(module: int, alpha: int, levels: int = LEVELS) -> int:
    """How far, in pixels, an output pixel of `denoise_scales` can see in each direction.

    Args:
        module: how far the module that denoises a scale can see, in pixels of its scale.
        alpha: the footprint of the `ScaleWeight`.
        levels: how many scales there are.
    """
    farthest = joined = 0  # in pixels of the scale: what the output can see of the joined image
    for level in range(levels):
        coarsest = level == levels - 1
        # Beside what alpha sees, a join reads the 2x2 block around each pixel.
        denoised = joined if coarsest else joined + max(alpha, 1)
        pixel = 2**level
        farthest = max(farthest, (denoised + module) * pixel + pixel - 1)
        joined = (joined + alpha + 1) // 2
    return farthest
