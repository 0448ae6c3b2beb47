"""Pixel filters, crop windows, and how samples are cut into chunks and collected."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from kpcn_core.aov import AOVS, ESTIMATED
from kpcn_core.renderers.mitsuba import MitsubaRenderer
from kpcn_core.renderers.mitsuba_film import Statistics, chunks
from tests.mitsuba_scenes import HEIGHT, WIDTH, Floats, Scene, camera, film, room, stock

maps = st.lists(st.integers(0, 9), min_size=6, max_size=6)


@settings(deadline=None)
@given(maps, st.integers(1, 20))
def test_chunks_together_are_the_map(counts: list[int], size: int) -> None:
    samples = np.array(counts, np.uint32).reshape(2, 3)
    cut = list(chunks(samples, size))
    runs = [(chunk.pixels, chunk.counts) for chunk in cut]
    found = np.zeros(6, np.uint32)
    for pixels, number in runs:
        assert (np.diff(pixels.astype(int)) > 0).all()
        assert (number > 0).all()
        found[pixels] += number
    assert_array_equal(found, counts)
    assert all(chunk.size == size for chunk in cut[:-1])
    assert all(0 < chunk.size <= size for chunk in cut)


@settings(deadline=None)
@given(maps, st.integers(1, 20), st.integers(0, 1000))
def test_chunk_boundaries_change_nothing(counts: list[int], size: int, seed: int) -> None:
    samples = np.array(counts, np.uint32).reshape(2, 3)
    total = int(samples.sum())
    rng = np.random.default_rng(seed)
    values = {
        aov: rng.lognormal(size=(AOVS[aov].channels, total)).astype(np.float32)
        for aov in (*ESTIMATED, "depth", "forward")
    }
    values["depth"][0, ::2] = np.inf
    results = []
    for chunk_size in (size, 1000):
        statistics, start = Statistics(2, 3, ["forward"]), 0
        for chunk in chunks(samples, chunk_size):
            part = slice(start, start + chunk.size)
            statistics.add(chunk, {aov: pixels[:, part] for aov, pixels in values.items()})
            start += chunk.size
        results.append(statistics.accumulation())
    cut, whole = results
    assert_array_equal(cut.count, samples)
    for aov in ESTIMATED:
        assert_allclose(cut.mean[aov], whole.mean[aov], rtol=1e-9)
        assert_allclose(cut.deviation[aov], whole.deviation[aov], rtol=1e-6, atol=1e-9)
    for aov in ("depth", "forward"):
        assert_array_equal(cut.closest[aov], whole.closest[aov])


FILTERS: dict[str, Scene] = {
    "box": {"type": "box"},
    "tent": {"type": "tent"},
    "gaussian": {"type": "gaussian", "stddev": 0.7},
    "mitchell": {"type": "mitchell"},
    "lanczos": {"type": "lanczos"},
}
INSIDE = np.s_[:, 3:-3, 3:-3]  # at the border Mitsuba lacks the samples of pixels outside


def filtered(name: str) -> Scene:
    direct = {"type": "path", "max_depth": 2}
    return room(integrator=direct, camera=camera(film=film(FILTERS[name])))


def mean_square_z(name: str, other: str) -> float:
    """How far one filter's pixels are from Mitsuba's with another, in squared standard errors."""
    mean, renders = stock(filtered(other), spp=128, renders=8)
    frame = MitsubaRenderer.from_dict(filtered(name)).render(256, 0).frame()
    # Samples far out in a filter's tail are so rare that a pixel may have met none of them.
    unseen = 0.003**2
    variance = frame["color_mse"] + renders.var(axis=0, ddof=1) / len(renders) + unseen
    return float((np.square(frame["color"] - mean) / variance)[INSIDE].mean())


@pytest.mark.parametrize("name", FILTERS)
def test_every_pixel_filter_agrees_with_mitsuba(name: str) -> None:
    assert mean_square_z(name, name) < 1.4


def test_another_filter_would_be_noticed() -> None:
    assert mean_square_z("box", "gaussian") > 3


def test_a_crop_window_is_that_part_of_the_film() -> None:
    x, y, width, height = 9, 5, 14, 11
    window: Scene = {
        "crop_offset_x": x, "crop_offset_y": y, "crop_width": width, "crop_height": height,
    }  # fmt: skip
    part = MitsubaRenderer.from_dict(room(camera=camera(film={**film(), **window})))
    whole = MitsubaRenderer.from_dict(room())
    assert part.origin == (x, y)
    assert part.size == (height, width)
    assert part.film_size == (HEIGHT, WIDTH)
    found, expected = part.render(256, 0).frame(), whole.render(256, 1).frame()

    def error(aov: str, dx: int = 0) -> float:
        crop = expected[aov][:, y : y + height, x + dx : x + dx + width]
        return float(np.abs(found[aov] - crop).mean())

    for aov in ("color", "albedo", "normal"):
        assert error(aov) < 0.03
        assert error(aov, dx=1) > 2 * error(aov)


def test_neighbouring_pixels_have_independent_noise_under_a_wide_filter() -> None:
    renderer = MitsubaRenderer.from_dict(filtered("gaussian"))
    colors: Floats = np.stack([renderer.render(4, seed).frame()["color"][1] for seed in range(32)])
    noise = (colors - colors.mean(axis=0)) / np.maximum(colors.std(axis=0), 1e-6)
    assert abs((noise[:, :, 1:] * noise[:, :, :-1]).mean()) < 0.03
