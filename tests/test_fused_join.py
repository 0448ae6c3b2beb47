"""The fused join against its readable twin in float64, in Triton's interpreter or on a GPU."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from kpcn_core.model.kernels import layer_logits
from kpcn_core.ops.kernels import renormalized, with_mask
from kpcn_core.ops.pyramid import interpolating_join_masked

pytest.importorskip("triton", reason="Triton is not installed: pip install 'kpcn[fused]'")

from kpcn_core.ops import fused_join
from tests.networks import DEVICE


@pytest.fixture
def draw() -> Callable[..., Tensor]:
    generator = torch.Generator().manual_seed(5)
    return lambda *shape: torch.randn(*shape, generator=generator)


def masked(
    draw: Callable[..., Tensor], channels: int, size: tuple[int, int], least: float
) -> Tensor:
    """An image with holes [2,C+1,H,W]."""
    return with_mask(draw(2, channels, *size).abs(), (draw(2, 1, *size) > least).float())


@pytest.mark.parametrize("channels", [3, 7])
@pytest.mark.parametrize("least", [-9.0, -0.5, 0.8])
def test_it_is_its_twin(draw: Callable[..., Tensor], channels: int, least: float) -> None:
    sums = masked(draw, channels, (10, 26), least) * draw(2, 1, 10, 26).abs()
    coarse = masked(draw, channels, (5, 13), least)
    layer = draw(2, 20, 10, 26), draw(6, 20) / 2, 3 * draw(6)
    found = fused_join.joined(*(each.to(DEVICE) for each in (sums, coarse, *layer))).cpu()
    logits = layer_logits(*(each.double() for each in layer))
    twin = interpolating_join_masked(renormalized(sums.double()), coarse.double(), logits)
    assert_close(found.double(), twin, rtol=1e-5, atol=1e-5)


def test_images_that_do_not_fit_are_refused(draw: Callable[..., Tensor]) -> None:
    sums, layer = draw(1, 4, 8, 8), (draw(1, 16, 8, 8), draw(6, 16), draw(6))
    with pytest.raises(ValueError, match="coarse is"):
        fused_join.joined(sums, draw(1, 4, 4, 5), *layer)
    with pytest.raises(ValueError, match="features are"):
        fused_join.joined(sums, draw(1, 4, 4, 4), layer[0][..., 1:], *layer[1:])
