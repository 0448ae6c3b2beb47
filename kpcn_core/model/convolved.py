"""`Network.encode` and what kernels are predicted from, on a GPU.

Same layers, same order. The products of layers are cuDNN's; all that is done to them one number at
a time is done in one pass (`ops.fused_sum`), or where cuDNN writes them.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from kpcn_core.model.encoder import Encoder
from kpcn_core.model.kernels import KernelPredictor
from kpcn_core.model.network import Network
from kpcn_core.model.residual import ResidualBlock
from kpcn_core.model.temporal import Context
from kpcn_core.model.unet import UNet

CHANNELS = 8  # of an image, what tensor cores read at a time


def read(network: Network, planes: Sequence[Tensor], encoder: str) -> list[Tensor]:
    """`Network.read` of planes that come folded, or not."""
    module = network.encoders[encoder]
    assert isinstance(module, Encoder)
    folded = [
        level
        if level.shape[1] == module.first.in_channels
        else functional.pixel_unshuffle(level, module.fold)
        for level in planes
    ]
    return [*(_encoded(module, level) for level in folded), *_of_pixels(module, folded[0])]


def trunk(network: Network, encoded: Sequence[Tensor]) -> list[Tensor]:
    """`Network.extract`."""
    module = network.trunk
    if isinstance(module, UNet):
        return [*_unet(module, encoded[0]), *encoded[1:]]
    return [residual(module, level) for level in encoded]


def residual(stack: nn.Module, features: Tensor, bright: Tensor | None = None) -> Tensor:
    """`ResidualStack.forward`; `bright` are the features after a ReLU, where they are known."""
    from kpcn_core.ops import fused_sum

    for block in stack.children():
        assert isinstance(block, ResidualBlock)
        inner = _rectified(block.first, functional.relu(features) if bright is None else bright)
        features, bright = fused_sum.finished(
            _product(block.second, inner), block.second.bias, features
        )
    return features


def unfolded(module: KernelPredictor, context: Context, frame: int | None) -> Tensor:
    """`KernelPredictor.unfolded` of the centre's features, or of another frame's."""
    from kpcn_core.ops import fused_sum

    if isinstance(module.unfold, nn.Identity):
        if frame is None:
            return module.unfolded(context.shared, context.pixels)
        return fused_sum.rectified(context.shared, None, context.links[frame])
    features, pixels = (
        (context.shared, context.pixels) if frame is None else (context.of(frame), None)
    )
    layer = module.unfold[0]
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    full, seen = fused_sum.unfolded(_product(layer, features), layer.bias, module.fold, pixels)
    if module.refine is None:
        return seen
    return fused_sum.rectified(_product(module.refine, seen), module.refine.bias, full)


def _encoded(module: Encoder, folded: Tensor) -> Tensor:
    """`Encoder.forward` of folded planes."""
    from kpcn_core.ops import fused_sum

    product = _product(module.second, _rectified(module.first, folded))
    return fused_sum.biased(product, module.second.bias)


def _of_pixels(module: Encoder, folded: Tensor) -> list[Tensor]:
    """`Encoder.of_pixels` of folded planes."""
    from kpcn_core.ops import fused_sum

    if module.pixels is None:
        return []
    weight, bias = module.folded_pixels()
    weight = weight.contiguous(memory_format=torch.channels_last)
    return [fused_sum.biased(functional.conv2d(folded, weight), bias)]


def _unet(module: UNet, features: Tensor) -> list[Tensor]:
    """`UNet.forward`."""
    from kpcn_core.ops import fused_sum

    skips, bright = [features], functional.relu(features)
    for shrink, down in zip(module.shrink, module.down, strict=True):
        smaller, bright = fused_sum.finished(
            _product(_conv(down), _rectified(_conv(shrink), bright)), _conv(down).bias, None
        )
        skips.append(smaller)
    found = [residual(module.bottom, skips.pop(), bright)]
    for widen, up in zip(reversed(module.widen), reversed(module.up), strict=True):
        wider, bias = _product(_conv(widen), functional.relu(found[-1])), _conv(widen).bias
        assert bias is not None
        larger = fused_sum.enlarged(wider, bias, skips.pop())
        plain, bright = fused_sum.finished(_product(_conv(up), larger), _conv(up).bias, None)
        found.append(plain)
    found[-1] = residual(module.refine, found[-1], bright)
    return found[::-1]


def _rectified(layer: nn.Conv2d, image: Tensor) -> Tensor:
    """A layer and a ReLU."""
    # Torch for other GPUs than NVIDIA's calls them the same, and has no cuDNN.
    if image.device.type != "cuda" or torch.version.hip is not None:
        return functional.relu(layer(image))
    weight, missing = layer.weight, -image.shape[1] % CHANNELS
    if missing:
        image, weight = (functional.pad(each, [0] * 5 + [missing]) for each in (image, weight))
    assert isinstance(layer.padding, tuple)
    return torch.cudnn_convolution_relu(
        image, weight, layer.bias, layer.stride, layer.padding, layer.dilation, layer.groups
    )


def _product(layer: nn.Conv2d, image: Tensor) -> Tensor:
    """A layer without its bias."""
    return functional.conv2d(
        image, layer.weight, None, layer.stride, layer.padding, layer.dilation, layer.groups
    )


def _conv(layer: nn.Module) -> nn.Conv2d:
    assert isinstance(layer, nn.Conv2d)
    return layer
