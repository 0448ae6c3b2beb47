"""The alpha that joins two scales (paper §3.4, Eq. 5; Fig. 4, right)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from kpcn_core.features import signed_log
from kpcn_core.model.residual import ResidualStack
from kpcn_core.ops.pyramid import up


class ScaleWeight(nn.Module):
    """Shallow CNN from two adjacent scales to their alpha; one for all joins."""

    def __init__(self, channels: int = 32, blocks: int = 2) -> None:
        super().__init__()
        self.first = nn.Conv2d(6, channels, 3, padding=1)
        self.blocks = ResidualStack(channels, blocks)
        self.last = nn.Conv2d(channels, 1, 3, padding=1)

    def start_at_half(self) -> None:
        """Set the weights so that alpha is 1/2 everywhere."""
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Exposed colors [B,3,H,W] and [B,3,ceil(H/2),ceil(W/2)] -> alpha in 0..1 [B,1,H,W].

        NaN, where a scale had nothing to read, is seen as black.
        """
        height, width = fine.shape[-2:]
        seen = torch.cat([fine, up(coarse, height, width)], dim=1)
        planes = signed_log(torch.nan_to_num(seen)).to(self.first.weight.dtype)
        found = self.last(functional.relu(self.blocks(self.first(planes))))
        return torch.sigmoid(found.to(fine.dtype))

    @property
    def footprint(self) -> int:
        """How far a pixel of alpha can see, in pixels of the fine image."""
        return 2 + 2 * len(self.blocks)
