"""The CPU's way to gather the features of a window, against the readable one."""

import pytest
import torch
from torch.testing import assert_close

from kpcn_core.model.combining import combine
from kpcn_core.model.temporal import TemporalFeatures

CHANNELS, SIZE = 16, (18, 70)


def random_module(fold: int) -> TemporalFeatures:
    torch.manual_seed(0)
    module = TemporalFeatures(CHANNELS, 1, fold)
    for value in module.parameters():
        torch.nn.init.normal_(value, std=0.2)
    return module


def channels_last(height: int, width: int) -> torch.Tensor:
    size = (1, CHANNELS, height, width)
    return torch.randn(size).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("fold", [1, 2])
@pytest.mark.parametrize("kind", ["smooth", "wild", "nowhere"])
@torch.inference_mode()
def test_features_are_those_of_the_module(fold: int, kind: str) -> None:
    """Of other sizes than the centre, and with motion that leaves them."""
    module = random_module(fold)
    features = [channels_last(20, 80), channels_last(*SIZE), channels_last(*SIZE)]
    pixels = (SIZE[0] * fold, SIZE[1] * fold)
    steps = {
        "smooth": torch.linspace(-3, 3, pixels[1]).expand(1, 2, *pixels),
        "wild": 20 * torch.randn(1, 2, *pixels),
        "nowhere": torch.full((1, 2, *pixels), torch.nan),
    }[kind]
    given = (features, [steps] * 3, 1, [(1, 4), (0, 0), (0, 0)])
    found, expected = combine(module, *given), module(*given)
    assert_close(found.shared, expected.shared, rtol=1e-4, atol=1e-4)
    for frame in range(3):
        assert_close(found.links[frame], expected.links[frame], rtol=1e-4, atol=1e-5)
