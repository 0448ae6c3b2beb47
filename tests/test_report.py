"""The page: self-contained, true to its figures, safe with any text."""

import json
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from kpcn_core import metrics, picture, report
from kpcn_core.comparison import Comparison, Entry, markdown, measured, rows
from kpcn_core.errors import InvalidPixels
from kpcn_core.frame import Pixels
from kpcn_core.metrics import METRICS
from kpcn_core.report import layers
from kpcn_core.report.codes import COLOR_STEPS, MAP_STEPS, encoded, packed

VOID = {"meta", "input"}


class Page(HTMLParser):
    """Elements with their attributes; checks that every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def data(self) -> Any:
        """What the script gets."""
        return next(json.loads(text) for text in self.text if text.startswith('{"lowest"'))


def image(seed: int, height: int = 70, width: int = 150) -> Pixels:
    return np.random.default_rng(seed).random((3, height, width), dtype=np.float32)


@pytest.fixture
def comparison() -> Comparison:
    reference = image(0)
    samples = {"samples": np.full((1, 70, 150), 32, dtype=np.float32)}
    entries = [
        measured("noisy", reference + image(1), reference),
        measured('</script><b>"ours"', reference + 0.1 * image(2), reference, 1.5, samples),
    ]
    return Comparison("Frame 4", entries, reference)


@pytest.fixture
def page(comparison: Comparison) -> Page:
    further = [Comparison(f"Frame {n}", comparison.entries[:2]) for n in (3, 5)]
    return Page(report.page("A <title>", [comparison, *further], {"command": "kpcn $x <y>"}))


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    for _, attributes in page.elements:
        assert not {"src", "href", "srcset", "data"} & attributes.keys()
    assert not page.all("link")
    assert any("default-src 'none'" in (tag.get("content") or "") for tag in page.all("meta"))


def test_images_are_codes_at_the_exposure_of_the_reference(
    page: Page, comparison: Comparison
) -> None:
    frame = page.data["frames"][0]
    assert comparison.reference is not None
    gain = picture.exposure(comparison.reference)
    assert frame["gain"] == gain
    for layer, color in zip(
        frame["layers"],
        [*(entry.color for entry in comparison.entries), comparison.reference],
        strict=False,
    ):
        expected = packed(encoded(color * np.float32(gain), COLOR_STEPS))
        assert (layer["unit"], layer["data"]) == (None, expected)


def test_maps_are_those_of_the_metrics_and_of_the_files(page: Page, comparison: Comparison) -> None:
    found = [layer for layer in page.data["frames"][0]["layers"] if layer["unit"]]
    assert [layer["unit"] for layer in found] == ["SMAPE", "SMAPE", "samples"]
    assert comparison.reference is not None
    for layer, entry in zip(found, comparison.entries, strict=False):
        error = metrics.smape_map(entry.color, comparison.reference)
        assert layer["data"] == packed(encoded(error, MAP_STEPS))
    assert page.data["units"]["samples"] == {"top": 50.0}


def test_error_maps_are_of_the_metrics_that_are_asked_for(comparison: Comparison) -> None:
    text = report.page("Maps", [comparison], {}, maps=("dssim", "mrse"))
    assert list(Page(text).data["units"]) == ["DSSIM", "MrSE", "samples"]


def test_text_is_text_and_never_markup(page: Page) -> None:
    text = "".join(page.text)
    for expected in ("A <title>", '</script><b>"ours"', "kpcn $x <y>"):
        assert expected in text
    assert page.data["frames"][0]["layers"][1]["label"] == '</script><b>"ours"'
    assert not page.all("b")


def test_the_table_holds_the_figures_and_marks_the_best(page: Page, comparison: Comparison) -> None:
    text = "".join(page.text)
    for entry in comparison.entries:
        assert all(f"{value:.4f}" in text for value in entry.metrics.values())
    assert len([cell for cell in page.all("td") if cell.get("class") == "best"]) == len(METRICS)


def test_without_a_reference_there_are_images_only() -> None:
    pair = Comparison("Frame 1", [Entry("noisy", image(1)), Entry("ours", image(2))])
    page = Page(report.page("Sequence", [pair], {}))
    assert [layer["label"] for layer in page.data["frames"][0]["layers"]] == ["noisy", "ours"]
    assert page.data["units"] == {}
    assert page.data["frames"][0]["squares"] == []
    assert not page.all("table")


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (64, 64)])
def test_any_size_has_a_page(size: tuple[int, int]) -> None:
    reference = image(0, *size)
    entries = [measured("noisy", image(1, *size), reference)]
    Page(report.page("Small", [Comparison("One", entries, reference)], {}))


def test_worst_squares_are_the_ones_with_the_error() -> None:
    error = np.zeros((1, 20, 31), dtype=np.float32)
    error[0, 12, 25] = 1.0
    error[0, 3, 7] = 0.5
    assert layers.worst_squares(error, 10, 2) == [(20, 10), (0, 0)]
    assert len(layers.worst_squares(error, 10, 100)) == 6


@pytest.mark.parametrize(
    ("value", "top"),
    [(0.0, 1.0), (0.2, 0.2), (0.21, 0.5), (0.7, 1.0), (31.0, 50.0), (64.0, 100.0), (0.004, 0.005)],
)
def test_scales_end_at_round_numbers(value: float, top: float) -> None:
    assert layers.scale_top(np.full((1, 9, 9), value, dtype=np.float32)) == top


def test_scales_leave_out_a_few_outliers_and_what_is_no_number() -> None:
    values = np.full((1, 40, 40), 0.1, dtype=np.float32)
    values[0, 0, :5] = [np.nan, np.inf, 900, 900, 900]
    assert layers.scale_top(values) == 0.1


def test_pictures_are_exposed_clipped_srgb_and_nan_is_black() -> None:
    color = np.full((3, 16, 16), 0.18, dtype=np.float32)
    color[:, 0, 0] = [50.0, -1.0, np.nan]
    pixels = np.asarray(picture.shown(color, 1.0))
    assert pixels[5, 5].tolist() == [118, 118, 118]
    assert pixels[0, 0].tolist() == [255, 0, 0]
    np.testing.assert_array_equal(np.asarray(picture.shown(color / np.float32(4), 4.0)), pixels)


def test_heat_gets_brighter_with_the_error() -> None:
    ramp = np.linspace(0, 1, 50, dtype=np.float32)[None, None]
    brightness = np.asarray(picture.heat(ramp)).astype(int).sum(axis=-1)[0]
    assert (np.diff(brightness) > 0).all()


def test_tables_are_aligned_and_show_seconds_only_where_measured() -> None:
    metrics = dict.fromkeys(METRICS, 0.25)
    plain = rows([Entry("noisy", image(0), metrics=metrics)])
    timed = rows([Entry("noisy", image(0), None, metrics), Entry("ours", image(0), 2.0, metrics)])
    assert plain == [["image", *(m.title for m in METRICS.values())], ["noisy"] + ["0.2500"] * 5]
    assert [row[-1] for row in timed] == ["seconds", "", "2.00"]
    lines = markdown(timed).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1].startswith("| ----- | -----: |")


def test_an_image_that_cannot_be_measured_is_named() -> None:
    with pytest.raises(InvalidPixels, match=r"clean\.exr: The image is 8x9 pixels"):
        measured("clean.exr", image(0, 9, 8), image(0, 8, 9))
