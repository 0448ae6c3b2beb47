"""What must hold of the weights that ship, whatever is rendered: on the shipped example.

docs/results.md has the same on public scenes, where references are far cleaner.
"""

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from kpcn_core import exr, metrics, weights
from kpcn_core.denoiser import Denoiser
from kpcn_core.frame import Frame, Pixels
from kpcn_core.settings import HIGH, NORMAL

EXAMPLES = Path(__file__).parent.parent / "examples"
ASYMMETRIES = (1.0, 1.5, 2.5, 4.0, 6.0, 10.0)


@pytest.fixture(scope="module")
def noisy() -> Frame:
    return exr.read(EXAMPLES / "noisy.0004.exr")


@pytest.fixture(scope="module")
def reference() -> Pixels:
    return exr.read(EXAMPLES / "reference.0004.exr")["color"]


@pytest.fixture(scope="module", params=weights.names())
def denoiser(request: pytest.FixtureRequest) -> Denoiser:
    return Denoiser.load(request.param, "cpu")


@pytest.fixture(scope="module")
def denoised(denoiser: Denoiser, noisy: Frame) -> Pixels:
    return denoiser.denoise(noisy)["color"]


def mixed(noisy: Frame, reference: Pixels, share: float, times: int) -> Frame:
    """About what the frame would be with so many times the samples: its noise made less."""
    aovs = dict(noisy.aovs)
    aovs["color"] = reference + share * (noisy["color"] - reference)
    kept = aovs["color"] / np.maximum(noisy["color"], 1e-6)
    for part in ("diffuse", "specular"):
        aovs[part] = (noisy[part] * kept).astype(np.float32)
    for name in ("color_mse", "diffuse_mse", "specular_mse"):
        aovs[name] = noisy[name] * np.float32(share**2)
    aovs["sample_count"] = noisy["sample_count"] * times
    return Frame(aovs)


def test_light_is_kept(noisy: Frame, reference: Pixels, denoised: Pixels) -> None:
    error = np.sqrt(3 * noisy["color_mse"].sum(dtype=np.float64)) / noisy["color"].sum()
    assert denoised.mean() == pytest.approx(noisy["color"].mean(), rel=0.005 + 2 * error)
    assert denoised.mean() == pytest.approx(reference.mean(), rel=0.005 + 2 * error)


def test_colors_do_not_shift(noisy: Frame, denoised: Pixels) -> None:
    before, after = (image.mean(axis=(1, 2)) for image in (noisy["color"], denoised))
    assert_allclose(after / after.mean(), before / before.mean(), rtol=0.005)


def test_error_falls_with_samples_and_never_exceeds_that_of_the_noisy_frame(
    denoiser: Denoiser, noisy: Frame, reference: Pixels
) -> None:
    errors = []
    for share in (1.0, 1 / 2, 1 / 4, 1 / 8, 1 / 16, 0.0):
        times = 1_000_000 if share == 0 else round(1 / share**2)
        frame = mixed(noisy, reference, share, times)
        result = denoiser.denoise(frame)["color"]
        errors.append(metrics.smape(result, reference))
        assert errors[-1] <= metrics.smape(frame["color"], reference) + 1e-3
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-3  # it converges to the frame itself


def with_firefly(noisy: Frame, y: int, x: int) -> tuple[Frame, np.float32]:
    """The frame with one sample that is 2000 times as bright as the frame; what it adds."""
    aovs = {name: image.copy() for name, image in noisy.aovs.items()}
    value = np.float32(2000 * noisy["color"].mean() / noisy["sample_count"][0, 0, 0])
    for part in ("color", "specular"):
        aovs[part][:, y, x] += value
        aovs[f"{part}_mse"][:, y, x] += value**2
    return Frame(aovs), value


@pytest.mark.parametrize("quality", [NORMAL, HIGH])
def test_no_firefly_stays_wherever_it_is(denoiser: Denoiser, quality: str) -> None:
    noisy = exr.read(EXAMPLES / "noisy.0001.exr")
    without = denoiser.denoise(noisy, quality=quality)["color"]
    generator = np.random.default_rng(0)
    places = generator.integers(8, np.array(noisy.size) - 8, size=(11, 2))
    for y, x in places.tolist():
        frame, value = with_firefly(noisy, y, x)
        change = np.abs(denoiser.denoise(frame, quality=quality)["color"] - without).mean(axis=0)
        assert change.max() < 0.02 * value


def test_a_firefly_does_not_spread(denoiser: Denoiser, noisy: Frame, denoised: Pixels) -> None:
    height, width = noisy.size
    y, x = height // 2, width // 3
    frame, value = with_firefly(noisy, y, x)
    change = np.abs(denoiser.denoise(frame)["color"] - denoised).mean(axis=0)
    near = (slice(max(0, y - 24), y + 25), slice(max(0, x - 24), x + 25))
    assert change[near].sum() < 0.2 * value  # most of its light is gone
    assert change.max() < 0.02 * value  # and the rest is no dot
    assert np.delete(change, range(*near[0].indices(height)), axis=0).max() < 1e-3 * value


def test_tiles_leave_no_seams(denoiser: Denoiser, noisy: Frame, denoised: Pixels) -> None:
    tiled = denoiser.denoise(noisy, tile=64)["color"]
    assert_allclose(tiled, denoised, rtol=1e-3, atol=1e-4 * float(denoised.mean()))


def test_more_asymmetry_keeps_more(denoiser: Denoiser, noisy: Frame) -> None:
    results = [denoiser.denoise(noisy, asymmetry=slope)["color"] for slope in ASYMMETRIES]
    distances = [metrics.smape(result, noisy["color"]) for result in results]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.75 * distances[0]
