"""Memory for large images on a CPU."""

import math

import numpy as np
import torch
from torch import Tensor

LINE = 64  # bytes of a line of the cache, where registers are read and written fastest


def room(*shape: int) -> Tensor:
    """What `torch.empty` gives, float32: but a freed one makes room for the next one of its size.

    Torch asks for memory at a line of the cache, for which glibc wants some bytes more than a block
    of the same size has that was freed: each time for new pages of the system, which it has to
    clear, until other blocks beside it are free as well.
    """
    size = math.prod(shape)
    memory = np.empty(size + LINE // 4, np.float32)
    first = -memory.ctypes.data % LINE // 4
    return torch.from_numpy(memory[first : first + size]).view(shape)


def channels_last(channels: int, height: int, width: int) -> Tensor:
    """Room for an image [1,channels,height,width], the channels of a pixel side by side."""
    return room(1, height, width, channels).permute(0, 3, 1, 2)
