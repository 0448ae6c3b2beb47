"""The temporal module: windows of any size, features along motion, kernels for every frame."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.testing import assert_close

from kpcn_core.model.kernels import KernelPredictor
from kpcn_core.model.temporal import TemporalFeatures, WindowKernels, filter_frames
from kpcn_core.ops.kernels import apply_kernels
from kpcn_core.ops.reposition import filter_window
from kpcn_core.ops.trajectory import trajectories
from kpcn_core.ops.warp import warp
from kpcn_core.sequence_window import FrameCache, windows

CHANNELS = 6
SIZE = (8, 10)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(11)


def random_module(before: int = 3, after: int = 3, fold: int = 1) -> TemporalFeatures:
    """One that does something to every frame."""
    module = TemporalFeatures(CHANNELS, before, after, blocks=1, fold=fold)
    for value in module.parameters():
        nn.init.normal_(value, std=0.2)
    return module


def random_kernels(before: int = 3, after: int = 3) -> WindowKernels:
    kernels = WindowKernels(CHANNELS, 3, 1, before, after)
    for value in kernels.parameters():
        nn.init.normal_(value)
    return kernels


def several(frames: int, make: Callable[..., Tensor], channels: int) -> list[Tensor]:
    return [make(1, channels, *SIZE) for _ in range(frames)]


def vectors(x: float, y: float) -> Tensor:
    return torch.tensor([float(x), float(y)]).view(1, 2, 1, 1).expand(1, 2, *SIZE)


# --- sequence_window ---


def test_windows_shorten_at_the_ends_of_a_shot_and_their_centre_is_the_frame() -> None:
    shot = range(1001, 1006)
    found = list(windows(shot, 2, 1))
    assert [list(window) for window, _ in found] == [
        [1001, 1002],
        [1001, 1002, 1003],
        [1001, 1002, 1003, 1004],
        [1002, 1003, 1004, 1005],
        [1003, 1004, 1005],
    ]
    assert [window[centre] for window, centre in found] == list(shot)


def test_windows_of_a_shot_on_twos_hold_frames_that_exist() -> None:
    assert [list(window) for window, _ in windows(range(1, 6, 2), 1, 1)] == [
        [1, 3], [1, 3, 5], [3, 5],
    ]  # fmt: skip


def test_the_cache_makes_each_frame_once_and_forgets_what_leaves_the_window() -> None:
    made = []
    alive = set()

    class Features:
        def __init__(self, frame: int) -> None:
            self.frame = frame
            made.append(frame)
            alive.add(frame)

        def __del__(self) -> None:
            alive.discard(self.frame)

    cache = FrameCache(Features)
    for window, _ in windows(range(10), 2, 2):
        assert [features.frame for features in cache.of(window)] == list(window)
        assert alive == set(window)
    assert made == list(range(10))


# --- trajectories ---


def test_trajectories_add_up_steps_in_both_directions() -> None:
    steps = [vectors(1, -1)] * 4
    back = [vectors(-1, 1)] * 4
    motion = trajectories(steps, back, centre=1)
    for frame, lead in enumerate((-1, 0, 1, 2)):
        there = motion[frame][..., 2:-2, 2:-2]
        assert_close(there, vectors(lead, -lead)[..., 2:-2, 2:-2])


def test_a_trajectory_follows_the_surface_that_it_meets() -> None:
    """The second step is that of the pixel reached, not of the pixel where the way began"""
    first, second = vectors(2, 0), torch.zeros(1, 2, *SIZE)
    second[:, 1, 4, 7] = 3.0
    motion = trajectories([first, second, second], [first] * 3, centre=0)[2]
    assert motion[0, :, 4, 5].tolist() == [2, 3]
    assert motion[0, :, 4, 7].tolist() == [2, 0]


def test_a_pixel_that_left_the_image_stays_lost() -> None:
    steps = [vectors(9, 0), vectors(-9, 0), vectors(0, 0)]
    motion = trajectories(steps, steps, centre=0)[2]
    assert motion[..., 1:].isnan().all()
    assert motion[..., 0].isfinite().all()


# --- features of a window ---


def concatenated(module: TemporalFeatures, warped: list[Tensor], inside: list[Tensor]) -> Tensor:
    """Fig. 3 as it is drawn: features and masks concatenated, one layer, residual blocks."""
    layers = [layer for layer in module.gather if isinstance(layer, nn.Conv2d)]
    weight = torch.cat([layer.weight for layer in layers], dim=1)
    biases = torch.stack([layer.bias for layer in layers if layer.bias is not None], dim=1)
    masked = [features * mask for features, mask in zip(warped, inside, strict=True)]
    planes = torch.cat([*masked, *inside], dim=1)
    weight = torch.cat([weight, biases[..., None, None]], dim=1)
    context = functional.conv2d(planes, weight)
    for block in module.blocks.children():
        context = block(context)
    return context


@pytest.mark.parametrize(("frames", "centre"), [(7, 3), (5, 2), (3, 1), (1, 0), (4, 0), (5, 3)])
def test_any_window_matches_the_concatenation_with_what_is_missing_as_zeros(
    frames: int, centre: int
) -> None:
    module = random_module()
    features = several(frames, torch.randn, CHANNELS)
    motion = [3 * vector for vector in several(frames, torch.randn, 2)]
    motion[centre].zero_()
    nothing = (torch.zeros(1, CHANNELS, *SIZE), torch.zeros(1, 1, *SIZE))
    slots = [nothing] * 7
    for frame in range(frames):
        slots[3 - centre + frame] = warp(features[frame], motion[frame])
    expected = concatenated(module, *map(list, zip(*slots, strict=True)))
    assert_close(module(features, motion, centre), expected, rtol=1e-4, atol=1e-5)


def test_frames_that_motion_leaves_look_like_missing_ones() -> None:
    module = random_module()
    features, still = several(3, torch.randn, CHANNELS), vectors(0, 0)
    left = [vectors(torch.nan, 0), still, vectors(0, 99)]
    assert_close(module(features, left, 1), module(features[1:2], [still], 0))


def test_features_are_fetched_along_motion() -> None:
    module = random_module(before=0, after=1)
    centre, following = several(2, torch.randn, CHANNELS)
    moved = torch.roll(following, (1, 2), dims=(2, 3))
    still = module([centre, following], [vectors(0, 0)] * 2, 0)
    fetched = module([centre, moved], [vectors(0, 0), vectors(2, 1)], 0)
    assert_close(fetched[..., :-3, :-4], still[..., :-3, :-4])


def test_a_fresh_module_gives_the_features_of_the_single_frame() -> None:
    module = TemporalFeatures(CHANNELS, 3, 3)
    features = several(5, torch.randn, CHANNELS)
    motion = several(5, torch.randn, 2)
    assert_close(module(features, motion, 2), features[2])
    module(features, motion, 2).square().sum().backward()
    moved = [layer.get_parameter("weight").grad for layer in module.gather]
    assert all(gradient is not None and gradient.any() for gradient in moved[1:6])


def test_folded_features_read_motion_in_pixels_of_the_image() -> None:
    features = [torch.randn(1, CHANNELS, 4, 5) for _ in range(2)]
    motion = [vectors(0, 0), vectors(4, 2)]
    halved = [torch.zeros(1, 2, 4, 5), torch.tensor([2.0, 1]).view(1, 2, 1, 1).expand(1, 2, 4, 5)]
    folded, full = random_module(0, 1, fold=2), random_module(0, 1)
    full.load_state_dict(folded.state_dict())
    assert_close(folded(features, motion, 0), full(features, halved, 0))


def test_a_window_that_is_too_long_on_one_side_is_refused() -> None:
    features, motion = several(3, torch.randn, CHANNELS), several(3, torch.randn, 2)
    with pytest.raises(ValueError, match="2 frames before and 0 after"):
        random_module(before=1, after=1)(features, motion, 2)
    with pytest.raises(ValueError, match="position 2"):
        random_kernels(1, 1)(features[0], 2)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_window_features_can_be_scripted() -> None:
    module = random_module(1, 1)
    features, motion = several(2, torch.randn, CHANNELS), several(2, torch.randn, 2)
    assert_close(torch.jit.script(module)(features, motion, 0), module(features, motion, 0))


# --- kernels of a window ---


@pytest.mark.parametrize(("frames", "centre"), [(1, 0), (3, 1), (5, 4), (7, 3)])
def test_every_frame_has_its_own_kernels_normalized_together(frames: int, centre: int) -> None:
    kernels = random_kernels(before=4, after=3)
    context = torch.randn(1, CHANNELS, *SIZE)
    radiance, motion = several(frames, torch.rand, 3), several(frames, torch.randn, 2)
    motion[centre].zero_()
    valid = several(frames, torch.ones, 1)
    logits = [kernels(context, frame - centre) for frame in range(frames)]
    filtered = filter_frames(context, kernels, radiance, motion, valid, centre)
    assert_close(filtered, filter_window(radiance, logits, motion, valid))
    assert frames == 1 or (logits[0] - logits[1]).abs().max() > 0.1


def test_started_from_a_single_frame_network_it_gives_the_mean_of_the_filtered_frames() -> None:
    single = KernelPredictor(CHANNELS, 3, 1)
    kernels = random_kernels()
    kernels.start_from(single)
    context, still = torch.randn(1, CHANNELS, *SIZE), vectors(0, 0)
    radiance, valid = several(5, torch.rand, 3), several(5, torch.ones, 1)
    filtered = filter_frames(context, kernels, radiance, [still] * 5, valid, 2)
    alone = [apply_kernels(image, single(context)) for image in radiance]
    assert_close(filtered, torch.stack(alone).mean(dim=0))


def test_neighbours_may_have_smaller_kernels_and_start_from_the_middle_of_the_larger() -> None:
    single = KernelPredictor(CHANNELS, 5, 1)
    kernels = WindowKernels(CHANNELS, 5, 1, before=1, after=1, neighbours=3)
    kernels.start_from(single)
    context, image = torch.randn(1, CHANNELS, *SIZE), torch.full((1, 3, *SIZE), 0.6)
    full = single(context)
    assert_close(kernels(context, 0), full)
    assert_close(kernels(context, 1), full.unflatten(1, (5, 5))[:, 1:4, 1:4].flatten(1, 2))
    motion, valid = [vectors(0, 0)] * 2, several(2, torch.ones, 1)
    assert_close(filter_frames(context, kernels, [image] * 2, motion, valid, 0), image)


def test_a_loss_of_the_centre_trains_every_part_that_the_window_uses() -> None:
    module, kernels = random_module(1, 2), random_kernels(1, 2)
    features, motion = several(3, torch.randn, CHANNELS), several(3, torch.randn, 2)
    motion[0].zero_()
    context = module(features, motion, 0)
    radiance, valid = several(3, torch.rand, 3), several(3, torch.ones, 1)
    loss = filter_frames(context, kernels, radiance, motion, valid, 0).square().sum()
    loss.backward()  # type: ignore[no-untyped-call]
    for used, part in ((False, 0), (True, 1), (True, 2), (True, 3)):
        for weight in (*module.gather[part].parameters(), *kernels.predictors[part].parameters()):
            assert (weight.grad is not None and bool(weight.grad.any())) == used
    assert all(weight.grad is not None for weight in module.blocks.parameters())
