"""U-Net trunk (paper §9.1): features of every scale in one pass, each seeing the coarser ones."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from kpcn_core.model.residual import ResidualStack


class UNet(nn.Module):
    """Down by strided convolutions, up by repeated pixels, with added skip connections.

    Sums instead of concatenations keep the layers narrow, which is what a CPU pays for.

    Args:
        channels: width of each scale, finest first.
        blocks: residual blocks at the coarsest scale.
        refinement: residual blocks at the finest scale, after all others.
    """

    def __init__(self, channels: Sequence[int], blocks: int, refinement: int) -> None:
        super().__init__()
        pairs = list(pairwise(channels))
        self.shrink = nn.ModuleList(
            nn.Conv2d(fine, coarse, 3, stride=2, padding=1) for fine, coarse in pairs
        )
        self.down = nn.ModuleList(nn.Conv2d(wide, wide, 3, padding=1) for wide in channels[1:])
        self.bottom = ResidualStack(channels[-1], blocks)
        self.widen = nn.ModuleList(nn.Conv2d(coarse, fine, 1) for fine, coarse in pairs)
        self.up = nn.ModuleList(nn.Conv2d(wide, wide, 3, padding=1) for wide in channels[:-1])
        self.refine = ResidualStack(channels[0], refinement)
        self.blocks = blocks

    def forward(self, features: Tensor) -> list[Tensor]:
        """Features [B,C0,H,W] -> features of every scale [B,Cs,H/2^s,W/2^s], finest first.

        H and W must be multiples of 2 to the number of scales minus one.
        """
        skips = [features]
        for shrink, down in zip(self.shrink, self.down, strict=True):
            smaller = functional.relu(shrink(functional.relu(skips[-1])))
            skips.append(down(smaller))
        found = [self.bottom(skips.pop())]
        for widen, up in zip(reversed(self.widen), reversed(self.up), strict=True):
            larger = functional.interpolate(widen(functional.relu(found[-1])), scale_factor=2.0)
            found.append(up(functional.relu(larger + skips.pop())))
        found[-1] = self.refine(found[-1])
        return found[::-1]

    @property
    def footprint(self) -> int:
        """How far a feature can see, in pixels of the finest scale."""
        levels = len(self.shrink)
        # Per finer level: a strided layer, one layer on the way up, and the alignment of repeated
        # pixels; per coarser level: one layer on the way down; the blocks have two layers each.
        finer = sum(3 << level for level in range(levels))
        coarser = sum(1 << level for level in range(1, levels + 1))
        return finer + coarser + (2 * self.blocks << levels) + 2 * len(self.refine)
