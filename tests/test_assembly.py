"""The whole network on windows of frames: what holds whatever its weights are."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from kpcn_core.denoiser import Denoiser
from kpcn_core.errors import InvalidAsymmetry, InvalidPixels, MissingAov, UnknownName
from kpcn_core.frame import Frame, Pixels
from kpcn_core.model.config import FEATURES, KERNELS, RESIDUAL, UNET
from kpcn_core.model.network import Network
from kpcn_core.settings import Settings
from tests.moving import moving_frames
from tests.networks import ASYMMETRIC, DEVICE, NETWORKS, random_network, small_config

SIZE = (21, 26)
TRUNKS = (RESIDUAL, UNET)
COLORS = ("color", "diffuse", "specular")
ALL = (*COLORS, "albedo", "alpha")
EVERYTHING = Settings(ALL)


def denoiser_of(trunk: str = UNET, fold: int = 1, asymmetry: str = FEATURES) -> Denoiser:
    return Denoiser(random_network(trunk, fold, asymmetry=asymmetry), DEVICE, precision="float32")


def denoised(
    denoiser: Denoiser,
    frames: Sequence[Frame],
    centre: int,
    settings: Settings = EVERYTHING,
    asymmetry: float | Pixels = 1.0,
) -> Frame:
    """The centre frame of a window."""
    encoded = [denoiser.encode(frame, settings) for frame in frames]
    return denoiser.render(denoiser.window(encoded, centre), settings, asymmetry)


def assert_same(one: Frame, other: Frame, aovs: Sequence[str] = ALL, rtol: float = 1e-5) -> None:
    """Equal to a part of the largest value."""
    for aov in aovs:
        assert_allclose(one[aov], other[aov], rtol=0, atol=rtol * np.abs(other[aov]).max())


def difference(one: Frame, other: Frame) -> float:
    return float(np.abs(one["color"] - other["color"]).max())


def lost(frame: Frame) -> Frame:
    """The frame with motion that leads nowhere."""
    nowhere = np.full_like(frame["forward"], np.nan)
    return frame.with_aovs(forward=nowhere, backward=nowhere)


# --- windows ---


@pytest.mark.parametrize(("trunk", "fold"), NETWORKS)
@pytest.mark.parametrize(("count", "centre"), [(1, 0), (2, 1), (5, 1)])
def test_constant_windows_stay_constant(trunk: str, fold: int, count: int, centre: int) -> None:
    values = {"color": 0.9, "diffuse": 0.5, "specular": 0.3, "albedo": 0.4, "alpha": 0.7}
    frames = [
        frame.with_aovs(**{aov: np.full_like(frame[aov], value) for aov, value in values.items()})
        for frame in moving_frames(count, *SIZE, spread=2.0)
    ]
    result = denoised(denoiser_of(trunk, fold), frames, centre, asymmetry=3.0)
    for aov, value in values.items():
        assert_allclose(result[aov], value, rtol=1e-5)


@pytest.mark.parametrize("trunk", TRUNKS)
def test_one_network_takes_windows_of_any_length_and_any_asymmetry(trunk: str) -> None:
    denoiser = denoiser_of(trunk)
    frames = moving_frames(7, *SIZE)
    results = [
        denoised(denoiser, frames[first : last + 1], 3 - first)
        for first, last in ((3, 3), (2, 4), (1, 5), (0, 6), (0, 3), (3, 5), (2, 6))
    ]
    for index, one in enumerate(results):
        assert np.isfinite(one["color"]).all()
        assert all(difference(one, other) > 1e-3 for other in results[:index])


@pytest.mark.parametrize("trunk", TRUNKS)
def test_a_window_of_one_frame_is_the_frame_by_itself(trunk: str) -> None:
    denoiser = denoiser_of(trunk)
    frames = moving_frames(1, *SIZE)
    alone = denoiser.denoise(frames[0], ALL, asymmetry=2.0)
    assert_same(denoised(denoiser, frames, 0, asymmetry=2.0), alone, rtol=1e-6)


@pytest.mark.usefixtures("kernels_alone")
@pytest.mark.parametrize(("trunk", "fold"), NETWORKS)
def test_a_frame_that_motion_does_not_lead_to_changes_nothing(trunk: str, fold: int) -> None:
    denoiser = denoiser_of(trunk, fold)
    frames = moving_frames(3, *SIZE)
    without = denoised(denoiser, frames[:2], 1)
    cut_off = [frames[0], frames[1].with_aovs(forward=lost(frames[1])["forward"]), frames[2]]
    assert_same(denoised(denoiser, cut_off, 1), without, rtol=1e-6)
    assert difference(denoised(denoiser, frames, 1), without) > 1e-3


@pytest.mark.usefixtures("kernels_alone")
@pytest.mark.parametrize("trunk", TRUNKS)
def test_before_it_is_trained_for_windows_and_lambda_a_network_sees_single_frames(
    trunk: str,
) -> None:
    """Features and kernels of the centre stay; other frames come in with boxes"""
    torch.manual_seed(0)
    denoiser = Denoiser(Network(small_config(trunk)), DEVICE, precision="float32")
    frames = moving_frames(3, *SIZE)
    alone = denoiser.denoise(frames[1])
    assert_same(denoiser.denoise(frames[1], asymmetry=10.0), alone, ("color",), rtol=0)
    both_lost = [frames[0], lost(frames[1]), frames[2]]
    assert_same(denoised(denoiser, both_lost, 1), alone, ("color",), rtol=1e-6)


@pytest.mark.parametrize("trunk", TRUNKS)
def test_brightness_goes_through_also_where_frames_differ_in_it(trunk: str) -> None:
    denoiser, frames = denoiser_of(trunk), moving_frames(3, *SIZE)

    def brighter(frame: Frame, factor: int) -> Frame:
        return frame.with_aovs(
            **{aov: frame[aov] * np.float32(factor) for aov in COLORS},
            **{f"{aov}_mse": frame[f"{aov}_mse"] * np.float32(factor**2) for aov in COLORS},
        )

    plain = denoised(denoiser, frames, 1)
    doubled = denoised(denoiser, [brighter(frame, 2) for frame in frames], 1)
    assert_same(doubled, brighter(plain, 2), COLORS)
    # Light that changes from frame to frame is no noise: it comes in as it is.
    flicker = denoised(denoiser, [frames[0], frames[1], brighter(frames[2], 2)], 1)
    assert flicker["diffuse"].mean() > 1.05 * plain["diffuse"].mean()


@pytest.mark.usefixtures("kernels_alone")
@pytest.mark.parametrize("trunk", TRUNKS)
def test_away_from_borders_it_does_not_matter_where_something_is(trunk: str) -> None:
    denoiser = denoiser_of(trunk)
    network = denoiser.network
    margin = network.encoding_footprint + network.kernel_footprint + 4
    step = 16  # a multiple of the alignment, and of the blocks that the exposure is taken from
    size = -(-2 * margin // step) * step + 2 * step
    frames = moving_frames(2, size, size, spread=1.0)
    rolled = [
        replace(
            frame,
            aovs={aov: np.roll(pixels, (step, step), (1, 2)) for aov, pixels in frame.aovs.items()},
        )
        for frame in frames
    ]
    one, other = (denoised(denoiser, window, 0, Settings()) for window in (frames, rolled))
    inner = (slice(None), slice(margin, -margin - step), slice(margin, -margin - step))
    there = (slice(None), slice(margin + step, -margin), slice(margin + step, -margin))
    assert one["color"][inner].size
    assert_allclose(other["color"][there], one["color"][inner], rtol=1e-5, atol=1e-6)


def test_motion_is_needed_only_where_a_window_follows_it() -> None:
    denoiser = denoiser_of()
    before, centre, after = moving_frames(3, *SIZE)

    def lacking(frame: Frame, *aovs: str) -> Frame:
        return replace(frame, aovs={k: v for k, v in frame.aovs.items() if k not in aovs})

    both = ("forward", "backward")
    kept = [lacking(before, *both), centre, lacking(after, *both)]
    assert_same(denoised(denoiser, kept, 1), denoised(denoiser, [before, centre, after], 1), rtol=0)
    with pytest.raises(MissingAov, match=r"no AOV 'backward'.*--aov backward=LAYER.*--window 1"):
        denoised(denoiser, [before, lacking(centre, "backward"), after], 1)
    with pytest.raises(MissingAov, match="no AOV 'forward'"):
        denoised(denoiser, [centre, lacking(before, "forward"), after], 0)


def test_frames_of_another_size_are_refused() -> None:
    frames = [moving_frames(1, *SIZE)[0], moving_frames(1, 20, 20)[0]]
    with pytest.raises(InvalidPixels, match=r"is \[20, 20\] pixels; .* are \[21, 26\]"):
        denoised(denoiser_of(), frames, 0)


# --- lambda ---


def summed(denoiser: Denoiser, where: str, rtol: float) -> float:
    """A tolerance; on a GPU of products of matrices, too, whose sums are of another order.

    A painted lambda in the kernels makes them wider there.
    """
    return 1e-5 if where == KERNELS and denoiser.device.type == "cuda" else rtol


@pytest.mark.parametrize(("trunk", "fold", "where"), ASYMMETRIC)
def test_lambda_1_is_the_symmetric_network_whatever_it_learned_of_lambda(
    trunk: str, fold: int, where: str
) -> None:
    denoiser, frames = denoiser_of(trunk, fold, where), moving_frames(2, *SIZE)
    symmetric = denoised(denoiser, frames, 0)
    ones = np.ones(SIZE, np.float32)
    one = denoised(denoiser, frames, 0, asymmetry=ones)
    assert_same(one, symmetric, rtol=summed(denoiser, where, 0.0))
    for value in denoiser.network.specialization.parameters():
        torch.nn.init.normal_(value)
    assert_same(denoised(denoiser, frames, 0), symmetric, rtol=0)
    assert difference(denoised(denoiser, frames, 0, asymmetry=5.0), symmetric) > 1e-3


@pytest.mark.parametrize(("trunk", "fold", "where"), ASYMMETRIC)
def test_a_number_is_a_layer_of_that_number(trunk: str, fold: int, where: str) -> None:
    denoiser, frames = denoiser_of(trunk, fold, where), moving_frames(2, *SIZE)
    number = denoised(denoiser, frames, 1, asymmetry=4.0)
    layer = np.full(SIZE, 4.0, np.float32)
    painted = denoised(denoiser, frames, 1, asymmetry=layer)
    assert_same(painted, number, rtol=summed(denoiser, where, 1e-6))


@pytest.mark.usefixtures("kernels_alone")
@pytest.mark.parametrize(
    ("trunk", "where"), [(RESIDUAL, FEATURES), (UNET, FEATURES), (UNET, KERNELS)]
)
def test_a_lambda_layer_acts_where_it_is_painted(trunk: str, where: str) -> None:
    denoiser = denoiser_of(trunk, asymmetry=where)
    reach = denoiser.network.kernel_footprint
    (frame,) = moving_frames(1, 12, 3 * reach)
    layer = np.ones((12, 3 * reach), np.float32)
    layer[:, 2 * reach :] = 8.0
    symmetric, painted = (denoiser.denoise(frame, asymmetry=value) for value in (1.0, layer))
    same, expected = (each["color"][..., :reach] for each in (painted, symmetric))
    assert_allclose(same, expected, rtol=summed(denoiser, where, 0.0))
    assert np.abs(painted["color"] - symmetric["color"])[..., -reach:].max() > 1e-3


@pytest.mark.parametrize(
    ("trunk", "where"), [(RESIDUAL, FEATURES), (UNET, FEATURES), (UNET, KERNELS)]
)
def test_a_window_that_is_encoded_once_can_be_rendered_again(trunk: str, where: str) -> None:
    denoiser, frames = denoiser_of(trunk, asymmetry=where), moving_frames(3, *SIZE)
    settings = EVERYTHING
    encoded = denoiser.window([denoiser.encode(frame, settings) for frame in frames], 1)
    for asymmetry in (1.0, 6.0, 1.0, 3.0):
        again = denoiser.render(encoded, settings, asymmetry)
        assert_same(again, denoised(denoiser, frames, 1, asymmetry=asymmetry), rtol=0)


def test_a_window_can_be_rendered_again_with_other_tiles() -> None:
    denoiser, frames = denoiser_of(), moving_frames(2, 60, 70)
    encoded = denoiser.window([denoiser.encode(frame) for frame in frames], 1)
    whole = denoiser.render(encoded, Settings())
    assert_same(denoiser.render(encoded, Settings(tile=16)), whole, ("color",))
    assert_same(denoiser.render(encoded, Settings()), whole, ("color",), rtol=0)


@pytest.mark.parametrize(
    ("asymmetry", "message"),
    [
        (0.9, "must be 1 to 10; it is 0.9"),
        (11.0, "must be 1 to 10"),
        (float("nan"), "must be 1 to 10; it is nan"),
        (np.ones((4, 4), np.float32), r"layer is \[4, 4\] pixels; the frame is \[21, 26\]"),
    ],
)
def test_a_lambda_that_cannot_be_is_refused(asymmetry: float | Pixels, message: str) -> None:
    (frame,) = moving_frames(1, *SIZE)
    with pytest.raises(InvalidAsymmetry, match=message):
        denoiser_of().denoise(frame, asymmetry=asymmetry)


# --- further layers ---


LIGHTS = {"lg_key_diffuse": "diffuse", "lg_fill_diffuse": "diffuse"}


def with_lights(frame: Frame) -> Frame:
    """The frame with its diffuse light in two layers that add up to it, and other layers."""
    share = np.random.default_rng(5).random(frame["diffuse"].shape, dtype=np.float32)
    return frame.with_layers(
        lg_key_diffuse=frame["diffuse"] * share,
        lg_fill_diffuse=frame["diffuse"] * (1 - share),
        coat=0.5 * frame["specular"],
        beauty=frame["color"].copy(),
        tint=frame["albedo"] ** 2,
        glow=(frame["color"] - frame["diffuse"] - frame["specular"])[:1],
        untouched=frame["color"].copy(),
    )


@pytest.mark.parametrize(("trunk", "fold"), NETWORKS)
def test_layers_that_add_up_to_a_component_still_do(trunk: str, fold: int) -> None:
    frames = [with_lights(frame) for frame in moving_frames(2, *SIZE)]
    like = {**LIGHTS, "coat": "specular", "glow": "emission", "tint": "albedo"}
    settings = Settings(ALL, like)
    result = denoised(denoiser_of(trunk, fold), frames, 1, settings, asymmetry=3.0)
    total = result.layers["lg_key_diffuse"] + result.layers["lg_fill_diffuse"]
    assert_allclose(total, result["diffuse"], rtol=1e-4, atol=1e-6)
    assert_allclose(result.layers["coat"], 0.5 * result["specular"], rtol=1e-4, atol=1e-6)
    assert result.layers["glow"].shape == (1, *SIZE)
    assert result.layers["tint"].std() < 0.9 * frames[1].layers["tint"].std()
    assert result.layers["untouched"] is frames[1].layers["untouched"]
    plain = denoised(denoiser_of(trunk, fold), frames, 1, EVERYTHING, asymmetry=3.0)
    assert_same(result, plain, rtol=1e-6)


@pytest.mark.usefixtures("kernels_alone")
@pytest.mark.parametrize("planes", [1, 2, 3, 4])
@pytest.mark.parametrize("model", ["diffuse", "specular", "albedo"])
def test_a_layer_may_have_any_number_of_planes(planes: int, model: str) -> None:
    frames = [
        frame.with_layers(matte=np.full((planes, *SIZE), 0.6, np.float32))
        for frame in moving_frames(2, *SIZE)
    ]
    flat = [frame.with_aovs(albedo=np.full_like(frame["albedo"], 0.3)) for frame in frames]
    result = denoised(denoiser_of(), flat, 0, Settings(("color",), {"matte": model}))
    assert_allclose(result.layers["matte"], np.full((planes, *SIZE), 0.6), rtol=1e-5)


def test_pixels_of_a_further_layer_that_are_not_finite_are_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (frame,) = moving_frames(1, *SIZE)
    coat = frame["specular"].copy()
    coat[1, 4, 5] = np.nan
    result = denoiser_of().denoise(frame.with_layers(coat=coat), like={"coat": "specular"})
    assert np.isfinite(result.layers["coat"]).all()
    assert "1 of 546 pixels of the component 'specular' or of coat" in caplog.text
    with pytest.raises(InvalidPixels, match="all 546 pixels of the component 'specular' or of co"):
        denoiser_of().denoise(
            frame.with_layers(coat=np.full_like(coat, np.nan)), like={"coat": "specular"}
        )


def test_layers_of_a_frame_without_a_split_are_filtered_like_its_color() -> None:
    frames = [replace(with_lights(frame), source="generic") for frame in moving_frames(2, *SIZE)]
    settings = Settings(("color", "alpha"), {"beauty": "color", "tint": "albedo"})
    result = denoised(denoiser_of(), frames, 0, settings)
    assert_allclose(result.layers["beauty"], result["color"], rtol=1e-4, atol=1e-6)
    assert result["alpha"].std() < 0.9 * frames[0]["alpha"].std()


def test_alpha_is_filtered_and_an_opaque_one_stays_opaque() -> None:
    frames = moving_frames(2, *SIZE)
    result = denoised(denoiser_of(), frames, 0)
    assert result["alpha"].shape == (1, *SIZE)
    assert result["alpha"].std() < 0.9 * frames[0]["alpha"].std()
    opaque = [frame.with_aovs(alpha=np.ones_like(frame["alpha"])) for frame in frames]
    assert_allclose(denoised(denoiser_of(), opaque, 0)["alpha"], 1.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("like", "source", "error", "message"),
    [
        ({"coat": "sparkle"}, "kpcn", UnknownName, "like 'sparkle'; there are diffuse, specular"),
        ({"none": "diffuse"}, "kpcn", MissingAov, "no layer 'none'.*it has lg_key_diffuse"),
        ({"coat": "diffuse"}, "generic", MissingAov, "its components are specular"),
        ({"beauty": "color"}, "kpcn", MissingAov, "like 'color', which is not filtered by itself"),
    ],
)
def test_a_layer_that_cannot_be_filtered_is_refused(
    like: dict[str, str], source: str, error: type[Exception], message: str
) -> None:
    frame = replace(with_lights(moving_frames(1, *SIZE)[0]), source=source)
    with pytest.raises(error, match=message):
        denoiser_of().denoise(frame, like=like)
