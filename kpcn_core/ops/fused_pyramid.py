"""An image with its mask, and every coarser one of it, a pass each (Triton).

The twin of `kernels.with_mask` and `pyramid.down_masked`. For inference, like `ops.fused`.
"""

import torch
import triton
from torch import Tensor

from kpcn_core.ops.fused_pyramid_kernel import halve_kernel, mask_kernel

TILE = 256  # pixels of a program


def pyramid(radiance: Tensor, valid: Tensor, scales: int) -> list[Tensor]:
    """The image with its mask at every scale, finest first [B,C+1,h,w], float32.

    Args:
        radiance: [B,C,H,W], H and W multiples of 2**(scales - 1).
        valid: more than 0 where a pixel may be read [B,1,H,W].
        scales: how many.
    """
    radiance, valid = (each.float().contiguous() for each in (radiance, valid))
    batch, channels, height, width = radiance.shape
    found = [radiance.new_empty((batch, channels + 1, height, width))]
    _launch(mask_kernel, height * width, radiance, valid, found[0])
    for _ in range(scales - 1):
        fine = found[-1]
        found.append(fine.new_empty((*fine.shape[:2], fine.shape[2] // 2, fine.shape[3] // 2)))
        _launch(halve_kernel, found[-1][0, 0].numel(), fine, found[-1], found[-1].shape[3])
    return found


def _launch(kernel: object, pixels: int, image: Tensor, *rest: object) -> None:
    """One pass over the pixels of every image."""
    channels = rest[-1].shape[1] - 1 if isinstance(rest[-1], Tensor) else image.shape[1] - 1
    # Triton launches on the current device, which need not be the tensors'.
    with torch.cuda.device_of(image):  # type: ignore[no-untyped-call]
        kernel[(triton.cdiv(pixels, TILE), len(image))](  # type: ignore[index]
            image, *rest, pixels, CHANNELS=channels, TILE=TILE
        )
