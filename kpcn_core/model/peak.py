"""How many bytes denoising holds at its peak for each pixel: what tiles are sized by."""

import torch

from kpcn_core.features import COMPONENTS, PLANES
from kpcn_core.model import blocks, encoding
from kpcn_core.model.config import KERNELS, RESIDUAL, ModelConfig
from kpcn_core.model.kernels import KernelPredictor
from kpcn_core.model.network import Network
from kpcn_core.ops import fusion

FLOAT = 4  # bytes


def bytes_per_pixel(
    network: Network,
    device: torch.device,
    planes: int,
    window: int = 1,
    kept: bool = False,
    twice: bool = False,
) -> int:
    """The most that the way holds by which a frame is denoised on a device, about.

    Args:
        network: denoises; nothing is learned meanwhile.
        device: where.
        planes: of all components and what is filtered like them, masks included.
        window: frames that are looked at.
        kept: the window is kept for another lambda.
        twice: and so is that of another pass, beside it.
    """
    beside = kept_of(network, planes, window) if kept and twice else 0
    return beside + _one_pass(network, device, planes, window, kept)


def _one_pass(network: Network, device: torch.device, planes: int, window: int, kept: bool) -> int:
    config, pixel = network.config, torch.empty(1, device=device)
    if fusion.usable(pixel):
        return on_a_gpu(config, planes, window, network.precision.itemsize)
    if not blocks.usable(network, pixel):
        return with_logits(config)
    if window > 1:
        return in_window(config, window, planes)
    return alone(config, planes, encoding.usable(network, pixel)) + kept * for_another_lambda(
        config
    )


def with_logits(config: ModelConfig) -> int:
    """Where all logits are in memory, of whatever window."""
    kernels = sum(side**2 for side in config.kernels.values())
    if _apart(config):
        # The logits of all components, with the softmax of one.
        kernels += 2 * next(iter(config.kernels.values())) ** 2
    width = config.channels[0]
    features = (4 + len(COMPONENTS) * _apart(config)) * width / config.fold**2 + width
    planes = 3 * max(sum(PLANES[name] for name in read) for read in config.encoders.values())
    return int(FLOAT * (2 * kernels + features + planes)) + 256


def alone(config: ModelConfig, planes: int, in_one_pass: bool) -> int:
    """A frame by itself, where no image of logits is made (`blocks`); as measured.

    Args:
        config: of the network.
        planes: see `bytes_per_pixel`.
        in_one_pass: layers are computed with all that surrounds them (`encoding`).
    """
    features = (4.5 if in_one_pass else 8) * config.channels[0] / config.fold**2
    return int(FLOAT * (features + 1.5 * config.pixels + planes))


def in_window(config: ModelConfig, frames: int, planes: int) -> int:
    """A window of two frames or more, whose centre is filtered by `blocks`; as measured.

    Args:
        config: of the network.
        frames: how many it has.
        planes: see `bytes_per_pixel`.
    """
    # A link of every frame, what is gathered and made from it; and images: of another frame more
    # than the tile, by how far the network sees and how far pixels move.
    cells = config.channels[0] / config.fold**2
    links = 1.05 * frames * _features(config)
    return int(FLOAT * (links + 2.5 * cells + 1.5 * config.pixels + 8 * planes))


def for_another_lambda(config: ModelConfig) -> int:
    """What is kept for another lambda: what the last layers read."""
    if config.asymmetry != KERNELS:
        return 0
    width = KernelPredictor.width(config.channels[0], config.fold)
    return int(FLOAT * 4 / 3 * (width + 1))


def kept_of(network: Network, planes: int, frames: int) -> int:
    """What stays of a window for another lambda; arguments as of `bytes_per_pixel`.

    As measured: tests/test_peak.py.
    """
    config, size = network.config, network.precision.itemsize
    # Of more frames than one their features, once more put together, and what the others add to
    # the centre at every scale; of one, what kernels are applied to.
    around = (frames + 1) * size * _features(config) if frames > 1 else 0.0
    images = (3.1 if frames > 1 else 1.34) * FLOAT * planes
    return int(around + images) + for_another_lambda(config)


def on_a_gpu(config: ModelConfig, planes: int, frames: int, size: int) -> int:
    """Where kernels are applied as they are predicted (`streamed`); logits are never made.

    What tensors hold was measured on torch's device "meta" (tests/test_peak.py), of frames by
    themselves and windows; this is a little more. What cuDNN takes is not in it.

    Args:
        config: of the network.
        planes: see `bytes_per_pixel`.
        frames: of the window.
        size: bytes of a number in the features.
    """
    finest = size * config.channels[0] / config.fold**2 * _images(config)
    width = KernelPredictor.width(config.channels[0], config.fold)
    # Where lambda enters kernels, what they are made from lies there once more.
    times = (5.5 if config.asymmetry == KERNELS else 4.2) * (config.fold > 1)
    unfolded = times * size * width
    if frames == 1:
        return int(6.4 * finest + unfolded + 5.7 * FLOAT * planes)
    return int(8.0 * finest + frames * size * _features(config) + unfolded + 7 * FLOAT * planes)


def _features(config: ModelConfig) -> float:
    """Numbers a pixel that are kept of a frame, at all scales."""
    if _apart(config):
        scales = sum(0.25**scale for scale in range(config.scales))
        return _images(config) * scales * config.channels[0] / config.fold**2
    return sum(
        channels / (config.fold << scale) ** 2 for scale, channels in enumerate(config.channels)
    )


def _images(config: ModelConfig) -> int:
    """How many images go through the network side by side for a frame."""
    return len(COMPONENTS) if _apart(config) else 1


def _apart(config: ModelConfig) -> bool:
    return config.trunk == RESIDUAL
