"""What the layer over pixels reads, a few rows at a time, against the readable way."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn
from torch.nn import functional

from kpcn_core.model.blocks import Refinement
from kpcn_core.model.kernels import KernelPredictor
from kpcn_core.model.temporal import Context
from kpcn_core.ops.unfold import panels, unfold_rows

HEIGHT, WIDTH = 12, 150  # of more cells a row than are done at a time


def predictor() -> tuple[KernelPredictor, Context]:
    torch.manual_seed(0)
    module = KernelPredictor(32, 9, fold=2, pixels=3)
    assert module.refine is not None
    torch.nn.init.normal_(module.refine.weight, std=0.2)
    torch.nn.init.normal_(module.refine.bias)  # type: ignore[arg-type]
    size = (HEIGHT // 2, WIDTH // 2)
    shared, own = torch.randn(1, 32, *size), torch.randn(1, 3 * 4, *size)
    return module, Context(shared, [torch.zeros(1, 1, 1, 1)], pixels=own)


@pytest.mark.parametrize(("first", "count"), [(0, 12), (-1, 6), (3, 4), (7, 6), (11, 1)])
@torch.inference_mode()
def test_rows_are_those_of_the_whole_image(first: int, count: int) -> None:
    module, context = predictor()
    assert context.pixels is not None
    assert isinstance(module.unfold, nn.Sequential)
    layer = module.unfold[0]
    assert isinstance(layer, nn.Conv2d)
    assert layer.bias is not None
    out = np.full((count, WIDTH, 16 + 3), np.nan, np.float32)
    unfold_rows(
        context.shared[0].permute(1, 2, 0).contiguous().numpy(),
        context.pixels[0].permute(1, 2, 0).contiguous().numpy(),
        *panels(layer.weight.flatten(1).numpy(), layer.bias.numpy()),
        first,
        out,
    )
    whole = torch.cat(
        [module.unfold(context.shared), functional.pixel_shuffle(context.pixels, 2)], 1
    )
    around = functional.pad(whole, [0, 0, 1, 1])[0].permute(1, 2, 0).numpy()
    assert_allclose(out, around[first + 1 : first + 1 + count], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("first", "last"), [(0, 12), (0, 4), (4, 10), (10, 12)])
@torch.inference_mode()
def test_refined_rows_are_what_the_last_layer_reads(first: int, last: int) -> None:
    module, context = predictor()
    found = np.maximum(Refinement.of(module, context).rows(first, last), 0)
    expected = module.unfolded(context.shared, context.pixels)[0].permute(1, 2, 0).numpy()
    assert_allclose(found, expected[first:last], rtol=0, atol=5e-5)
