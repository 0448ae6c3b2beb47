"""Small networks with random kernels, for tests."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain

import torch

from kpcn_core.model.config import (
    COMPONENT_PLANES,
    FEATURES,
    KERNELS,
    RESIDUAL,
    UNET,
    ModelConfig,
)
from kpcn_core.model.error import ErrorPredictor
from kpcn_core.model.error_config import GUIDING_METRICS, ErrorConfig
from kpcn_core.model.kernels import KernelPredictor
from kpcn_core.model.network import Network
from kpcn_core.model.unet import UNet as UNetTrunk

# Where tests compute that have no reason to do so on a CPU. In single precision, for their limits:
# `Denoiser(network, DEVICE, precision="float32")`.
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")

# Every trunk, with and without folding.
NETWORKS = [(RESIDUAL, 1), (RESIDUAL, 2), (UNET, 1), (UNET, 2)]
# The same, and the one like `compact-pixels`, which keeps channels of every pixel.
EACH = [*((*one, FEATURES) for one in NETWORKS), (UNET, 2, KERNELS)]
# The same, and where lambda enters.
ASYMMETRIC = [(*one, FEATURES) for one in NETWORKS] + [(UNET, 1, KERNELS), (UNET, 2, KERNELS)]

SPLIT = (
    "irradiance", "irradiance_variance", "specular", "specular_variance", "emission",
    "albedo", "albedo_variance", "normal", "normal_variance",
)  # fmt: skip
WITHOUT_VARIANCE = tuple(name for name in COMPONENT_PLANES if not name.endswith("_variance"))
ENCODERS = {
    RESIDUAL: {"kpcn": COMPONENT_PLANES, "generic": WITHOUT_VARIANCE},
    UNET: {"kpcn": SPLIT, "generic": ("specular", "albedo", "normal")},
}


def small_config(
    trunk: str = UNET,
    fold: int = 1,
    kernels: int = 3,
    asymmetry: str = FEATURES,
    pixels: int | None = None,
) -> ModelConfig:
    """Eight channels, three scales; folded and with lambda in its kernels, also some of pixels."""
    if pixels is None:
        pixels = 4 * (trunk == UNET and fold > 1 and asymmetry == KERNELS)
    return ModelConfig(
        trunk=trunk,
        channels=(8,) if trunk == RESIDUAL else (32 if pixels else 8, 8, 8),
        blocks=1,
        refinement=int(trunk == UNET),
        pixels=pixels,
        kernels=dict.fromkeys(("irradiance", "specular", "emission", "albedo"), kernels),
        neighbours=kernels,
        fold=fold,
        scales=3,
        window_blocks=1,
        asymmetry=asymmetry,
        specialization=1,
        encoders=ENCODERS[trunk],
    )


def random_network(
    trunk: str = UNET,
    fold: int = 1,
    kernels: int = 3,
    seed: int = 0,
    encoders: Mapping[str, tuple[str, ...]] | None = None,
    asymmetry: str = FEATURES,
    pixels: int | None = None,
) -> Network:
    """A small network whose kernels are far from uniform, and all of whose modules do something."""
    torch.manual_seed(seed)
    config = small_config(trunk, fold, kernels, asymmetry, pixels)
    network = Network(replace(config, encoders=encoders or config.encoders))
    blocks = network.trunk.refine if isinstance(network.trunk, UNetTrunk) else network.trunk
    later = (network.temporal, network.specialization, network.alpha, blocks)
    for value in chain.from_iterable(part.parameters() for part in later if part is not None):
        torch.nn.init.normal_(value, std=0.2 * (8 / config.channels[0]) ** 0.5)
    for module in network.modules():
        if isinstance(module, KernelPredictor):
            # Of wide ones no more than of narrow ones: kernels of one tap would see nothing else.
            torch.nn.init.normal_(module.logits.weight, std=min(1.0, 8 / module.logits.in_features))
            if module.refine is not None:
                torch.nn.init.normal_(module.refine.weight, std=0.05)
    return network.eval()


def random_predictor(*metrics: str, fold: int = 2) -> ErrorPredictor:
    """A small predictor of these errors, default all, whose maps vary from pixel to pixel."""
    torch.manual_seed(0)
    config = ErrorConfig(metrics or GUIDING_METRICS, 8, 2, fold, deviation=True)
    return ErrorPredictor(config).eval()
