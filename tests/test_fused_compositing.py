"""What a GPU does after the kernels, in few passes: the same pixels as the readable way.

In Triton's interpreter or on a GPU.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from kpcn_core import brightness, composite, features, restoration, structure
from kpcn_core.frame import Frame
from kpcn_core.ops import compiler, fusion
from kpcn_core.prepared import Prepared, prepare
from kpcn_core.settings import Settings
from tests.frames import random_frame
from tests.networks import DEVICE

pytest.importorskip("triton", reason="Triton is not installed: pip install 'kpcn[fused]'")

# The interpreter computes with NaN as numpy does, which says so.
pytestmark = pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
SIZE = (13, 39)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@contextmanager
def way(fused: bool) -> Iterator[None]:
    """Triton's kernels, or the readable twins."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "usable", lambda image: False)
        patch.setattr(fusion, "usable", lambda image: fused)
        yield


def images(generator: torch.Generator, count: int, size: tuple[int, int] = SIZE) -> list[Tensor]:
    """Parts of larger images, as filtered ones are; some pixels are not known."""
    height, width = size
    found = torch.rand(count, 1, 4, height + 3, width + 5, generator=generator)
    for index, image in enumerate(found):
        image[:, 0, 3 + index, 5] = torch.nan
        image[:, 1, 4, 7 + index] = torch.inf
        image[:, 2, 6, 1 + index] = -torch.inf
    return [image[:, :3, :height, :width].to(DEVICE) for image in found]


def share(noisy: Tensor, clean: Tensor, variance: Tensor, count: Tensor) -> list[Tensor]:
    dark = torch.full((1, 1, 1, 1), 0.05, device=DEVICE)
    plain = restoration.surplus(noisy, clean, variance, count, noise_counts=(0.5, 0.0))
    return [restoration.surplus(noisy, clean, variance, count, dark), plain]


@pytest.mark.parametrize("size", [SIZE, (8, 66)])
def test_shares_are_those_of_the_readable_way(
    generator: torch.Generator, size: tuple[int, int]
) -> None:
    noisy, clean, variance = images(generator, 3, size)
    count = torch.randint(0, 200, (1, 1, *size), generator=generator).float().to(DEVICE)
    with way(fused=False):
        expected = share(noisy, clean, 0.02 * variance, count)
    with way(fused=True):
        found = share(noisy, clean, 0.02 * variance, count)
    assert 0 < (expected[0] > 0).float().mean() < 1
    assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("size", [SIZE, (3, 9)])
@pytest.mark.parametrize("known", ["normal", "albedo", "both"])
def test_factors_are_those_of_the_readable_way(
    generator: torch.Generator, known: str, size: tuple[int, int]
) -> None:
    height, width = size
    noisy, clean, normal, albedo, filtered = (
        each[..., :height, :width] - 0.1 for each in images(generator, 5)
    )
    guides = structure.Guides(
        None if known == "albedo" else normal, None if known == "normal" else albedo
    )
    dark = torch.full((1, 1, 1, 1), 0.02, device=DEVICE)
    with way(fused=False):
        change = structure.explained(noisy, clean, guides, dark, 5.0)
    there = filtered.isfinite().all(dim=1, keepdim=True)
    bounds = structure.LEAST, structure.LARGEST
    expected = torch.where(there, (1 + change).clamp(*bounds), 1.0)
    found = structure._fused(noisy, clean, filtered, guides, dark, 5.0)
    assert (expected - 1).abs().mean() > 0.01
    assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("names", [(), ("irradiance", "albedo"), features.COMPONENTS])
