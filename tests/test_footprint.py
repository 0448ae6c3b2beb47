"""How far the network sees, and that what is computed in tiles shows no seams."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor

from kpcn_core import inference
from kpcn_core.denoiser import Denoiser
from kpcn_core.features import Component
from kpcn_core.frame import Frame
from kpcn_core.model.config import FEATURES, RESIDUAL, UNET
from kpcn_core.model.network import Network
from kpcn_core.model.reconstruction import Image
from kpcn_core.model.temporal import Context
from kpcn_core.region import Region, reached
from kpcn_core.settings import Settings
from tests.moving import moving_frames
from tests.networks import DEVICE, EACH, random_network

# With kernels that see less far than what they are made of, and further.
CASES = [(trunk, fold, 3, where) for trunk, fold, where in EACH] + [
    (RESIDUAL, 1, 9, FEATURES),
    (UNET, 1, 9, FEATURES),
]
ALL = ("color", "diffuse", "specular", "albedo", "alpha")
STEP = 5.0  # how far everything moves to the right from the first frame to the second


class Strip:
    """A window of two wide and low frames, in double precision; everything about it can change."""

    def __init__(self, network: Network, width: int) -> None:
        generator = torch.Generator().manual_seed(3)
        size = (1, 3, network.config.alignment, width)

        def random() -> Tensor:
            return torch.rand(size, generator=generator).double()

        self.network = network
        self.aovs = [{"albedo": random(), "normal": random()} for _ in range(2)]
        self.color = [random(), random()]
        self.slope = torch.full_like(self.color[0][:, :1], 0.5)
        self.motion = [torch.zeros_like(self.color[0][:, :2]) for _ in range(2)]
        self.motion[1][:, 0] = STEP

    def encoded(self, frame: int) -> list[Tensor]:
        """Features of a frame."""
        parts = {"specular": self._component(frame)}
        return inference.encode(self.network, parts, self.aovs[frame], "generic")

    def denoised(self, encoded: list[list[Tensor]]) -> Tensor:
        """The first frame, from its features and those of the second."""
        images = [
            {"specular": Image(part.radiance, part.valid)}
            for part in (self._component(0), self._component(1))
        ]
        contexts: list[Context] = inference.gather(self.network, encoded, self.motion, 0)
        others = inference.around(self.network, contexts, images, self.motion, 0)
        layers = inference.layers(self.network, images[0])
        return inference.render(self.network, contexts, layers, others, self.slope)["specular"]

    def _component(self, frame: int) -> Component:
        color = self.color[frame]
        return Component("specular", color, None, torch.ones_like(color[:, :1]))


def changed(before: Tensor, after: Tensor) -> Tensor:
    """The columns in which two images differ."""
    return (before != after).any(dim=2).any(dim=1)[0].nonzero().flatten()


def beyond(columns: Tensor, cell: int, pixel: int) -> int:
    """How far the cells of so many pixels that lie in these columns are from a pixel, at most."""
    left, right = columns * cell - pixel, pixel - (columns + 1) * cell + 1
    return int(torch.maximum(left, right).max())


def strips(network: Network, reach: int) -> Iterator[tuple[Strip, int]]:
    """Strips, each with a pixel in its middle: one for every place in a cell of the network."""
    alignment = network.config.alignment
    width = -(-(2 * reach + 4 * alignment) // alignment) * alignment
    for pixel in range(alignment):
        yield Strip(network, width), width // 2 // alignment * alignment + pixel


@pytest.mark.parametrize(("trunk", "fold", "where"), EACH)
@torch.no_grad()
def test_features_see_no_further_than_they_say(trunk: str, fold: int, where: str) -> None:
    network = random_network(trunk, fold, asymmetry=where).double()
    bound, seen = network.encoding_footprint, 0
    for strip, pixel in strips(network, bound):
        before = strip.encoded(0)
        for image in (strip.color[0], *strip.aovs[0].values()):
            image[..., pixel] += 1
        cells = network.config.cells
        for side, one, other in zip(cells, before, strip.encoded(0), strict=True):
            seen = max(seen, beyond(changed(one, other), side, pixel))
    assert bound / 2 < seen <= bound


def color_here(strip: Strip, encoded: list[list[Tensor]], pixel: int) -> range:
    strip.color[0][..., pixel] += 1
    return range(pixel, pixel + 1)


def slope(strip: Strip, encoded: list[list[Tensor]], pixel: int) -> range:
    strip.slope[..., pixel] += 1
    return range(pixel, pixel + 1)


def motion(strip: Strip, encoded: list[list[Tensor]], pixel: int) -> range:
    strip.motion[1][..., pixel] = torch.nan
    return range(pixel, pixel + 1)


def features_here(strip: Strip, encoded: list[list[Tensor]], pixel: int) -> range:
    for side, level in zip(strip.network.config.cells, encoded[0], strict=True):
        level[..., pixel // side] += 1
    cell = strip.network.config.alignment
    return range(pixel // cell * cell, pixel // cell * cell + cell)


@pytest.mark.parametrize(("trunk", "fold", "kernels", "where"), CASES)
@pytest.mark.parametrize("change", [color_here, slope, motion, features_here])
@torch.no_grad()
def test_a_filtered_pixel_sees_no_further_than_the_network_says(
    change: Callable[[Strip, list[list[Tensor]], int], range],
    trunk: str,
    fold: int,
    kernels: int,
    where: str,
) -> None:
    network = random_network(trunk, fold, kernels, asymmetry=where).double()
    bound = network.kernel_footprint
    for strip, pixel in strips(network, bound):
        encoded = [strip.encoded(0), strip.encoded(1)]
        before = strip.denoised(encoded)
        place = change(strip, encoded, pixel)
        columns = changed(before, strip.denoised(encoded))
        assert place[0] - bound <= columns.min() <= columns.max() <= place[-1] + bound


# --- tiles ---


def render(denoiser: Denoiser, frames: list[Frame], tile: int) -> Frame:
    settings = Settings(ALL, tile=tile)
    window = denoiser.window([denoiser.encode(frame, settings) for frame in frames], 1)
    return denoiser.render(window, settings, asymmetry=3.0)


def scattered(frame: Frame) -> Frame:
    """The frame with vectors that lead anywhere, and some nowhere."""
    generator = np.random.default_rng(2)
    vectors = frame["forward"] + 30 * generator.standard_normal(frame["forward"].shape)
    vectors[:, generator.random(frame.size) < 0.2] = np.nan
    return frame.with_aovs(forward=vectors.astype(np.float32))


@pytest.mark.parametrize(("trunk", "fold", "kernels", "where"), CASES)
@pytest.mark.parametrize("step", [(1.6, -0.7), (-100.3, 5.5)])
def test_a_window_in_tiles_gives_the_same_pixels_as_the_whole(
    trunk: str, fold: int, kernels: int, where: str, step: tuple[float, float]
) -> None:
    network = random_network(trunk, fold, kernels, asymmetry=where)
    denoiser = Denoiser(network, DEVICE, precision="float32")
    frames = moving_frames(3, 17, 155, step, spread=0.5)
    frames[1] = scattered(frames[1])
    whole, tiled = (render(denoiser, frames, tile) for tile in (155, 24))
    for aov in ALL:
        assert_allclose(tiled[aov], whole[aov], rtol=0, atol=1e-5 * np.abs(whole[aov]).max())


@pytest.mark.parametrize(("trunk", "fold", "where"), EACH)
def test_features_in_tiles_are_those_of_the_whole(trunk: str, fold: int, where: str) -> None:
    network = random_network(trunk, fold, asymmetry=where)
    denoiser = Denoiser(network, DEVICE, precision="float32")
    (frame,) = moving_frames(1, 17, 141)
    whole, tiled = (denoiser.encode(frame, Settings(tile=tile)).features for tile in (141, 24))
    for one, other in zip(tiled, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * float(other.abs().max()))


TILE = Region(slice(16, 24), slice(32, 40))


def reach(motion: Tensor, margin: int = 8) -> Region:
    return reached(motion, TILE, margin, alignment=8, height=50, width=70)


def test_a_region_is_what_lies_around_the_ends_of_all_vectors() -> None:
    motion = torch.zeros(1, 2, 8, 8)
    motion[:, 0] = 5.5
    motion[0, 1, 3, 3] = -9.2
    assert reach(motion) == Region(slice(0, 32), slice(24, 53))
    assert reach(motion, margin=30) == Region(slice(0, 50), slice(0, 70))


def test_a_region_of_vectors_that_lead_out_of_the_frame_is_small() -> None:
    for step in (500.0, -500.0, torch.nan):
        region = reach(torch.full((1, 2, 8, 8), step))
        assert region.of(torch.ones(1, 1, 50, 70)).numel() <= 64


@pytest.mark.parametrize("x", [-2, -7, 75])
def test_a_region_has_what_coarse_pixels_read_that_begin_beyond_the_frame(x: int) -> None:
    motion = torch.full((1, 2, 8, 8), torch.nan)
    motion[0, :, 0, 0] = torch.tensor([float(x - 32), 20.0])
    region = reach(motion)
    assert region.rows == slice(24, 45)
    assert region.columns == (slice(0, x + 9) if x < 0 else slice(64, 70))
