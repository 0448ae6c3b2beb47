"""What follows the product of a layer, in one pass over its numbers (Triton).

A convolution's bias, the sum with what skips it and a ReLU are a pass each in torch, and each takes
a GPU as long as the convolution. All images have their channels innermost ("channels last"); sums
are in float32, results in the precision of the product. For inference, like `ops.fused`.
"""

import torch
import triton
from torch import Tensor

from kpcn_core.ops import fusion
from kpcn_core.ops.fused_sum_kernel import enlarge_kernel, sum_kernel, unfold_kernel

TILE = 2048  # numbers of a program
TILE_PIXELS = 64


def finished(product: Tensor, bias: Tensor | None, skip: Tensor | None) -> tuple[Tensor, Tensor]:
    """The sum of all [B,C,H,W], which takes the memory of the product, and that after a ReLU."""
    product = _innermost(product)
    result = torch.empty_like(product)
    _sum(product, bias, skip, product, result)
    return product, result


def biased(product: Tensor, bias: Tensor | None) -> Tensor:
    """The sum of both [B,C,H,W], in the memory of the product."""
    product = _innermost(product)
    _sum(product, bias, None, product, None)
    return product


def rectified(product: Tensor, bias: Tensor | None, skip: Tensor | None) -> Tensor:
    """The sum of all after a ReLU [B,C,H,W]."""
    product = _innermost(product)
    result = torch.empty_like(product)
    _sum(product, bias, skip, None, result)
    return result


def enlarged(product: Tensor, bias: Tensor, skip: Tensor) -> Tensor:
    """A product over coarser pixels [B,C,H/2,W/2], repeated, its bias and a skip, after a ReLU.

    Args:
        product: without its bias.
        bias: [C].
        skip: [B,C,H,W], H and W even.
    """
    product, skip = _innermost(product), _innermost(skip)
    result = torch.empty_like(skip)
    fusion.launch(
        enlarge_kernel, [triton.cdiv(skip.numel(), TILE)], product,
        product, bias, skip, result, skip.shape[3], skip.numel(),
        CHANNELS=skip.shape[1], TILE=TILE,
    )  # fmt: skip
    return result


def unfolded(
    product: Tensor, bias: Tensor, fold: int, pixels: Tensor | None
) -> tuple[Tensor | None, Tensor]:
    """Cells as the pixels that they hold, see `torch.nn.PixelShuffle`.

    Args:
        product: of a layer over cells, without its bias [B,C*fold**2,h,w].
        bias: [C*fold**2].
        fold: pixels of a cell, along each side.
        pixels: what every pixel has by itself, folded [B,P*fold**2,h,w].

    Returns:
        The pixels [B,C,H,W], or None without pixels by themselves; both together after a ReLU
        [B,C+P,H,W].
    """
    product = _innermost(product)
    width = product.shape[1] // fold**2
    size = fold * product.shape[2], fold * product.shape[3]
    beside = 0 if pixels is None else pixels.shape[1] // fold**2
    full = None if pixels is None else _empty(product, width, size)
    seen = _empty(product, width + beside, size)
    count = len(product) * size[0] * size[1]
    fusion.launch(
        unfold_kernel, [triton.cdiv(count, TILE_PIXELS)], product,
        product, bias, product if pixels is None else _innermost(pixels),
        seen if full is None else full, seen, size[1], count,
        WIDTH=width, BESIDE=beside, FOLD=fold, KEEPS=full is not None, TILE=TILE_PIXELS,
        CHANNELS=triton.next_power_of_2(width + beside),
    )  # fmt: skip
    return full, seen


def _sum(
    product: Tensor,
    bias: Tensor | None,
    skip: Tensor | None,
    total: Tensor | None,
    result: Tensor | None,
) -> None:
    added = product if skip is None else _innermost(skip)
    if added.shape != product.shape:
        raise ValueError(f"a skip of {list(added.shape)} beside a product of {list(product.shape)}")
    fusion.launch(
        sum_kernel, [triton.cdiv(product.numel(), TILE)], product,
        product, product if bias is None else bias, added,
        product if total is None else total, product if result is None else result,
        product.numel(),
        CHANNELS=product.shape[1], BIASED=bias is not None, SKIPS=skip is not None,
        KEEPS=total is not None, RECTIFIES=result is not None, TILE=TILE,
    )  # fmt: skip


def _innermost(image: Tensor) -> Tensor:
    return image.contiguous(memory_format=torch.channels_last)


def _empty(like: Tensor, channels: int, size: tuple[int, int]) -> Tensor:
    return torch.empty(
        (len(like), channels, *size),
        dtype=like.dtype,
        device=like.device,
        memory_format=torch.channels_last,
    )