def test_components_compose_as_the_readable_way_does(
    generator: torch.Generator, names: tuple[str, ...]
) -> None:
    parts = dict(zip({*names, "specular"}, images(generator, 4), strict=False))
    factors = {
        name: torch.full((1, 1, 1, 1), number, device=DEVICE)
        for name, number in (("specular", 1.1), ("irradiance", 0.9))
        if name in parts
    }
    gain = torch.full((1, 1, 1, 1), 2.5, device=DEVICE)
    with way(fused=False):
        expected = composite.composed(parts, factors, gain)
    with way(fused=True):
        found = composite.composed(parts, factors, gain)
    assert found.isnan().any()
    assert_close(found, expected, equal_nan=True, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_shares_are_given_back_as_the_readable_way_does(
    generator: torch.Generator, channels: int
) -> None:
    result, noisy = (image[:, :channels] for image in images(generator, 2))
    part = torch.rand((1, 1, *SIZE), generator=generator).to(DEVICE)
    part[..., :4, :], part[..., 9:, :] = 0.0, 1.0
    for given in (part, None):
        with way(fused=False):
            expected = composite.kept(result, noisy, given)
        with way(fused=True):
            found = composite.kept(result, noisy, given)
        assert_close(found, expected, equal_nan=True, rtol=1e-5, atol=1e-6)
        assert (found[..., 10:, 20:] == (result if given is None else noisy)[..., 10:, 20:]).all()


@pytest.mark.parametrize("demodulated", [True, False])
def test_light_is_that_of_the_readable_way(generator: torch.Generator, demodulated: bool) -> None:
    size = (19, 140)  # more than one program
    noisy, clean, before, after = images(generator, 4, size)
    valid = noisy.isfinite().all(dim=1, keepdim=True).float()
    noisy = torch.where(valid > 0, noisy, 0.0)
    albedos = (before, after - 0.02) if demodulated else None
    with way(fused=False):
        factor = brightness.gain(noisy, valid, 0.9 * clean, albedos)
    with way(fused=True):
        found = brightness.gain(noisy, valid, 0.9 * clean, albedos)
    assert 1.01 < factor < 1.24
    assert_close(found, factor, rtol=1e-5, atol=0)


class Launches(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """How many operations of torch start something on a device."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        assert isinstance(func, torch._ops.OpOverload)
        self.count += not func.is_view and "empty" not in func._schema.name
        return func(*args, **(kwargs or {}))


def filtered_like(prepared: Prepared) -> dict[str, Tensor]:
    """Images as a network would give them: blurred, and unknown where no kernel had a pixel."""
    found = {}
    for name, image in prepared.images.items():
        wide = functional.pad(image.radiance, [2] * 4, mode="replicate")
        found[name] = 0.95 * functional.avg_pool2d(wide, 5, 1)
        found[name][..., 4, 5:7] = torch.nan
    return found


def known_frame(height: int, width: int) -> Frame:
    """A frame with all that restoration reads."""
    samples = np.full((1, height, width), 64, np.float32)
    return random_frame(height, width).with_aovs(sample_count=samples)


def test_frames_are_those_of_the_readable_way() -> None:
    frame = known_frame(7, 23)
    color = frame["color"].copy()
    color[1, 2, 8:10] = np.nan, np.inf
    frame = frame.with_aovs(color=color).with_layers(group=frame["diffuse"])
    settings = Settings(("color", "diffuse", "albedo", "alpha"), {"group": "diffuse"})
    prepared = prepare(frame, True, {**settings.like, "alpha": "albedo"}, DEVICE)
    filtered = filtered_like(prepared)

    def made(fused: bool) -> list[Frame]:
        with way(fused), torch.inference_mode():
            return [
                composite.output(prepared, settings, images, frames=1)
                for images in (filtered, {name: 0.9 * image for name, image in filtered.items()})
            ]

    for found, expected in zip(made(True), made(False), strict=True):
        for name in settings.aovs:
            assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-5)
        assert_allclose(found.layers["group"], expected.layers["group"], rtol=1e-4, atol=1e-5)
        assert np.abs(found["color"] - frame["color"])[:, 3:].max() > 0.01


def test_a_color_takes_few_launches(monkeypatch: pytest.MonkeyPatch) -> None:
    ours: list[object] = []
    monkeypatch.setattr(fusion, "launch", lambda kernel, *_, **constants: ours.append(kernel))
    monkeypatch.setattr("kpcn_core.prepared._report_invalid", lambda *_: None)
    monkeypatch.setattr(
        composite,
        "fetched",
        lambda found: {name: np.zeros((3, 7, 23), np.float32) for name in found},
    )
    prepared = prepare(known_frame(7, 23), True, {}, torch.device("meta"))
    filtered = filtered_like(prepared)
    with way(fused=True), torch.inference_mode(), Launches() as launches:
        composite.output(prepared, Settings(), filtered)
    assert len(ours) == 18
    assert launches.count <= 6
