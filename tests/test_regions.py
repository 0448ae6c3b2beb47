"""Renderers that are given crop windows: Mitsuba's crop in a child process."""

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.testing import assert_allclose, assert_array_equal

from kpcn_core import exr
from kpcn_core.errors import InvalidPixels, RenderFailed, UnknownName
from kpcn_core.renderers.mitsuba import MitsubaRenderer
from kpcn_core.renderers.regions import RegionRenderer, regions
from tests.frames import random_frame
from tests.test_command import script
from tests.test_render import HEIGHT, SCENE, WIDTH

SIZE = (HEIGHT, WIDTH)
PROGRAM = Path(__file__).with_name("region_renderer.py")
maps = arrays(
    np.uint32, array_shapes(min_dims=2, max_dims=2, max_side=20), elements=st.integers(0, 99)
)


@settings(deadline=None, max_examples=50)
@given(maps, st.sampled_from([1, 4, 7, 32]))
def test_regions_have_the_mean_of_their_pixels_rounded(counts: np.ndarray, side: int) -> None:
    covered = np.zeros_like(counts)
    for region in regions(counts, side, 0):
        assert not covered[region.rows, region.columns].any()
        inside = counts[region.rows, region.columns]
        assert inside.shape == (region.height, region.width)
        assert abs(region.spp - inside.mean()) < 1 + 1e-6 + counts.sum() * 1e-2
        covered[region.rows, region.columns] = region.spp
    if side == 1:
        assert_array_equal(covered, counts)


def test_the_total_is_kept_where_squares_are_whole() -> None:
    counts = np.random.default_rng(0).integers(0, 9, (64, 64)).astype(np.uint32)
    total = sum(region.spp * 16 for region in regions(counts, 4, 1))
    assert total == pytest.approx(int(counts.sum()), abs=16)


def test_a_map_without_samples_has_no_region() -> None:
    assert regions(np.zeros((4, 4), np.uint32), 2, 0) == []


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    path = tmp_path / "scene.xml"
    crop = "".join(
        f'<integer name="crop_{name}" value="${short}"/>'
        for name, short in {"offset_x": "x", "offset_y": "y", "width": "w", "height": "h"}.items()
    )
    path.write_text(SCENE.format(x=0, film=crop))
    return path


def test_regions_are_put_together(scene: Path, tmp_path: Path) -> None:
    counts = np.full(SIZE, 4, np.uint32)
    counts[:, :8] = 64
    command = shlex.join([sys.executable, str(PROGRAM), str(scene)])
    found = RegionRenderer(f"{command} {{map}}", SIZE, side=8).render(counts, 7)
    assert_array_equal(found.count, counts)
    whole = {"x": "0", "y": "0", "w": str(WIDTH), "h": str(HEIGHT)}
    expected = MitsubaRenderer.from_file(scene, whole).render(256, 3)
    assert_allclose(found.mean["alpha"], expected.mean["alpha"], atol=0.6)
    assert_allclose(found.mean["color"].mean(), expected.mean["color"].mean(), rtol=0.02)
    assert found.deviation.keys() == expected.deviation.keys()


def writing(tmp_path: Path, size: tuple[int, int]) -> str:
    image = tmp_path / "image.exr"
    exr.write_frame(image, random_frame(*size))
    code = (
        "import json, shutil\n"
        "for region in json.load(open(map))['regions']:\n"
        f"    shutil.copy({str(image)!r}, region['output'])"
    )
    return script(tmp_path, code).replace("{output}", "unused")


def test_an_image_that_is_not_cropped_is_an_error(tmp_path: Path) -> None:
    renderer = RegionRenderer(writing(tmp_path, SIZE), SIZE, side=8)
    with pytest.raises(InvalidPixels, match=r"region0\.exr: expected a region of 8x8 pixels; the"):
        renderer.render(2, 0)


def test_a_region_that_is_left_out_is_an_error(tmp_path: Path) -> None:
    command = script(tmp_path, "pass").replace("{output}", "unused")
    with pytest.raises(RenderFailed, match=r"left no image at .*region0\.exr"):
        RegionRenderer(command, SIZE, side=8).render(2, 0)


def test_the_map_says_all_that_a_renderer_needs(tmp_path: Path) -> None:
    said = tmp_path / "said.json"
    code = f"import shutil; shutil.copy(map, {str(said)!r})"
    command = script(tmp_path, code).replace("{output}", "unused")
    with pytest.raises(RenderFailed):
        RegionRenderer(command, (8, 12), side=8).render(2, 11)
    found = json.loads(said.read_text())
    assert (found["width"], found["height"], found["seed"]) == (12, 8, 11)
    first, second = found["regions"]
    del first["output"], second["output"]
    assert first == {"x": 0, "y": 0, "width": 8, "height": 8, "spp": 2}
    assert second == {"x": 8, "y": 0, "width": 4, "height": 8, "spp": 2}


def test_a_template_needs_the_map() -> None:
    with pytest.raises(UnknownName, match=r"it needs \{map\}"):
        RegionRenderer("render", SIZE)
