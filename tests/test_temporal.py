"""The temporal module: windows of any size, features along motion, shares of every frame."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.testing import assert_close

from kpcn_core.model.temporal import Context, TemporalFeatures
from kpcn_core.ops.pyramid import down_motion
from kpcn_core.ops.trajectory import trajectories
from kpcn_core.ops.warp import warp
from kpcn_core.sequence_window import FrameCache, windows

CHANNELS = 6
SIZE = (8, 10)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(11)


def random_module(fold: int = 1) -> TemporalFeatures:
    """One that does something to every frame."""
    module = TemporalFeatures(CHANNELS, blocks=1, fold=fold)
    for value in module.parameters():
        nn.init.normal_(value, std=0.2)
    return module


def several(frames: int, make: Callable[..., Tensor], channels: int) -> list[Tensor]:
    return [make(1, channels, *SIZE) for _ in range(frames)]


def vectors(x: float, y: float) -> Tensor:
    return torch.tensor([float(x), float(y)]).view(1, 2, 1, 1).expand(1, 2, *SIZE)


def gathered(
    module: TemporalFeatures, features: list[Tensor], motion: list[Tensor], centre: int
) -> Context:
    """Of frames that all start at the same pixel."""
    context: Context = module(features, motion, centre, [(0, 0)] * len(features))
    return context


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


def concatenated(
    module: TemporalFeatures, features: list[Tensor], motion: list[Tensor], centre: int
) -> Context:
    """Fig. 3 as it is drawn: each frame concatenated with the centre's, one layer over both."""
    weight = torch.cat([module.centre.weight, module.other.weight], dim=1)
    here = features[centre]
    links = [torch.zeros_like(here)] * len(features)
    total, count = torch.zeros_like(here), torch.zeros_like(here[:, :1])
    for frame in [frame for frame in range(len(features)) if frame != centre]:
        moved, inside = warp(features[frame], motion[frame])
        pair = functional.conv2d(torch.cat([here, moved], dim=1), weight, module.centre.bias).relu()
        links[frame] = module.link(pair) * inside
        total, count = total + module.gather(pair) * inside, count + inside
    return Context(module.blocks(here + total / count.clamp(min=1.0)), links)


@pytest.mark.parametrize(("frames", "centre"), [(7, 3), (5, 2), (3, 1), (4, 0), (5, 3), (2, 1)])
def test_any_window_matches_the_concatenation_of_its_frames(frames: int, centre: int) -> None:
    module = random_module()
    features = several(frames, torch.randn, CHANNELS)
    motion = [3 * vector for vector in several(frames, torch.randn, 2)]
    found = gathered(module, features, motion, centre)
    expected = concatenated(module, features, motion, centre)
    assert_close(found.shared, expected.shared, rtol=1e-4, atol=1e-5)
    for frame in range(frames):
        assert_close(found.links[frame], expected.links[frame], rtol=1e-4, atol=1e-5)
        assert_close(found.of(frame), found.shared + found.links[frame])


def test_frames_that_motion_leaves_look_like_missing_ones() -> None:
    module = random_module()
    features, still = several(4, torch.randn, CHANNELS), vectors(0, 0)
    left = [vectors(torch.nan, 0), still, vectors(1, 1), vectors(0, 99)]
    found = gathered(module, features, left, 1)
    assert_close(found.shared, gathered(module, features[1:3], left[1:3], 0).shared)
    assert not found.links[0].any()
    assert not found.links[3].any()


def test_the_order_of_frames_does_not_matter() -> None:
    module = random_module()
    features, motion = several(4, torch.randn, CHANNELS), several(4, torch.randn, 2)
    forth, back = (gathered(module, features[::s], motion[::s], c) for s, c in ((1, 1), (-1, 2)))
    assert_close(forth.shared, back.shared)
    for one, other in zip(forth.links, reversed(back.links), strict=True):
        assert_close(one, other)


def test_more_frames_that_are_alike_change_nothing() -> None:
    """So that one network can be used with windows of any length"""
    module, still = random_module(), vectors(0, 0)
    centre, other = several(2, torch.randn, CHANNELS)
    short = gathered(module, [centre, other], [still] * 2, 0)
    long = gathered(module, [other, other, centre, other, other], [still] * 5, 2)
    assert_close(long.shared, short.shared)
    assert_close(long.links[0], short.links[1])


def test_features_are_fetched_along_motion() -> None:
    module = random_module()
    centre, following = several(2, torch.randn, CHANNELS)
    moved = torch.roll(following, (1, 2), dims=(2, 3))
    still = gathered(module, [centre, following], [vectors(0, 0)] * 2, 0)
    fetched = gathered(module, [centre, moved], [vectors(0, 0), vectors(2, 1)], 0)
    assert_close(fetched.shared[..., :-3, :-4], still.shared[..., :-3, :-4])
    assert_close(fetched.links[1][..., :-1, :-2], still.links[1][..., :-1, :-2])


def test_a_module_before_training_gives_the_features_of_the_single_frame() -> None:
    module = random_module()
    module.start_as_identity()
    features, motion = several(5, torch.randn, CHANNELS), several(5, torch.randn, 2)
    context = gathered(module, features, motion, 2)
    assert_close(context.shared, features[2], rtol=0, atol=0)
    assert not any(link.any() for link in context.links)
    sum(context.of(frame).square().sum() for frame in range(5)).backward()  # type: ignore[union-attr]
    for layer in (module.gather, module.link, module.blocks[0].get_submodule("second")):
        gradient = layer.get_parameter("weight").grad
        assert gradient is not None
        assert gradient.any()


def test_folded_features_read_motion_in_pixels_of_the_image() -> None:
    features = [torch.randn(1, CHANNELS, 4, 5) for _ in range(2)]
    motion = [vectors(0, 0), vectors(4, 2)]
    folded, full = random_module(fold=2), random_module()
    full.load_state_dict(folded.state_dict())
    halved = [down_motion(step) for step in motion]
    assert_close(halved[1], torch.tensor([2.0, 1]).view(1, 2, 1, 1).expand(1, 2, 4, 5))
    found, expected = gathered(folded, features, motion, 0), gathered(full, features, halved, 0)
    assert_close(found.shared, expected.shared)
    assert_close(found.links[1], expected.links[1])


def test_other_frames_may_start_elsewhere() -> None:
    module = random_module()
    features, motion = several(2, torch.randn, CHANNELS), [vectors(0, 0), vectors(1.3, 0.6)]
    tile = (..., slice(3, 7), slice(4, 9))
    parts = [features[0][tile], features[1][..., 2:, 1:]]
    found = module(parts, [step[tile] for step in motion], 0, [(0, 0), (1, 3)])
    whole = gathered(module, features, motion, 0)
    assert_close(found.links[1], whole.links[1][tile])
    inner = (..., slice(2, -2), slice(2, -2))  # the blocks see beyond the tile
    assert_close(found.shared[inner], whole.shared[tile][inner])


def test_what_windows_are_made_of_is_all_trained() -> None:
    module = random_module()
    features, motion = several(3, torch.randn, CHANNELS), several(3, torch.randn, 2)
    context = gathered(module, features, motion, 0)
    sum(context.of(frame).square().sum() for frame in range(3)).backward()  # type: ignore[union-attr]
    assert all(value.grad is not None and value.grad.any() for value in module.parameters())
