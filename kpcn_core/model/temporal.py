"""Temporal module (paper §3.3, Fig. 3): features of a window -> kernels for each of its frames."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kpcn_core.model.kernels import KernelPredictor
from kpcn_core.model.residual import ResidualBlock, ResidualStack
from kpcn_core.ops.pyramid import down_motion
from kpcn_core.ops.reposition import joint, share
from kpcn_core.ops.warp import warp


class TemporalFeatures(nn.Module):
    """Gathers the features of all frames along motion, and extracts the window's own from them.

    Built for `before` + 1 + `after` frames, it runs with any window that is not longer on either
    side. A frame that is not there, and one that motion leaves, add nothing: both look the same.
    Training starts from the features of the centre frame alone.

    Args:
        channels: of the features.
        before: frames before the centre, at most.
        after: frames after the centre, at most.
        blocks: residual blocks.
        fold: how many times smaller than the image the features are.
    """

    def __init__(
        self, channels: int, before: int, after: int, blocks: int = 3, fold: int = 1
    ) -> None:
        super().__init__()
        self.before, self.after, self.fold = before, after, fold
        # One layer over the concatenated frames is the sum of one layer for each. Where a frame is
        # masked it gives 0 instead of its bias, as if the mask were concatenated too.
        self.gather = nn.ModuleList(
            _gather_layer(channels, centre=slot == before) for slot in range(before + 1 + after)
        )
        self.blocks = ResidualStack(channels, blocks)
        _start_as_identity(self.blocks)

    def forward(self, features: list[Tensor], motion: list[Tensor], centre: int) -> Tensor:
        """Features of every frame -> features of the window, at the pixels of the centre frame.

        Args:
            features: of the frames in order [B,C,H/fold,W/fold].
            motion: from the centre frame to each, in pixels [B,2,H,W]; the centre's is not read.
            centre: index of the centre frame.
        """
        if centre > self.before or len(features) - 1 - centre > self.after:
            raise ValueError(
                f"{centre} frames before and {len(features) - 1 - centre} after the centre; "
                f"the network takes {self.before} and {self.after}"
            )
        gathered = torch.zeros_like(features[centre])
        for slot, layer in enumerate(self.gather):
            frame = slot - self.before + centre
            if frame == centre:
                gathered = gathered + layer(features[centre])
            elif 0 <= frame < len(features):
                there, inside = warp(features[frame], down_motion(motion[frame], self.fold))
                gathered = gathered + layer(there) * inside
        context: Tensor = self.blocks(gathered)
        return context


class WindowKernels(nn.Module):
    """A kernel predictor for each frame of a window, by its position relative to the centre.

    Args:
        channels: of the features.
        kernel: side of the kernels, odd.
        fold: how many times smaller than the image the features are.
        before: frames before the centre, at most.
        after: frames after the centre, at most.
        neighbours: side of the kernels of all frames but the centre. Smaller ones, down to the 3x3
            that motion's rounding needs, cost less; the paper has them all the same.
    """

    def __init__(
        self,
        channels: int,
        kernel: int,
        fold: int,
        before: int,
        after: int,
        neighbours: int | None = None,
    ) -> None:
        super().__init__()
        self.before, self.after = before, after
        others = kernel if neighbours is None else neighbours
        sides = [others] * before + [kernel] + [others] * after
        self.predictors = nn.ModuleList(KernelPredictor(channels, side, fold) for side in sides)

    def forward(self, context: Tensor, position: int) -> Tensor:
        """Window features [B,C,H/fold,W/fold] -> logits [B,k*k,H,W] of a frame.

        Args:
            context: see `TemporalFeatures`.
            position: of the frame; 0 is the centre, negative ones are before it.
        """
        if not -self.before <= position <= self.after:
            raise ValueError(
                f"position {position}; the network takes {-self.before} to {self.after}"
            )
        logits: Tensor = self.predictors[self.before + position](context)
        return logits

    def start_from(self, single: KernelPredictor) -> None:
        """Give every frame the kernels of a single-frame network: training starts from them.

        The joint softmax of equal kernels is the mean of the frames, each filtered alone. Smaller
        kernels get the middle of the larger one.
        """
        state = single.state_dict()
        for predictor in self.predictors:
            assert isinstance(predictor, KernelPredictor)
            middle = _middle(single.logits.out_features, predictor.logits.out_features)
            logits = {name: state[name][middle] for name in ("logits.weight", "logits.bias")}
            predictor.load_state_dict(state | logits)


def filter_frames(
    context: Tensor,
    kernels: WindowKernels,
    radiance: Sequence[Tensor],
    motion: Sequence[Tensor],
    valid: Sequence[Tensor],
    centre: int,
) -> Tensor:
    """The right end of Fig. 3: predict kernels, normalize them together, and sum.

    Without gradients it holds the logits of one frame at a time.

    Args:
        context: features of the window [B,C,H/fold,W/fold].
        kernels: predicts the logits of each frame.
        radiance: linear values of every frame [B,C,H,W].
        motion: from the centre frame to each [B,2,H,W]; zero for the centre.
        valid: 1 where a pixel of a frame may be read [B,1,H,W].
        centre: index of the centre frame.

    Returns:
        The centre frame [B,C,H,W]; NaN where no kernel covers a valid pixel.
    """
    frames = zip(radiance, motion, valid, strict=True)
    return joint(
        [
            share(image, kernels(context, index - centre), vectors, mask)
            for index, (image, vectors, mask) in enumerate(frames)
        ]
    )


def _gather_layer(channels: int, centre: bool) -> nn.Conv2d:
    layer = nn.Conv2d(channels, channels, 1)
    (nn.init.dirac_ if centre else nn.init.zeros_)(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def _start_as_identity(blocks: ResidualStack) -> None:
    for block in blocks:
        assert isinstance(block, ResidualBlock)
        nn.init.zeros_(block.second.weight)
        nn.init.zeros_(block.second.bias)  # type: ignore[arg-type]


def _middle(taps: int, kept: int) -> Tensor:
    """Indices of the middle `kept` of `taps`, both the area of a square with an odd side."""
    side, inner = math.isqrt(taps), math.isqrt(kept)
    edge = (side - inner) // 2
    square = torch.arange(taps).view(side, side)
    return square[edge : edge + inner, edge : edge + inner].flatten()
