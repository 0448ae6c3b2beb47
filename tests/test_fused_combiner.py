"""The fused combiner against its readable twin, in Triton's interpreter or on a GPU."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from kpcn_core.model.temporal import Context, TemporalFeatures

pytest.importorskip("triton", reason="Triton is not installed: pip install 'kpcn[fused]'")

from kpcn_core.model import streamed
from kpcn_core.ops import fused_combiner
from tests.networks import DEVICE

SIZE = (11, 19)  # of features; no multiple of what a program takes
Draw = Callable[..., Tensor]
Origin = tuple[int, int]


@pytest.fixture
def draw() -> Draw:
    generator = torch.Generator().manual_seed(5)
    return lambda *shape: torch.randn(*shape, generator=generator)


def random_module(
    channels: int, fold: int = 1, precision: torch.dtype = torch.float32
) -> TemporalFeatures:
    torch.manual_seed(0)
    module = TemporalFeatures(channels, 1, fold)
    for value in module.parameters():
        torch.nn.init.normal_(value, std=channels**-0.5)
    return module.to(DEVICE, precision)


def both(
    module: TemporalFeatures,
    features: list[Tensor],
    motion: list[Tensor],
    centre: int,
    origins: list[Origin] | None = None,
) -> tuple[Context, Context]:
    """What the kernel finds, and the module in float64 of the same numbers."""
    precision = module.centre.weight.dtype
    there = [
        each.to(DEVICE, precision).contiguous(memory_format=torch.channels_last)
        for each in features
    ]
    steps = [each.to(DEVICE) for each in motion]
    starts = origins or [(0, 0)] * len(there)
    with torch.inference_mode():
        found = streamed.combine(module, there, steps, centre, starts)
        exact = [each.double() for each in there]
        twin = module.double()(exact, [each.double() for each in steps], centre, starts)
    assert found.shared.is_contiguous(memory_format=torch.channels_last)
    assert found.shared.dtype == precision
    return found, twin


def assert_same(found: Context, twin: Context, close: float) -> None:
    assert len(found.links) == len(twin.links)
    pairs = [(found.shared, twin.shared), *zip(found.links, twin.links, strict=True)]
    for one, other in pairs:
        atol = close * max(1.0, float(other.abs().max()))
        assert_close(one.double().expand_as(other), other.double(), rtol=close, atol=atol)


@pytest.mark.parametrize(("frames", "centre"), [(2, 0), (3, 1), (4, 3), (5, 2)])
def test_a_window_is_its_twin(draw: Draw, frames: int, centre: int) -> None:
    features = [draw(1, 16, *SIZE) for _ in range(frames)]
    motion = [3 * draw(1, 2, *SIZE) for _ in range(frames)]
    assert_same(*both(random_module(16), features, motion, centre), close=1e-5)


@pytest.mark.parametrize("channels", [1, 20, 33, 64])
def test_any_number_of_channels_is_its_twin(draw: Draw, channels: int) -> None:
    features = [draw(1, channels, *SIZE) for _ in range(3)]
    motion = [draw(1, 2, *SIZE) for _ in range(3)]
    assert_same(*both(random_module(channels), features, motion, 1), close=1e-5)


# The interpreter multiplies the bits of bfloat16 as if they were integers.
@pytest.mark.parametrize(
    ("precision", "close"),
    [
        (torch.float16, 2e-3),
        pytest.param(
            torch.bfloat16,
            2e-2,
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(DEVICE.type == "cpu", reason="needs a CUDA device"),
            ],
        ),
    ],
)
@pytest.mark.parametrize("channels", [32, 96])
def test_half_precision_is_its_twin(
    draw: Draw, precision: torch.dtype, close: float, channels: int
) -> None:
    features = [draw(2, channels, *SIZE) for _ in range(3)]
    motion = [3 * draw(2, 2, *SIZE) for _ in range(3)]
    module = random_module(channels, precision=precision)
    assert_same(*both(module, features, motion, 1), close)


def test_components_side_by_side_share_their_images_motion(draw: Draw) -> None:
    features = [draw(3 * 2, 16, *SIZE) for _ in range(3)]
    motion = [3 * draw(2, 2, *SIZE) for _ in range(3)]
    assert_same(*both(random_module(16), features, motion, 1), close=1e-5)


@pytest.mark.parametrize("fold", [1, 2])
def test_frames_of_other_sizes_are_read_from_where_the_centre_starts(draw: Draw, fold: int) -> None:
    """Tiles: of the centre a part is there, of the others more, and some by chance less."""
    sizes = [(14, 24), SIZE, (12, 20), (5, 7)]
    features = [draw(1, 16, *size) for size in sizes]
    motion = [6 * draw(1, 2, *(fold * length for length in SIZE)) for _ in sizes]
    origins = [(2, 3), (0, 0), (1, 0), (-3, -4)]
    assert_same(*both(random_module(16, fold), features, motion, 1, origins), close=1e-5)


@pytest.mark.parametrize(
    ("value", "axis"), [(torch.nan, 0), (torch.inf, 1), (-torch.inf, 0), (1e30, 1), (-1e9, 0)]
)
def test_frames_that_motion_leaves_add_nothing(draw: Draw, value: float, axis: int) -> None:
    features = [draw(1, 16, *SIZE) for _ in range(3)]
    motion = [draw(1, 2, *SIZE) for _ in range(3)]
    motion[0][:, axis] = value
    motion[2][:, axis, ::2] = value
    module = random_module(16)
    found, twin = both(module, features, motion, 1)
    assert_same(found, twin, close=1e-5)
    assert not found.links[0].any()


def test_half_a_pixel_beyond_the_border_is_inside(draw: Draw) -> None:
    features = [draw(1, 16, *SIZE) for _ in range(2)]
    steps = torch.zeros(1, 2, *SIZE)
    steps[:, 0, :, 0], steps[:, 0, :, -1] = -0.5, 0.5
    steps[:, 1, 0], steps[:, 1, -1] = -0.75, 0.75
    found, twin = both(random_module(16), features, [steps, steps], 0)
    assert_same(found, twin, close=1e-5)
    assert found.links[1][..., 1:-1, 0].any()
    assert not found.links[1][..., 0, :].any()


def test_features_that_do_not_lie_pixel_by_pixel_are_read_as_well(draw: Draw) -> None:
    module, motion = random_module(16), [draw(1, 2, *SIZE).to(DEVICE) for _ in range(2)]
    features = [draw(1, 16, *SIZE).to(DEVICE) for _ in range(2)]
    # One float further than where fetches of several numbers may start.
    shifted = draw(16 * 11 * 19 + 1).to(DEVICE)[1:].view(1, *SIZE, 16).permute(0, 3, 1, 2)
    with torch.inference_mode():
        for other in (features[1], shifted):
            given = ([features[0], other], motion, 0, [(0, 0)] * 2)
            assert_same(streamed.combine(module, *given), module(*given), close=1e-5)


def test_more_channels_than_registers_hold_are_left_to_the_module(
    draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fused_combiner.fits(torch.empty(1, 128, 1, 1, dtype=torch.float16))
    assert not fused_combiner.fits(torch.empty(1, 129, 1, 1, dtype=torch.float16))
    monkeypatch.setattr(fused_combiner, "_launch", None)
    features, motion = [draw(1, 130, 3, 4)] * 2, [draw(1, 2, 3, 4)] * 2
    found, twin = both(random_module(130), features, motion, 1)
    assert_same(found, twin, close=1e-5)


def test_motion_of_another_size_is_refused(draw: Draw) -> None:
    features, motion = [draw(1, 16, *SIZE)] * 2, [draw(1, 2, 4, 4)] * 2
    with pytest.raises(ValueError, match="motion is"):
        both(random_module(16), features, motion, 0)
