"""The CPU's way to reconstruct, block by block, against the readable one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from kpcn_core.features import COMPONENTS, LIGHT
from kpcn_core.model import blocks
from kpcn_core.model.config import FEATURES, KERNELS
from kpcn_core.model.network import Network
from kpcn_core.model.reconstruction import (
    Image,
    Shares,
    motion_pyramid,
    neighbours,
    reconstruct,
    slope_pyramid,
)
from kpcn_core.model.temporal import Context
from kpcn_core.ops import compiler
from kpcn_core.ops.kernels import without_mask
from tests.networks import random_network

SIZE = (16, 40)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def random_images(names: tuple[str, ...], further: int = 0) -> dict[str, Image]:
    """Components, the first with further layers; pixels are missing, in one place whole blocks."""
    found = {}
    for index, name in enumerate(names):
        valid = (torch.rand(1, 1, *SIZE) > 0.1).float()
        valid[..., :8, 8:16] = 0
        radiance = torch.rand(1, 3 + further * (index == 0), *SIZE) + 0.1
        found[name] = Image(torch.where(valid > 0, radiance, 0.0), valid)
    return found


def random_contexts(network: Network, frames: int) -> list[Context]:
    config = network.config
    height, width = (length // config.fold for length in SIZE)
    shapes = [
        (1, channels, height >> scale, width >> scale)
        for scale, channels in enumerate(config.channels)
    ]
    found = [
        Context(
            torch.randn(shape).contiguous(memory_format=torch.channels_last),
            [torch.randn(shape) for _ in range(frames)],
        )
        for shape in shapes
    ]
    if config.pixels:
        own = torch.randn(1, config.pixels * config.fold**2, height, width)
        found[0] = found[0]._replace(pixels=own)
    return found


def in_blocks(
    network: Network,
    contexts: list[Context],
    images: dict[str, Image],
    around: Shares | None = None,
) -> dict[str, torch.Tensor]:
    found = blocks.reconstruct(network, contexts, blocks.pyramid(network, images), around)
    return {name: without_mask(image) for name, image in found.items()}


@pytest.mark.parametrize(
    ("fold", "kernels", "names", "further"),
    [
        (1, 3, COMPONENTS, 0),
        (2, 5, ("irradiance", "specular", "albedo"), 2),
        (2, 7, ("specular",), 1),
    ],
)
@pytest.mark.parametrize("frames", [1, 3])
@torch.inference_mode()
def test_blocks_give_what_whole_images_give(
    fold: int, kernels: int, names: tuple[str, ...], further: int, frames: int
) -> None:
    network = random_network(fold=fold, kernels=kernels)
    contexts, images = random_contexts(network, frames), random_images(names, further)
    motion = [motion_pyramid(2 * torch.randn(1, 2, *SIZE), 3) for _ in range(frames)]
    window = [random_images(names, further) if index else images for index in range(frames)]
    around = neighbours(network, contexts, window, motion, 0)
    assert blocks.usable(network, images["specular"].radiance)
    expected = reconstruct(network, contexts, images, around)
    found = in_blocks(network, contexts, images, around)
    assert list(found) == list(names)
    for name in names:
        assert_close(found[name], expected[name], rtol=1e-5, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("fold", [1, 2])
@pytest.mark.parametrize("kind", ["smooth", "wild", "nowhere"])
@torch.inference_mode()
def test_other_frames_add_what_they_add_to_whole_images(fold: int, kind: str) -> None:
    """Of other sizes than the centre, and with motion that leaves them."""
    torch.manual_seed(0)
    network = random_network(fold=fold, kernels=5)
    contexts = random_contexts(network, 3)
    window = [random_images(COMPONENTS, 1) for _ in range(3)]
    steps = {
        "smooth": torch.linspace(-3, 3, SIZE[1]).expand(1, 2, *SIZE),
        "wild": 20 * torch.randn(1, 2, *SIZE),
        "nowhere": torch.full((1, 2, *SIZE), torch.nan),
    }[kind]
    motion = [motion_pyramid(steps, 3)] * 3
    origins = [(8, 8), (0, 0), (0, 16)]
    given = (network, contexts, window, motion, 1, origins)
    found, expected = blocks.neighbours(*given), neighbours(*given)
    assert found is not None
    assert expected is not None
    for one, other in zip(found, expected, strict=True):
        assert set(one) == set(other)
        for name, share in one.items():
            assert_close(share.sums, other[name].sums, rtol=1e-4, atol=1e-5)
            added = (share.sums[:, -1:] > 0) & (other[name].sums[:, -1:] > 0)
            assert_close(share.peak[added], other[name].peak[added], rtol=1e-5, atol=1e-5)


@torch.inference_mode()
def test_what_one_frame_lacks_leaves_the_logits_of_the_others() -> None:
    """However large they are: taken for smaller ones, their exponentials would overflow."""
    network = random_network(fold=2)
    contexts = [Context(50 * one.shared, one.links) for one in random_contexts(network, 2)]
    images = {name: Image(torch.rand(1, 3, *SIZE), torch.ones(1, 1, *SIZE)) for name in COMPONENTS}
    motion = [motion_pyramid(torch.full((1, 2, *SIZE), 9.0), 3) for _ in range(2)]
    around = neighbours(network, contexts, [images, images], motion, 0)
    expected = reconstruct(network, contexts, images, around)
    for name, image in in_blocks(network, contexts, images, around).items():
        assert_close(image, expected[name], rtol=1e-3, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize(("fold", "pixels"), [(1, 0), (2, 0), (2, None)])
@pytest.mark.parametrize("where", [FEATURES, KERNELS])
@pytest.mark.parametrize("asked", ["painted", "painted alike", "a number"])
@torch.inference_mode()
def test_blocks_specialize_as_the_module_does(
    fold: int, pixels: int | None, where: str, asked: str
) -> None:
    network = random_network(fold=fold, asymmetry=where, pixels=pixels)
    contexts, images = random_contexts(network, 1), random_images(COMPONENTS)
    slope = {
        "painted": torch.rand(1, 1, *SIZE) * 2,
        "painted alike": torch.full((1, 1, *SIZE), 1.5),
        "a number": torch.full((1, 1, 1, 1), 1.5).expand(-1, -1, *SIZE),
    }[asked]
    slopes = slope_pyramid(slope, 3)
    steep = network.specialize(contexts, slopes)
    expected = reconstruct(network, steep, images)
    found = in_blocks(network, steep, images)
    symmetric = in_blocks(network, contexts, images)
    for name in COMPONENTS:
        assert_close(found[name], expected[name], rtol=1e-5, atol=1e-5, equal_nan=True)
        changed = not torch.allclose(found[name], symmetric[name], atol=1e-3, equal_nan=True)
        assert changed == (where == FEATURES or name in LIGHT)


@torch.inference_mode()
def test_a_constant_image_stays_constant_in_blocks() -> None:
    network = random_network(fold=2, kernels=5)
    image = {"specular": Image(torch.full((1, 3, *SIZE), 0.25), torch.ones(1, 1, *SIZE))}
    found = in_blocks(network, random_contexts(network, 1), image)["specular"]
    assert_close(found, image["specular"].radiance)


@pytest.mark.usefixtures("two_threads")
@torch.inference_mode()
def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network(fold=2)
    contexts, images = random_contexts(network, 1), random_images(COMPONENTS)
    whole = in_blocks(network, contexts, images)
    torch.set_num_threads(1)
    alone = in_blocks(network, contexts, images)
    monkeypatch.setattr(blocks, "HEIGHT", 2)
    torch.set_num_threads(2)
    small = in_blocks(network, contexts, images)
    assert torch.get_num_threads() == 2
    for name in COMPONENTS:
        assert_close(whole[name], alone[name], rtol=0, atol=0, equal_nan=True)
        assert_close(small[name], alone[name], rtol=1e-6, atol=1e-6, equal_nan=True)


def test_training_and_other_precisions_take_the_readable_way() -> None:
    network, image = random_network(), torch.zeros(1, 3, 8, 8)
    assert not blocks.usable(network, image)  # gradients
    with torch.inference_mode():
        assert blocks.usable(network, image)
        assert not blocks.usable(network, image.double())


def test_without_a_place_to_keep_it_code_is_compiled_all_the_same(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from numba.core import caching

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])

    def twice(number: float) -> float:
        return 2 * number

    assert compiler.compiled(twice)(2.0) == 4.0
