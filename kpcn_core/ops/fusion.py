"""Triton's kernels in the place of torch's operations: where they can be, and how they start."""

from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

OLDEST = (3, 3)  # version of Triton whose kernels take tuples
# An image as kernels read it: its numbers, and the strides of its planes and its rows.
Image = tuple[Tensor, int, int]


def usable(image: Tensor) -> bool:
    """Whether an image is on a CUDA device, with Triton there and nothing to learn."""
    return image.device.type == "cuda" and not torch.is_grad_enabled() and installed()


@cache
def installed() -> bool:
    """Whether there is a Triton that knows what the kernels need."""
    if find_spec("triton") is None:
        return False
    import triton

    return tuple(int(part) for part in triton.__version__.split(".")[:2]) >= OLDEST


def strided(image: Tensor) -> Image:
    """The one image of a batch [1,C,H,W] in float32, for a kernel; parts of one are not copied."""
    if image.dtype != torch.float32 or image.stride(-1) != 1:
        image = image.float().contiguous()
    return image, image.stride(1), image.stride(2)


def launch(
    kernel: Any, programs: Sequence[int], like: Tensor, *given: Any, **constants: Any
) -> None:
    """Start a kernel on the device of a tensor.

    Args:
        kernel: of Triton.
        programs: how many, in each direction.
        like: the tensor.
        given: what the kernel takes, in its order.
        constants: what it is compiled for.
    """
    # Triton launches on the current device, which need not be the tensors'.
    with torch.cuda.device_of(like):  # type: ignore[no-untyped-call]
        kernel[tuple(programs)](*given, **constants)
