"""The single-frame network (paper Fig. 2): encoder, residual blocks, kernel predictor."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kpcn_core.errors import UnknownName
from kpcn_core.features import PLANES
from kpcn_core.model.config import ModelConfig
from kpcn_core.model.encoder import Encoder
from kpcn_core.model.kernels import KernelPredictor
from kpcn_core.model.residual import ResidualStack


class Network(nn.Module):
    """From the input planes of one component to its kernels."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.encoders = nn.ModuleDict(
            {
                name: Encoder(sum(PLANES[plane] for plane in planes), config.channels, config.fold)
                for name, planes in config.encoders.items()
            }
        )
        self.spatial = ResidualStack(config.channels, config.blocks)
        self.kernels = KernelPredictor(config.channels, config.kernel, config.fold)
        self.apply(_xavier)
        # All logits equal at first: training starts from a box filter instead of random kernels.
        nn.init.zeros_(self.kernels.logits.weight)

    def forward(self, planes: Tensor, encoder: str) -> Tensor:
        """Input planes [B,P,H,W] of one source -> logits [B,k*k,H,W]; H, W multiples of fold."""
        features = self.spatial(self.encoders[encoder](planes))
        logits: Tensor = self.kernels(features)
        return logits

    def stack(self, planes: Mapping[str, Tensor], encoder: str) -> Tensor:
        """Concatenate named planes [B,c,H,W] in the order that an encoder reads them."""
        return torch.cat([planes[name] for name in self.planes_of(encoder)], dim=1)

    def planes_of(self, encoder: str) -> tuple[str, ...]:
        """Names of the planes that an encoder reads."""
        if encoder not in self.config.encoders:
            raise UnknownName(
                f"The network has no encoder '{encoder}'; it has {', '.join(self.config.encoders)}."
            )
        return self.config.encoders[encoder]

    @property
    def footprint(self) -> int:
        """How far, in pixels, an output pixel can see in each direction."""
        convolutions = 2 + 2 * self.config.blocks
        # The pixels that share a folded cell see each other, hence fold - 1.
        features = convolutions * self.config.fold + self.config.fold - 1
        return max(features, self.config.kernel // 2)

    @property
    def bytes_per_pixel(self) -> int:
        """Most float32 bytes that filtering one pixel holds at a time, rounded up.

        Either the logits with their softmax (three copies) or the features of a residual block
        (four) beside the input planes; the filtered image is small.
        """
        config = self.config
        features = 4 * config.channels / config.fold**2 + config.channels
        planes = 2 * max(sum(PLANES[name] for name in read) for read in config.encoders.values())
        return int(4 * (max(3 * config.kernel**2, features) + planes + config.channels)) + 64


def _xavier(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
