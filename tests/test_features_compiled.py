"""Components in one compiled pass against the readable way."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import Tensor
from torch.testing import assert_close

from kpcn_core import features, features_compiled

SIZES = [(5, 7), (33, 48), (40, 1)]  # more rows than a thread takes at once; less than a register


def light(size: tuple[int, int], seed: int) -> Tensor:
    image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(seed)).exp()
    flat = image.flatten()
    flat[1::11], flat[2::13], flat[3::17] = float("nan"), float("inf"), -float("inf")
    return image


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("divided", [False, True])
@pytest.mark.parametrize("varied", [False, True])
def test_one_pass_is_the_readable_way(
    size: tuple[int, int], count: int, divided: bool, varied: bool
) -> None:
    images = [light(size, seed) for seed in range(count)]
    variance = light(size, 7) if varied else None
    albedo = light(size, 8) - 1.0 if divided else None
    operands = ("specular", images, variance, torch.full((1, 1, 1, 1), 0.7), albedo)
    found, expected = features_compiled.component(*operands), features.component(*operands)
    assert_array_equal(found.valid.numpy(), expected.valid.numpy())
    assert_close(found.radiance, expected.radiance, rtol=1e-6, atol=0)
    assert np.isfinite(found.radiance.numpy()).all()
    if varied:
        assert found.variance is not None
        assert expected.variance is not None
        assert_close(found.variance, expected.variance, rtol=1e-6, atol=0)
    else:
        assert found.variance is None


def test_what_is_not_scaled_stays_what_it_is() -> None:
    image = light((4, 5), 0)
    found = features_compiled.component("albedo", [image], None)
    known = found.valid.expand_as(image) > 0
    assert_array_equal(found.radiance[known].numpy(), image[known].numpy())


@pytest.mark.parametrize("size", [(5, 7), (16, 16), (33, 48), (97, 40), (64, 1)])
def test_exposure_in_rows_is_that_of_the_whole(size: tuple[int, int]) -> None:
    for image in (light(size, 2), torch.zeros(1, 3, *size)):
        assert torch.equal(features_compiled.exposure(image), features.exposure(image))
