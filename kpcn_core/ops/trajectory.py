"""Where the pixels of a window's centre frame are in its other frames (paper §3.3)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from kpcn_core.ops.reposition import targets


def trajectories(
    forward: Sequence[Tensor], backward: Sequence[Tensor], centre: int
) -> list[Tensor]:
    """Motion from the centre frame to every frame of a window.

    Args:
        forward: of each frame, where its pixels are in the next one: pixels, +x right, +y down
            [B,2,H,W]. Those of the last frame, and before the centre, are not read.
        backward: of each frame, where its pixels were in the previous one, likewise.
        centre: index of the centre frame.

    Returns:
        One motion a frame [B,2,H,W]; zero for the centre, NaN from where a pixel leaves the image.
    """
    motion = [torch.zeros_like(forward[centre])] * len(forward)
    for frame in range(centre, len(forward) - 1):
        motion[frame + 1] = follow(motion[frame], forward[frame])
    for frame in range(centre, 0, -1):
        motion[frame - 1] = follow(motion[frame], backward[frame])
    return motion


def follow(motion: Tensor, step: Tensor) -> Tensor:
    """Motion to a frame, continued by the step [B,2,H,W] from that frame to the next.

    The step is taken from the nearest pixel: the mean of two surfaces that move apart leads to
    neither of them. NaN where motion leaves the image.
    """
    index, inside = targets(motion, step.shape[-2], step.shape[-1])
    taken = step.flatten(2).gather(2, index.flatten(1)[:, None].expand(-1, 2, -1))
    return torch.where(inside > 0, motion + taken.view_as(step), torch.nan)
