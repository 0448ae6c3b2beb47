"""Direct prediction: what kernel prediction is compared with (paper §6.3, §7.2, §8).

Nothing but training and its validation runs these networks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from kpcn_core import inference
from kpcn_core.features import COMPONENTS, Component, signed_log
from kpcn_core.model.config import RESIDUAL, ModelConfig
from kpcn_core.model.kernels import KernelPredictor
from kpcn_core.model.network import Network
from kpcn_core.ops.pyramid import down_motion
from kpcn_core.ops.warp import warp
from training.batches import Shot

COLORS = 3


class DirectNetwork(nn.Module):
    """Encoders and trunk as in kernel prediction, and a layer that predicts colors.

    The layer reads the finest features and gives, for each component, what is to be added to the
    `signed_log` of its noisy color. It starts from 0: from the noisy image.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.extractor = feature_extractor(config)
        together = 1 if self.extractor.apart else len(COMPONENTS)
        # The layer that elsewhere gives logits: the same layers, other numbers.
        self.colors = KernelPredictor(
            config.channels[0], COLORS * together, config.fold, config.pixels
        )

    def forward(
        self, window: Sequence[Shot], motion: Sequence[Tensor], centre: int, encoder: str
    ) -> dict[str, Tensor]:
        """Denoise the centre frame.

        Args:
            window: frames in order, of any size.
            motion: from the centre to each, pixels [B,2,H,W].
            centre: index of the centre frame.
            encoder: name of the encoder that reads them.

        Returns:
            Component to its denoised image [B,3,H,W], in exposed units.
        """
        shot = window[centre]
        return self.predict(*self.features(shot, encoder), shot.parts)

    def features(self, shot: Shot, encoder: str) -> tuple[Tensor, Tensor | None]:
        """The finest features of a frame [B,C,h,w], of its size rounded up to the alignment.

        And those of every pixel, if the network keeps any (`Encoder`).
        """
        found = inference.encode(self.extractor, shot.parts, shot.aovs, encoder)
        return found[0], found[-1] if self.config.pixels else None

    def predict(
        self, features: Tensor, pixels: Tensor | None, parts: Mapping[str, Component]
    ) -> dict[str, Tensor]:
        """The components' colors from features at their pixels."""
        found = self.colors(features, pixels)
        names = list(parts) if self.extractor.apart else COMPONENTS
        dim = 0 if self.extractor.apart else 1
        change = dict(zip(names, found.chunk(len(names), dim), strict=True))
        height, width = next(iter(parts.values())).valid.shape[-2:]
        return {
            name: signed_exp(signed_log(part.radiance) + change[name][..., :height, :width])
            for name, part in parts.items()
        }

    def planes_of(self, encoder: str) -> tuple[str, ...]:
        """Names of the planes that an encoder reads."""
        return self.extractor.planes_of(encoder)


class RecurrentDirectNetwork(DirectNetwork):
    """R-DP: gathers the features of past frames one after the other, and predicts colors.

    Frames after the centre are not read.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        self.combiner = RecurrentCombiner(config.channels[0])

    def forward(
        self, window: Sequence[Shot], motion: Sequence[Tensor], centre: int, encoder: str
    ) -> dict[str, Tensor]:
        """As `DirectNetwork`, from the centre frame and those before it."""
        here, pixels = self.features(window[centre], encoder)
        state = torch.zeros_like(here)
        for shot, vectors in zip(window[:centre], motion[:centre], strict=True):
            there, _ = self.features(shot, encoder)
            moved, inside = warp(there, self._motion(vectors, like=there))
            state = torch.where(inside > 0, self.combiner(moved, state), state)
        return self.predict(self.combiner(here, state), pixels, window[centre].parts)

    def _motion(self, vectors: Tensor, like: Tensor) -> Tensor:
        """Motion of features, repeated for components that lie side by side in the batch."""
        config = self.extractor.config
        # No number leads nowhere: what is beyond the image reads nothing of other frames.
        grown = inference.padded(vectors, config.alignment, torch.nan)
        small = down_motion(grown, config.fold)
        return small.repeat(like.shape[0] // small.shape[0], 1, 1, 1)


class RecurrentCombiner(nn.Module):
    """One step through a sequence: the features of a frame, and what came before it.

    Training starts from the features of the frame alone.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        # Two layers whose sum is one layer over both, concatenated.
        self.frame = nn.Conv2d(channels, channels, 3, padding=1)
        self.before = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.last = nn.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor, state: Tensor) -> Tensor:
        """Features of a frame and the state before it -> the state after it, all [B,C,h,w]."""
        inner = self.frame(functional.relu(features)) + self.before(functional.relu(state))
        seen: Tensor = features + self.last(functional.relu(inner))
        return seen


def feature_extractor(config: ModelConfig) -> Network:
    """The encoders and the trunk of a network, with the same first weights as in all of it.

    A residual trunk reads the finest scale only.
    """
    network = Network(replace(config, scales=1) if config.trunk == RESIDUAL else config)
    del network.temporal, network.specialization, network.alpha, network.centre, network.other
    return network


def signed_exp(values: Tensor) -> Tensor:
    """sign(x) (exp(|x|) - 1), the inverse of `signed_log`."""
    # Of the two derivatives at 0, which add up, one is 1 and the other 0: black pixels learn too.
    return values.clamp(min=0.0).expm1() - functional.relu(-values).expm1()
