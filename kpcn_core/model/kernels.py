"""Kernel predictor (paper §3.1): features -> kernels of every pixel, before softmax."""

import math
from typing import NamedTuple, Optional

import torch
from torch import Tensor, nn
from torch.nn import functional

# Of the kernels that training starts from: deviation in pixels, and the logit of what is far away.
NARROW, LOWEST = 1.5, -12.0

Maybe = Optional[Tensor]  # noqa: UP045 (what exports compile: `export.single_frame`)


class KernelPredictor(nn.Module):
    """One layer to all logits of a pixel; folded features are unfolded to full resolution first.

    Args:
        channels: of the features.
        outputs: numbers a pixel: k*k for a kernel.
        fold: how many times smaller than the image the features are.
        pixels: channels of every pixel by itself that it also reads. A layer over those and what
            was unfolded sees beyond the cells of the features: it starts as nothing.
    """

    def __init__(self, channels: int, outputs: int, fold: int, pixels: int = 0) -> None:
        super().__init__()
        self.fold = fold
        width = self.width(channels, fold)
        self.unfold = (
            nn.Identity()
            if fold == 1
            else nn.Sequential(nn.Conv2d(channels, width * fold * fold, 1), nn.PixelShuffle(fold))
        )
        self.refine = nn.Conv2d(width + pixels, width, 3, padding=1) if pixels else None
        self.logits = nn.Linear(width, outputs)
        # All logits equal at first: training starts from box filters instead of random kernels.
        nn.init.zeros_(self.logits.weight)
        nn.init.zeros_(self.logits.bias)
        if self.refine is not None:
            nn.init.zeros_(self.refine.weight)
            nn.init.zeros_(self.refine.bias)  # type: ignore[arg-type]

    @torch.no_grad()
    def start_narrow(self) -> None:
        """Kernels start as a Gaussian instead of a box, for predictors of one large kernel.

        A box of 21x21 is so much worse than no filter at all that training begins with steps to
        the latter, where the softmax has no gradient any more (quality log, "The paper's network").
        """
        side = math.isqrt(self.logits.out_features)
        steps = torch.arange(side) - side // 2
        distances = steps[:, None] ** 2 + steps**2
        logits = (-distances / (2 * NARROW**2)).clamp(min=LOWEST)
        self.logits.bias.copy_(logits.flatten())

    @staticmethod
    def width(channels: int, fold: int) -> int:
        """How many numbers a pixel the last layer reads."""
        # Half of the channels: unfolding the logits themselves would be far dearer.
        return channels if fold == 1 else channels // 2

    def unfolded(self, features: Tensor, pixels: Maybe = None) -> Tensor:
        """What the last layer reads [B,C',H,W].

        Args:
            features: [B,C,H/fold,W/fold].
            pixels: of every pixel, folded [B,P*fold**2,H/fold,W/fold]; None where it reads none.
        """
        full = self.unfold(features)
        if self.refine is not None:
            assert pixels is not None
            seen = torch.cat([full, functional.pixel_shuffle(pixels, self.fold)], dim=1)
            full = full + self.refine(functional.relu(seen))
        return functional.relu(full)

    def forward(self, features: Tensor, pixels: Maybe = None) -> Tensor:
        """The logits [B,outputs,H,W]; arguments as of `unfolded`."""
        full = self.unfolded(features, pixels)
        return layer_logits(full, self.logits.weight, self.logits.bias)


class KernelLayer(NamedTuple):
    """Logits that need not be made: what makes them.

    Attributes:
        features: of every pixel [B,C,H,W].
        weight: of a layer [outputs,C].
        bias: of the same [outputs].
    """

    features: Tensor
    weight: Tensor
    bias: Tensor

    def logits(self) -> Tensor:
        """Make them [B,outputs,H,W]."""
        return layer_logits(*self)


def layer_logits(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """A layer applied to every pixel; see `KernelLayer`.

    Where features are of a lower precision than the layer, its weights are rounded like them, and
    the sums are not: what a GPU's products of matrices do.
    """
    # A matrix product with the logits outermost: a channels-last convolution would give all
    # numbers of a pixel side by side, and turning them around costs more than the product.
    pixels = features.flatten(2).contiguous().to(bias.dtype)
    rounded = weight.to(features.dtype).to(bias.dtype)
    logits = torch.baddbmm(bias[:, None], rounded.expand(pixels.shape[0], -1, -1), pixels)
    return logits.view(pixels.shape[0], -1, features.shape[-2], features.shape[-1])
