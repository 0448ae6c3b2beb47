"""Operators of `kpcn_core.ops` in a form that TorchScript and ONNX take.

The ones there have a gradient of their own or read globals. Tests keep both the same.
"""

import torch
from torch import Tensor
from torch.nn import functional

from kpcn_core.ops.kernels import LOGIT_RANGE, renormalized
from kpcn_core.ops.pyramid import down_masked


def filtered(image: Tensor, logits: Tensor, side: int, least: float = -LOGIT_RANGE) -> Tensor:
    """An image with its mask [B,C+1,H,W], averaged by softmax kernels [B,side*side,H,W]; likewise.

    Sums are float32, whatever the logits are.
    """
    weights = logits.float()
    weights = (weights - weights.amax(dim=1, keepdim=True)).clamp(min=least).exp()
    height, width = size_of(image)
    radius = side // 2
    padded = functional.pad(image, [radius, radius, radius, radius])
    total = torch.zeros_like(image)
    taps = torch.split(weights, 1, dim=1)
    for row in range(side):
        rows = padded[:, :, row : row + height]
        for column in range(side):
            total.addcmul_(taps[row * side + column], rows[:, :, :, column : column + width])
    return renormalized(total)


def join(fine: Tensor, coarse: Tensor, logits: Tensor) -> Tensor:
    """`ops.pyramid.interpolating_join_masked`."""
    low = down_masked(fine)
    height, width = size_of(low)
    nearest = functional.pad(coarse, [1, 1, 1, 1], mode="replicate")
    softmax = logits[:, :5].float().softmax(dim=1)
    weights = functional.pixel_unshuffle(softmax, 2).view(-1, 5, 4, height, width)
    quarters: list[Tensor] = []
    for quarter in range(4):
        y, x = 2 * (quarter // 2), 2 * (quarter % 2)
        weight = weights[:, :, quarter]
        total = weight[:, 4:5] * low
        for index, (row, column) in enumerate([(1, 1), (1, x), (y, 1), (y, x)]):
            there = nearest[:, :, row : row + height, column : column + width]
            total = total + weight[:, index : index + 1] * there
        quarters.append(total)
    joined = renormalized(functional.pixel_shuffle(torch.stack(quarters, dim=2).flatten(1, 2), 2))
    detail = (fine[:, :-1] - doubled(low[:, :-1])) * fine[:, -1:]
    added = torch.sigmoid(logits[:, 5:].float()) * detail
    return torch.cat([joined[:, :-1] + added, joined[:, -1:]], dim=1)


def doubled(image: Tensor) -> Tensor:
    """Every pixel repeated over a 2x2 block [B,C,2H,2W].

    `functional.interpolate` does so too, but drags operators that older releases of torch lack into
    the file.
    """
    height, width = size_of(image)
    blocks = image[:, :, :, None, :, None].expand(-1, -1, height, 2, width, 2)
    return blocks.reshape(image.shape[0], -1, 2 * height, 2 * width)


def size_of(image: Tensor) -> tuple[int, int]:
    """Height and width; plain numbers while ONNX is traced, too, whose sizes are fixed."""
    return int(image.shape[2]), int(image.shape[3])
