"""The fused pyramid against its readable twin, in Triton's interpreter or on a GPU."""

import pytest
import torch
from torch.testing import assert_close

from kpcn_core.model.reconstruction import Image

pytest.importorskip("triton", reason="Triton is not installed: pip install 'kpcn[fused]'")

from kpcn_core.ops import fused_pyramid
from tests.networks import DEVICE


@pytest.mark.parametrize("channels", [1, 3, 7])
def test_it_is_its_twin(channels: int) -> None:
    generator = torch.Generator().manual_seed(7)
    radiance = torch.randn(2, channels, 24, 40, generator=generator)
    valid = (torch.randn(2, 1, 24, 40, generator=generator) > 0.5).float()
    found = fused_pyramid.pyramid(radiance.to(DEVICE), valid.to(DEVICE), 4)
    twin = Image(radiance, valid).pyramid(4)
    for one, other in zip(found, twin, strict=True):
        assert_close(one.cpu(), other)
