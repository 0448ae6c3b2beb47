"""Loss specialization (paper §4.3, Fig. 8): how conservative kernels shall be, pixel by pixel."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from kpcn_core.model.kernels import layer_logits

MAX_ASYMMETRY = 10.0  # networks are trained for 1 to this (paper §4.3)


class Specialization(nn.Module):
    """Changes features by the asymmetry lambda of every pixel, between extractor and kernels.

    What is before it can be cached; a new lambda costs this, the kernels and their application. At
    lambda = 1 it changes nothing, whatever its weights: the symmetric network stays as it was.

    All layers see single pixels. A lambda that differs from pixel to pixel, as in training, then
    acts like one that is the same everywhere, as a user gives it.

    Args:
        channels: of the features.
        blocks: residual blocks.
        fold: how many times smaller than the image the features are.
    """

    def __init__(self, channels: int, blocks: int, fold: int) -> None:
        super().__init__()
        self.fold = fold
        self.blocks = nn.ModuleList(SpecializationBlock(channels) for _ in range(blocks))

    def forward(self, features: Tensor, log_asymmetry: Tensor) -> Tensor:
        """Features [B,C,H/fold,W/fold], log(lambda) [B,1,H,W] -> [B,C,H/fold,W/fold]."""
        slope = functional.avg_pool2d(log_asymmetry, self.fold, ceil_mode=True)
        for block in self.blocks:
            features = block(features, slope)
        return features


class SpecializationBlock(nn.Module):
    """A residual block of two 1x1 layers, modulated by log(lambda)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 1)
        # Added to the first layer's result: the same as one more channel in its input, and faster.
        self.slope = nn.Conv2d(1, channels, 1, bias=False)
        self.second = nn.Conv2d(channels, channels, 1)

    def start_as_identity(self) -> None:
        """Set the weights so that features pass as they are."""
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor, log_asymmetry: Tensor) -> Tensor:
        """Features [B,C,H,W], log(lambda) [B,1,H,W] -> [B,C,H,W]."""
        inner = self.first(functional.relu(features)) + self.slope(log_asymmetry)
        change: Tensor = self.second(functional.relu(inner))
        return features + log_asymmetry * change


class KernelPowers(nn.Module):
    """Multiplies the weight of each tap by lambda to a power of its own, before the softmax.

    So log(lambda) times that power is added to its logit. The powers are predicted from what the
    logits are predicted from; that, and the kernels that have no powers, can be kept. At
    lambda = 1 nothing changes, whatever its weights.

    Args:
        channels: what the last layer of the `KernelPredictor` reads.
        outputs: numbers a pixel, one for each of its outputs that lambda changes.
    """

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.powers = nn.Linear(channels, outputs)

    def start_as_identity(self) -> None:
        """Set the weights so that no lambda changes anything."""
        nn.init.zeros_(self.powers.weight)
        nn.init.zeros_(self.powers.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Unfolded features [B,C,H,W] -> powers [B,outputs,H,W]."""
        return layer_logits(features, self.powers.weight, self.powers.bias)


def log_asymmetry(asymmetry: float | Tensor, image: Tensor) -> Tensor:
    """The plane of log(lambda) for an image [B,C,H,W], from a number or a layer [B,1,H,W].

    A painted layer may leave 1 to 10 at soft edges or where it is empty: it is clamped, and NaN
    counts as 1.

    Raises:
        ValueError: a number outside 1 to 10, or a layer that does not fit the image.
    """
    if isinstance(asymmetry, Tensor):
        if asymmetry.shape[1] != 1 or asymmetry.shape[-2:] != image.shape[-2:]:
            raise ValueError(
                f"an asymmetry layer must be [B,1,H,W] of an image {list(image.shape)}; "
                f"it is {list(asymmetry.shape)}"
            )
        plane = torch.nan_to_num(asymmetry, nan=1.0).clamp(1.0, MAX_ASYMMETRY).log()
        return plane.to(image.dtype).expand(len(image), -1, -1, -1)
    if not 1.0 <= asymmetry <= MAX_ASYMMETRY:
        raise ValueError(f"asymmetry must be 1 to {MAX_ASYMMETRY:g}; it is {asymmetry}")
    number = image.new_full((1, 1, 1, 1), math.log(asymmetry))
    return number.expand(len(image), -1, *image.shape[-2:])


def is_one_number(plane: Tensor) -> bool:
    """Whether a plane [B,1,H,W] is one number everywhere, by how it lies in memory."""
    return plane.stride()[-2:] == (0, 0)
