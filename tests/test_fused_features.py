"""What a GPU makes a frame ready with, in few passes: the same numbers as the readable way.

In Triton's interpreter or on a GPU.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

from kpcn_core import features, inference
from kpcn_core.features import Component
from kpcn_core.frame import Frame
from kpcn_core.model.config import RESIDUAL, UNET
from kpcn_core.model.network import Network
from kpcn_core.ops import compiler, fusion
from kpcn_core.prepared import Prepared, prepare
from kpcn_core.region import Region
from tests import exports
from tests.frames import random_frame
from tests.networks import DEVICE, random_network

pytest.importorskip("triton", reason="Triton is not installed: pip install 'kpcn[fused]'")

from kpcn_core import features_fused
from kpcn_core.ops import fused_planes

# Encoders and the AOVs that a frame lacks for them.
LACKING = {
    "kpcn": (),
    "split": ("specular", "specular_mse", "diffuse_mse", "albedo_mse"),
    "beauty": ("diffuse", "specular"),
    "generic": ("diffuse", "diffuse_mse", "color_mse"),
    "plain": ("albedo", "normal", "normal_mse", "albedo_mse"),
}
CLOSE = {torch.float32: 1e-6, torch.float16: 1e-3}


@pytest.fixture(autouse=True)
def larger_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter takes as long for a program, however many pixels it has."""
    if DEVICE.type == "cpu":
        monkeypatch.setattr(fused_planes, "TILE", 512)


@contextmanager
def way(fused: bool) -> Iterator[None]:
    """Triton's kernels, or the readable twins."""
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(compiler, "installed", lambda: False)
        patch.setattr(fusion, "usable", lambda image: fused)
        yield


def frame(height: int, width: int, lacking: tuple[str, ...] = ()) -> Frame:
    """With numbers that are none, and such as are far from others, wherever they can be."""
    found = random_frame(height, width)
    for index, pixels in enumerate(found.aovs.values()):
        strange = [torch.nan, torch.inf, -torch.inf, -0.5, 1e-7, 1e5, 0.0, 3e38]
        for place, value in enumerate(strange):
            pixels[(index + place) % len(pixels), (5 * index + place) % height, place] = value
    return Frame({name: pixels for name, pixels in found.aovs.items() if name not in lacking})


def ready(given: Frame, split: bool, fused: bool) -> Prepared:
    with way(fused):
        return prepare(given, split, {}, DEVICE)


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (33, 16), (50, 35)])
def test_exposure_is_that_of_the_readable_way(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(5)
    color = 4 * torch.rand(1, 3, *size, generator=generator).to(DEVICE) - 1
    color[..., size[0] // 2 :, :] = 0.0
    if color.numel() > 3:
        color[0, 1, 0, 3], color[0, 2, 0, 4] = torch.nan, torch.inf
    for image in (color, color[..., : size[1] // 2 + 1], torch.zeros_like(color)):
        assert_close(features_fused.exposure(image), features.exposure(image), rtol=3e-6, atol=0)


@pytest.mark.parametrize("encoder", LACKING)
def test_components_are_those_of_the_readable_way(encoder: str) -> None:
    given, split = frame(19, 30, LACKING[encoder]), encoder in ("kpcn", "split")
    found, expected = (ready(given, split, fused) for fused in (True, False))
    assert found.parts.keys() == expected.parts.keys()
    for name, part in expected.parts.items():
        one = found.parts[name]
        assert 0 < (part.valid == 0).sum() < 20
        assert_close(one.valid, part.valid, rtol=0, atol=0)
        # Both have an exposure of their own, a sum in another order.
        assert_close(one.radiance, part.radiance, rtol=5e-6, atol=0)
        assert (one.variance is None) == (part.variance is None)
        if part.variance is not None:
            assert_close(one.variance, part.variance, rtol=1e-5, atol=0)


@pytest.mark.parametrize(
    ("encoder", "precision"),
    [("kpcn", torch.float16), *((encoder, torch.float32) for encoder in LACKING)],
)
def test_planes_are_those_of_the_readable_way(encoder: str, precision: torch.dtype) -> None:
    network = random_network(UNET, 2, encoders=exports.ENCODERS).in_precision(precision).to(DEVICE)
    prepared = ready(frame(21, 26, LACKING[encoder]), encoder in ("kpcn", "split"), False)
    check(network, prepared.parts, prepared.aovs, encoder)


@pytest.mark.parametrize(
    ("encoder", "split", "precision"),
    [
        ("kpcn", True, torch.float32),
        ("kpcn", False, torch.float16),
        ("generic", True, torch.float32),
    ],
)
def test_planes_apart_are_those_of_the_readable_way(
    encoder: str, split: bool, precision: torch.dtype
) -> None:
    network = random_network(RESIDUAL).in_precision(precision).to(DEVICE)
    prepared = ready(frame(19, 22), split, False)
    check(network, prepared.parts, prepared.aovs, encoder)


@pytest.mark.parametrize("trunk", [UNET, RESIDUAL])
def test_a_tile_is_read_where_it_lies(trunk: str) -> None:
    prepared = ready(frame(30, 35), True, False)
    tile = Region(slice(4, 23), slice(8, 30))
    parts = {name: part.cropped(*tile) for name, part in prepared.parts.items()}
    aovs = {name: tile.of(aov) for name, aov in prepared.aovs.items()}
    check(random_network(trunk, 2).to(DEVICE), parts, aovs, "kpcn")


def check(
    network: Network, parts: Mapping[str, Component], aovs: Mapping[str, Tensor], encoder: str
) -> None:
    made = []
    for fused in (True, False):
        with way(fused):
            made.append(inference.planes(network, parts, aovs, encoder))
    for found, unfolded in zip(*made, strict=True):
        expected = functional.pixel_unshuffle(unfolded, network.config.fold)
        assert found.is_contiguous(memory_format=torch.channels_last)
        close = CLOSE[found.dtype]
        assert_close(found, expected, rtol=close, atol=1e-4 * close)
