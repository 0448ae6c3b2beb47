"""Quality high: a second pass over the frame upside down, and the mean of both."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from kpcn_core import features, features_compiled
from kpcn_core.denoiser import Denoiser
from kpcn_core.errors import UnknownName
from kpcn_core.frame import Frame, Pixels
from kpcn_core.half_turn import averaged
from kpcn_core.motion import DIRECTIONS
from kpcn_core.settings import HIGH, Settings
from tests.frames import random_frame
from tests.moving import moving_frames
from tests.networks import ASYMMETRIC, DEVICE, random_network

LAYER = "lg_key"
SETTINGS = Settings(("color", "diffuse", "specular", "albedo", "alpha"), {LAYER: "diffuse"})
BETTER = Settings(SETTINGS.aovs, SETTINGS.like, quality=HIGH)
SIZE = (22, 27)  # no multiple of anything that a network needs


@pytest.fixture
def denoiser() -> Denoiser:
    return Denoiser(random_network(fold=2), DEVICE, precision="float32")


@pytest.fixture
def same_exposure(monkeypatch: pytest.MonkeyPatch) -> None:
    """However a frame lies: it is measured in squares, of which those at the edge are cut off."""
    for module in (features, features_compiled):
        monkeypatch.setattr(module, "exposure", lambda color: color.new_full((1, 1, 1, 1), 0.7))


def upside_down(frame: Frame) -> Frame:
    """A frame after a half turn of the camera; its motion, too, turns."""
    signs = dict.fromkeys(DIRECTIONS, np.float32(-1))
    turned = {name: image[:, ::-1, ::-1] * signs.get(name, 1) for name, image in frame.aovs.items()}
    layers = {name: image[:, ::-1, ::-1].copy() for name, image in frame.layers.items()}
    return Frame(turned, layers=layers)


def shot(count: int) -> list[Frame]:
    """Frames that move, with a further layer."""
    return [
        frame.with_layers(**{LAYER: 0.3 * frame["diffuse"]})
        for frame in moving_frames(count, *SIZE, spread=0.2)
    ]


def result(
    denoiser: Denoiser,
    frames: list[Frame],
    settings: Settings,
    asymmetry: float | NDArray[np.float32],
) -> dict[str, Pixels]:
    """Everything that was denoised of the frame in the middle."""
    encoded = [denoiser.encode(frame, settings) for frame in frames]
    found = denoiser.render(denoiser.window(encoded, len(frames) // 2), settings, asymmetry)
    return {**{aov: found[aov] for aov in settings.aovs}, **found.layers}


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize(("trunk", "fold", "asymmetry"), ASYMMETRIC)
@pytest.mark.usefixtures("kernels_alone", "same_exposure")
def test_both_passes_count_the_same(trunk: str, fold: int, asymmetry: str, frames: int) -> None:
    network = random_network(trunk, fold, asymmetry=asymmetry)
    denoiser = Denoiser(network, DEVICE, precision="float32")
    slope = np.random.default_rng(3).uniform(1, 10, SIZE).astype(np.float32)
    seen = shot(frames)
    upright = result(denoiser, seen, SETTINGS, slope)
    turned = result(
        denoiser, [upside_down(frame) for frame in seen], SETTINGS, slope[::-1, ::-1].copy()
    )
    both = result(denoiser, seen, BETTER, slope)
    # Of the diffuse light, the mean of irradiance and albedo is taken, and then their product.
    for name in ("specular", "albedo", "alpha"):
        expected = (upright[name] + turned[name][:, ::-1, ::-1]) / 2
        assert_allclose(both[name], expected, rtol=1e-4, atol=1e-5)
        assert np.abs(both[name] - upright[name]).max() > 1e-3
    assert_allclose(both["diffuse"] + both["specular"], both["color"], rtol=1e-4, atol=1e-5)
    assert_allclose(both[LAYER], 0.3 * both["diffuse"], rtol=1e-3, atol=1e-5)


def test_a_frame_upside_down_becomes_the_result_upside_down(denoiser: Denoiser) -> None:
    # What is done after the network works in squares, which lie the same then.
    frame = random_frame(32, 40).with_aovs(sample_count=np.full((1, 32, 40), 8, np.float32))
    there = denoiser.denoise(frame, quality=HIGH)["color"]
    back = denoiser.denoise(upside_down(frame), quality=HIGH)["color"]
    assert_allclose(there, back[:, ::-1, ::-1], rtol=1e-4, atol=1e-5)
    once = denoiser.denoise(upside_down(frame))["color"][:, ::-1, ::-1]
    assert np.abs(denoiser.denoise(frame)["color"] - once).max() > 1e-3


def test_a_frame_by_itself_is_a_window_of_one(denoiser: Denoiser) -> None:
    (frame,) = shot(1)
    found = denoiser.denoise(frame, like=SETTINGS.like, quality=HIGH, asymmetry=3.0)
    expected = result(denoiser, [frame], BETTER, 3.0)
    for name, image in {"color": found["color"], **found.layers}.items():
        assert_allclose(image, expected[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("frames", [1, 3])
def test_tiles_give_the_same_pixels_as_the_whole(denoiser: Denoiser, frames: int) -> None:
    seen = moving_frames(frames, 117, 90)
    whole, tiled = (
        result(denoiser, seen, Settings(quality=HIGH, tile=side), 3.0) for side in (1000, 40)
    )
    assert_allclose(tiled["color"], whole["color"], rtol=1e-5, atol=1e-6)


def test_another_lambda_encodes_nothing_again(
    denoiser: Denoiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    window = denoiser.window([denoiser.encode(frame, BETTER) for frame in shot(3)], 1)
    symmetric = denoiser.render(window, BETTER)["color"]
    for part in ("encode", "window", "neighbour_logits"):
        monkeypatch.setattr(type(denoiser.network), part, None)  # whoever calls it fails
    assert np.abs(denoiser.render(window, BETTER, 8.0)["color"] - symmetric).max() > 1e-3
    assert_array_equal(denoiser.render(window, BETTER)["color"], symmetric)


def test_progress_counts_the_tiles_of_both_passes(denoiser: Denoiser) -> None:
    seen: list[tuple[int, int]] = []
    denoiser.denoise(
        random_frame(90, 90), tile=40, quality=HIGH, progress=lambda *step: seen.append(step)
    )
    assert len(seen) > 2
    assert seen == [(done, len(seen)) for done in range(1, len(seen) + 1)]


def test_where_one_pass_has_nothing_the_other_counts() -> None:
    nothing, some = float("nan"), torch.tensor
    first = some([[[[1.0, nothing, 3.0, nothing]]]])
    second = some([[[[nothing, 5.0, 6.0, 7.0]]]])  # upside down: 7, 6, 5, nothing
    found = averaged({"specular": first}, {"specular": second})["specular"]
    assert_array_equal(found.numpy(), [[[[4.0, 6.0, 4.0, nothing]]]])


def test_an_unknown_quality_is_refused(denoiser: Denoiser) -> None:
    with pytest.raises(UnknownName, match="No quality 'best'; there are normal, high"):
        denoiser.denoise(random_frame(8, 8), quality="best")
