"""What follows a layer's product against torch's passes, in Triton's interpreter or on a GPU."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

from kpcn_core.model import convolved
from kpcn_core.model.kernels import KernelPredictor
from kpcn_core.model.residual import ResidualStack
from kpcn_core.model.temporal import Context

pytest.importorskip("triton", reason="Triton is not installed: pip install 'kpcn[fused]'")

from kpcn_core.ops import fused_sum
from tests.networks import DEVICE


@pytest.fixture
def draw() -> Callable[..., Tensor]:
    generator = torch.Generator().manual_seed(9)
    return lambda *shape: torch.randn(*shape, generator=generator).to(DEVICE)


def test_a_bias_a_skip_and_a_relu(draw: Callable[..., Tensor]) -> None:
    product, bias, skip = draw(2, 20, 9, 31), draw(20), draw(2, 20, 9, 31)
    expected = product + bias.view(1, -1, 1, 1) + skip
    total, bright = fused_sum.finished(product.clone(), bias, skip)
    assert_close(total, expected)
    assert_close(bright, functional.relu(expected))
    assert_close(fused_sum.rectified(product, None, None), functional.relu(product))


def test_half_precision_is_rounded_once(draw: Callable[..., Tensor]) -> None:
    product, bias, skip = draw(1, 16, 5, 5).half(), draw(16).half(), draw(1, 16, 5, 5).half()
    expected = product.float() + bias.float().view(1, -1, 1, 1) + skip.float()
    total, _ = fused_sum.finished(product.clone(), bias, skip)
    assert torch.equal(total, expected.half())


def test_a_skip_of_another_size_is_refused(draw: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match="a skip of"):
        fused_sum.rectified(draw(1, 16, 4, 4), None, draw(1, 16, 4, 5))


def test_coarse_pixels_are_repeated(draw: Callable[..., Tensor]) -> None:
    product, bias, skip = draw(2, 20, 3, 17), draw(20), draw(2, 20, 6, 34)
    wide = functional.interpolate(product + bias.view(1, -1, 1, 1), scale_factor=2.0)
    assert_close(fused_sum.enlarged(product, bias, skip), functional.relu(wide + skip))


@pytest.mark.parametrize("pixels", [0, 5])
def test_cells_are_unfolded(draw: Callable[..., Tensor], pixels: int) -> None:
    module = KernelPredictor(24, 9, 2, pixels).to(DEVICE)
    if module.refine is not None:
        torch.nn.init.normal_(module.refine.weight, std=0.1)
    features, beside = draw(2, 24, 5, 7), draw(2, 4 * pixels, 5, 7) if pixels else None
    with torch.inference_mode():
        context = Context(features, [], pixels=beside)
        found = convolved.unfolded(module, context, None)
        assert_close(found, module.unfolded(features, beside), rtol=1e-5, atol=1e-5)


def test_residual_blocks(draw: Callable[..., Tensor]) -> None:
    stack = ResidualStack(16, 3).to(DEVICE)
    features = draw(3, 16, 6, 8)
    with torch.inference_mode():
        found = convolved.residual(stack, features.clone())
        assert_close(found, stack(features), rtol=1e-5, atol=1e-5)
