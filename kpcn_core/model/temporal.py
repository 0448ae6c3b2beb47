"""Temporal module (paper §3.3, Fig. 3): features of a window -> features of each of its frames.

The paper has one layer and one kernel predictor for each position in the window. Here all frames
but the centre share theirs, so that a network runs with any window: longer, shorter, or with more
frames on one side than on the other.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from kpcn_core.model.residual import ResidualBlock, ResidualStack
from kpcn_core.ops.pyramid import down_motion
from kpcn_core.ops.warp import warp


class Context(NamedTuple):
    """What kernels are predicted from, at one scale.

    Attributes:
        shared: features of the window, at the pixels of the centre frame [B,C,h,w].
        links: of every frame, what is added to those for its kernels [B,C,h,w]; of the centre, 0,
            which may be one number [1,1,1,1].
        slope: log(lambda) of the centre's kernels at every pixel [B,1,H,W]; None where lambda is 1
            or has changed the features.
        pixels: of every pixel of the centre frame, folded (`Encoder`) [B,P,h,w]; None if the
            network keeps none at this scale.
    """

    shared: Tensor
    links: list[Tensor]
    slope: Tensor | None = None
    pixels: Tensor | None = None

    def of(self, frame: int) -> Tensor:
        """Features that a frame's kernels are predicted from."""
        return self.shared + self.links[frame]


class TemporalFeatures(nn.Module):
    """Gathers the features of all frames along motion and compares them with the centre's.

    A frame that is not there, and one that motion leaves, add nothing: both look the same.
    Training starts from the features of the centre frame alone.

    Args:
        channels: of the features.
        blocks: residual blocks after the gathering; the paper has 3.
        fold: how many times smaller than the image the features are.
    """

    def __init__(self, channels: int, blocks: int, fold: int) -> None:
        super().__init__()
        self.fold = fold
        # Two layers whose sum is one layer over both frames, concatenated.
        self.centre = nn.Conv2d(channels, channels, 1)
        self.other = nn.Conv2d(channels, channels, 1, bias=False)
        self.gather = nn.Conv2d(channels, channels, 1)
        self.link = nn.Conv2d(channels, channels, 1)
        self.blocks = ResidualStack(channels, blocks)

    def start_as_identity(self) -> None:
        """Set the weights so that the centre's features pass as they are."""
        for layer in (self.gather, self.link):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        for block in self.blocks:
            assert isinstance(block, ResidualBlock)
            nn.init.zeros_(block.second.weight)
            nn.init.zeros_(block.second.bias)  # type: ignore[arg-type]

    def forward(
        self,
        features: list[Tensor],
        motion: list[Tensor],
        centre: int,
        origins: list[tuple[int, int]],
    ) -> Context:
        """Features of every frame -> features for the kernels of each.

        Args:
            features: of the frames in order [B,C,H/fold,W/fold].
            motion: from the centre frame to each, in pixels [B',2,H,W], see `per_component`; the
                centre's is not read.
            centre: index of the centre frame.
            origins: row and column, in each frame's features, of the centre's first feature.
        """
        here = features[centre]
        asked = self.centre(here)
        gathered, count = torch.zeros_like(here), torch.zeros_like(here[:, :1])
        links: list[Tensor] = []
        for frame, there in enumerate(features):
            if frame == centre:
                links.append(torch.zeros_like(here))
                continue
            steps = per_component(down_motion(motion[frame], self.fold), here)
            moved, inside = warp(there, steps, origins[frame])
            pair = functional.relu(asked + self.other(moved))
            gathered = gathered + self.gather(pair) * inside
            count = count + inside
            links.append(self.link(pair) * inside)
        # The mean, so that windows of any length look alike.
        return Context(self.blocks(here + gathered / count.clamp(min=1.0)), links)


def per_component(plane: Tensor, like: Tensor) -> Tensor:
    """A plane of each image, repeated for the components that lie side by side in a batch."""
    return plane.repeat(like.shape[0] // plane.shape[0], 1, 1, 1)
