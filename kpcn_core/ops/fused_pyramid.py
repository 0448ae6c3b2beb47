"""An image with its mask, and every coarser one of it, a pass each (Triton).

The twin of `kernels.with_mask` and `pyramid.down_masked`. For inference, like `ops.fused`.
"""

import triton
from torch import Tensor

from kpcn_core.ops import fusion
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
    sizes = {"CHANNELS": channels, "TILE": TILE}
    fusion.launch(
        mask_kernel, [triton.cdiv(height * width, TILE), batch], radiance,
        radiance, valid, found[0], height * width, **sizes,
    )  # fmt: skip
    for _ in range(scales - 1):
        fine = found[-1]
        height, width = height // 2, width // 2
        found.append(fine.new_empty((batch, channels + 1, height, width)))
        fusion.launch(
            halve_kernel, [triton.cdiv(height * width, TILE), batch], fine,
            fine, found[-1], width, height * width, **sizes,
        )  # fmt: skip
    return found
