"""The fused kernel against its readable twin in float64, in Triton's interpreter or on a GPU."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from kpcn_core.features import COMPONENTS, LIGHT
from kpcn_core.model.config import KERNELS, UNET
from kpcn_core.model.kernels import KernelPredictor
from kpcn_core.model.temporal import Context
from kpcn_core.ops.kernels import normalized, with_mask
from kpcn_core.ops.reposition import Share, masked_share, masked_share_in_place, together

pytest.importorskip("triton", reason="Triton is not installed: pip install 'kpcn[fused]'")

from kpcn_core.ops import fused
from tests.networks import DEVICE, random_network

ON_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.fixture
def draw() -> Callable[..., Tensor]:
    generator = torch.Generator().manual_seed(3)
    return lambda *shape: torch.randn(*shape, generator=generator)


def masked(draw: Callable[..., Tensor], batch: int, channels: int, size: tuple[int, int]) -> Tensor:
    """An image with holes [B,C+1,H,W]."""
    return with_mask(draw(batch, channels, *size).abs(), (draw(batch, 1, *size) > -0.7).float())


def logits_of(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return torch.einsum("bchw,tc->bthw", features.double(), weight.double()) + bias.double().view(
        1, -1, 1, 1
    )


def fused_share(features: Tensor, weight: Tensor, bias: Tensor, *rest: object) -> Share:
    given = [_there(one) for one in rest]
    found = fused.share(features.to(DEVICE), weight.to(DEVICE), bias.to(DEVICE), *given)  # type: ignore[arg-type]
    return Share(found.sums.cpu(), found.peak.cpu())


def _there(given: object) -> object:
    if isinstance(given, Share):
        return Share(*(part.to(DEVICE) for part in given))
    return given.to(DEVICE) if isinstance(given, Tensor) else given


@pytest.mark.parametrize(("side", "channels", "layers"), [(3, 16, 3), (5, 20, 3), (21, 24, 1)])
def test_a_frame_is_its_twin(
    draw: Callable[..., Tensor], side: int, channels: int, layers: int
) -> None:
    features, weight = draw(2, channels, 7, 11), draw(side**2, channels) / 4
    bias, image = draw(side**2), masked(draw, 2, layers, (7, 11))
    found = normalized(fused_share(features, weight, bias, image).sums)
    twin = masked_share_in_place(image.double(), logits_of(features, weight, bias))
    assert_close(found.double(), normalized(twin.sums), rtol=1e-5, atol=1e-6, equal_nan=True)


def test_a_window_is_normalized_together_with_kernels_moved_and_frames_lost(
    draw: Callable[..., Tensor],
) -> None:
    weight, bias = draw(25, 16) / 2, draw(25)
    motion = [None, 4 * draw(1, 2, 9, 8), torch.full((1, 2, 9, 8), torch.nan)]
    images = [masked(draw, 1, 3, (9, 8)), masked(draw, 1, 3, (12, 10)), masked(draw, 1, 3, (9, 8))]
    found, shares = None, []
    for image, vectors, origin in zip(images, motion, [(0, 0), (1, 2), (0, 0)], strict=True):
        features = draw(1, 16, 9, 8)
        found = fused_share(features, weight, bias, image, vectors, origin, found)
        logits = logits_of(features, weight, bias)
        shares.append(
            masked_share_in_place(image.double(), logits)
            if vectors is None
            else masked_share(image.double(), logits, vectors.double(), origin)
        )
    assert found is not None
    twin = normalized(together(shares).sums)
    assert_close(normalized(found.sums).double(), twin, rtol=1e-5, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("layers", [4, 7, 15, 16, 33])
def test_any_number_of_layers_rides_along(draw: Callable[..., Tensor], layers: int) -> None:
    features, weight, bias = draw(1, 16, 4, 5), draw(9, 16), draw(9)
    image = masked(draw, 1, layers, (4, 5))
    first = fused_share(features, weight, bias, image)
    found = fused_share(features, weight, bias, image, None, (0, 0), first)
    one = masked_share_in_place(image.double(), logits_of(features, weight, bias))
    twin = normalized(together([one, one]).sums)
    assert_close(normalized(found.sums).double(), twin, rtol=1e-5, atol=1e-6, equal_nan=True)


# The interpreter multiplies the bits of bfloat16 as if they were integers.
@pytest.mark.parametrize(
    "dtype", [torch.float16, pytest.param(torch.bfloat16, marks=[pytest.mark.gpu, ON_GPU])]
)
def test_half_precision_features_are_summed_in_float32(
    draw: Callable[..., Tensor], dtype: torch.dtype
) -> None:
    features, weight, bias = draw(1, 32, 6, 6).to(dtype), (draw(25, 32) / 6).to(dtype), draw(25)
    image = masked(draw, 1, 3, (6, 6))
    image[:, :-1] *= 1e6  # beyond the range of float16
    found = normalized(fused_share(features, weight, bias, image).sums)
    twin = masked_share_in_place(image.double(), logits_of(features, weight, bias))
    assert_close(found.double(), normalized(twin.sums), rtol=1e-5, atol=1.0, equal_nan=True)


@pytest.mark.parametrize("precision", [torch.float32, torch.float16])
def test_a_painted_lambda_in_the_kernels_is_its_twin_and_stays_in_the_features_precision(
    draw: Callable[..., Tensor], precision: torch.dtype
) -> None:
    network = random_network(UNET, 2, asymmetry=KERNELS).in_precision(precision).to(DEVICE)
    slope = draw(1, 1, 8, 12).abs().to(DEVICE)
    config = network.config
    shared = (2 * draw(1, config.channels[0], 4, 6)).to(DEVICE, precision)
    pixels = draw(1, config.pixels * config.fold**2, 4, 6).to(DEVICE, precision)
    context = Context(shared, [torch.zeros_like(shared)], slope, pixels)
    with torch.inference_mode():
        logits = network.logits(context, 0, COMPONENTS)
        layers = network.kernel_layers(context, 0, COMPONENTS)
        for name in COMPONENTS:
            image = masked(draw, 1, 3, (8, 12)).to(DEVICE)
            assert layers[name].features.dtype == precision
            found = normalized(fused.share(*layers[name], image).sums)
            twin = masked_share_in_place(image.double(), logits[name].double())
            close = 1e-5 if precision == torch.float32 else 2e-2
            expected = normalized(twin.sums).float()
            assert_close(found, expected, rtol=close, atol=close / 10, equal_nan=True)
    width = KernelPredictor.width(config.channels[0], config.fold)
    steered = {name for name in COMPONENTS if layers[name].features.shape[1] > width}
    assert steered == {*LIGHT}


def test_logits_far_apart_and_masked_favourites_leave_a_number(
    draw: Callable[..., Tensor],
) -> None:
    features, weight, bias = draw(1, 16, 3, 3), torch.zeros(9, 16), torch.zeros(9)
    bias[4] = 500.0  # the centre, which may not be read
    image = with_mask(torch.rand(1, 1, 3, 3), torch.ones(1, 1, 3, 3))
    image[..., 1, 1] = 0.0
    found = normalized(fused_share(features, weight, bias, image).sums)
    around = image[0, 0].flatten()[[0, 1, 2, 3, 5, 6, 7, 8]].mean()
    assert_close(found[0, 0, 1, 1], around)


def test_a_constant_window_stays_constant(draw: Callable[..., Tensor]) -> None:
    image = with_mask(torch.full((1, 3, 6, 7), 0.25))
    found = None
    for vectors in (None, draw(1, 2, 6, 7)):
        parts = draw(1, 16, 6, 7), draw(49, 16), draw(49)
        found = fused_share(*parts, image, vectors, (0, 0), found)
    assert found is not None
    assert_close(normalized(found.sums), image[:, :-1])


def test_it_compiles_for_a_gpu_that_is_not_there_without_spilling(tmp_path: Path) -> None:
    environment = os.environ | {"TRITON_INTERPRET": "0"}
    words = ["-m", "benchmarks.fused_code", "--precision", "fp16", "--channels", "64"]
    output = tmp_path / "code.json"
    subprocess.run(
        [sys.executable, *words, "--json", str(output)],
        check=True, env=environment, cwd=Path(__file__).parents[1], capture_output=True,
    )  # fmt: skip
    (row,) = json.loads(output.read_text())["rows"]
    assert row["spilled"] == 0
    assert 10 < row["sums"] < 60
