"""The real Open Image Denoise on small frames."""

import sys
from importlib import util

import numpy as np
import pytest

from kpcn_core import metrics, oidn
from kpcn_core.errors import InvalidPixels, MissingAov, MissingDependency
from kpcn_core.frame import Frame, Pixels

SIZE = (48, 80)


def card(seed: int = 0) -> tuple[Frame, Pixels]:
    """A noisy chequered card with noisy guides, and the clean color."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] // 12
    albedo = np.stack([0.2 + 0.6 * ((x + y + c) % 2) for c in range(3)]).astype(np.float32)
    light = np.float32(0.5) + np.linspace(0, 1, SIZE[1], dtype=np.float32)
    normal = np.zeros((3, *SIZE), dtype=np.float32)
    normal[2] = 1.0

    def grain(image: Pixels, strength: float) -> Pixels:
        noise = generator.normal(-0.5 * strength**2, strength, image.shape)  # mean 1
        return (image * np.exp(noise)).astype(np.float32)

    clean = albedo * light
    aovs = {"color": grain(clean, 0.6), "albedo": grain(albedo, 0.2), "normal": grain(normal, 0.1)}
    return Frame(aovs), clean


@pytest.mark.parametrize("clean_aux", [False, True])
@pytest.mark.parametrize("aovs", [("color",), ("color", "albedo"), ("color", "albedo", "normal")])
def test_it_takes_most_of_the_noise_whatever_guides_there_are(
    aovs: tuple[str, ...], clean_aux: bool
) -> None:
    frame, clean = card()
    noisy = Frame({aov: frame[aov] for aov in aovs})
    result = oidn.denoise(noisy, clean_aux=clean_aux)
    before, after = (metrics.smape(each["color"], clean) for each in (noisy, result))
    assert after < 0.5 * before


def test_only_the_color_changes_and_inputs_stay() -> None:
    frame, _ = card()
    before = {aov: pixels.copy() for aov, pixels in frame.aovs.items()}
    result = oidn.denoise(frame, clean_aux=True)
    assert result["albedo"] is frame["albedo"]
    for aov, pixels in before.items():
        np.testing.assert_array_equal(frame[aov], pixels)


def test_a_call_does_not_depend_on_the_one_before() -> None:
    frame, _ = card()
    other = Frame({"color": np.ones((3, 20, 30), dtype=np.float32)})
    first = oidn.denoise(frame, clean_aux=True)["color"]
    oidn.denoise(other)
    np.testing.assert_array_equal(oidn.denoise(frame, clean_aux=True)["color"], first)


def test_clean_guides_give_another_result_than_noisy_ones() -> None:
    frame, _ = card()
    plain, best = (oidn.denoise(frame, clean_aux=each)["color"] for each in (False, True))
    assert np.abs(plain - best).max() > 1e-3


def test_a_normal_alone_is_no_guide() -> None:
    frame, _ = card()
    plain = oidn.denoise(Frame({"color": frame["color"]}))["color"]
    without_albedo = Frame({"color": frame["color"], "normal": frame["normal"]})
    assert oidn.guides(without_albedo) == ()
    np.testing.assert_array_equal(oidn.denoise(without_albedo)["color"], plain)


def test_one_pixel_is_enough() -> None:
    frame = Frame({"color": np.full((3, 1, 1), 0.5, dtype=np.float32)})
    assert oidn.denoise(frame)["color"].shape == (3, 1, 1)


def test_what_it_cannot_use_is_a_clear_error() -> None:
    frame, _ = card()
    with pytest.raises(MissingAov, match="no AOV 'color'"):
        oidn.denoise(Frame({"albedo": frame["albedo"]}))
    frame["color"][0, 3, 3] = np.nan
    with pytest.raises(InvalidPixels, match="1 of 3840 pixels are NaN or Inf"):
        oidn.denoise(frame)


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert oidn.installed() == (util.find_spec("pyoidn") is not None)
    monkeypatch.setitem(sys.modules, "pyoidn", None)
    with pytest.raises(MissingDependency, match=r"pip install 'kpcn\[report\]'"):
        oidn.denoise(card()[0])
