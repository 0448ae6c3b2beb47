"""Error predictor (paper §5): from a noisy and a denoised image to maps of the error left."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from kpcn_core.features import signed_log
from kpcn_core.model.error_config import TYPICAL, ErrorConfig
from kpcn_core.model.residual import ResidualStack

# What the plane of the deviation holds where the input does not say how noisy it is; else 0 to 1.
UNKNOWN = -1.0
SQUARE = 9  # side of the squares that it sees the means of, pixels
SQUARED = ("mrse",)  # metrics that grow with the square of a difference
CHANGE, UNCHANGED = 0.15, 0.02  # what `changed` typically is, and what stands for none
DARK = 1e-2  # keeps dark pixels from dominating, as in SMAPE


class ErrorPredictor(nn.Module):
    """Residual blocks, and a plane of errors for each metric.

    They see, and their output is a factor of, how much the denoiser changed the image. The network
    could find that out by itself, as the paper's does, but learns faster with it.
    """

    # TorchScript would compile them, and knows no dataclass.
    __jit_unused_properties__ = ("footprint", "bytes_per_pixel")
    units: Tensor
    powers: Tensor

    def __init__(self, config: ErrorConfig) -> None:
        super().__init__()
        self.config = config
        self.fold, self.reads_deviation = config.fold, config.deviation
        cell = config.fold**2
        planes = 6 + 2 * (1 + config.deviation)
        self.first = nn.Conv2d(planes * cell, config.channels, 3, padding=1)
        self.blocks = ResidualStack(config.channels, config.blocks)
        self.last = nn.Conv2d(config.channels, len(config.metrics) * cell, 3, padding=1)
        units = [TYPICAL[metric] for metric in config.metrics]
        powers = [2.0 if metric in SQUARED else 1.0 for metric in config.metrics]
        self.register_buffer("units", torch.tensor(units).view(1, -1, 1, 1))
        self.register_buffer("powers", torch.tensor(powers).view(1, -1, 1, 1))

    def forward(self, noisy: Tensor, denoised: Tensor, deviation: Tensor | None = None) -> Tensor:
        """Predict the errors of `denoised` against a reference that nobody has.

        Args:
            noisy: exposed colors, finite [B,3,H,W]; sides multiples of the fold.
            denoised: the same, denoised.
            deviation: `features.relative_deviation` of the noisy color [B,1,H,W], or `UNKNOWN`
                everywhere; if the predictor reads it.

        Returns:
            An error map for each metric, never negative [B,M,H,W].
        """
        change, mean_change = around(changed(noisy, denoised))
        seen = [signed_log(noisy), signed_log(denoised), change, mean_change]
        if self.reads_deviation:
            assert deviation is not None
            seen += around(deviation)
        folded = functional.pixel_unshuffle(torch.cat(seen, dim=1), self.fold)
        features = self.last(functional.relu(self.blocks(self.first(folded))))
        # What a filter leaves is in proportion to what it took away; the network says in which.
        # Metrics are not negative; a ReLU here could die on images without error.
        factor = functional.softplus(functional.pixel_shuffle(features, self.fold))
        return self.units * factor * typical(mean_change).pow(self.powers)

    @property
    def footprint(self) -> int:
        """How far, in pixels, an output pixel can see in each direction."""
        fold = self.config.fold
        return fold * (2 + 2 * self.config.blocks) + fold - 1 + SQUARE // 2

    @property
    def bytes_per_pixel(self) -> int:
        """Memory that a pixel takes at the peak, roughly."""
        planes = 4 * self.config.channels / self.config.fold**2 + 6 + 2 * len(self.config.metrics)
        return round(4 * planes)


def changed(noisy: Tensor, denoised: Tensor, dark: float = DARK) -> Tensor:
    """How much the denoiser changed each pixel, relative to it [B,1,H,W]; terms as of SMAPE."""
    difference = (noisy - denoised).abs()
    return (difference / (noisy.abs() + denoised.abs() + dark)).mean(dim=1, keepdim=True)


def around(plane: Tensor, side: int = SQUARE) -> list[Tensor]:
    """A plane [B,1,H,W], and its means over the square around each pixel."""
    mean = functional.avg_pool2d(plane, side, 1, side // 2, count_include_pad=False)
    return [plane, mean]


def typical(change: Tensor, unit: float = CHANGE, least: float = UNCHANGED) -> Tensor:
    """A mean of `changed` in units of what it typically is, and never 0."""
    return (change + least) / unit
