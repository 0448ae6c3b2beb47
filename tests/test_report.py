"""The page: self-contained, true to its figures, safe with any text."""

import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from kpcn_core import picture, report
from kpcn_core.comparison import Comparison, Entry, markdown, measured, rows
from kpcn_core.errors import InvalidPixels
from kpcn_core.frame import Pixels
from kpcn_core.metrics import METRICS

VOID = {"meta", "img", "input"}


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


def image(seed: int, height: int = 70, width: int = 150) -> Pixels:
    return np.random.default_rng(seed).random((3, height, width), dtype=np.float32)


@pytest.fixture
def comparison() -> Comparison:
    reference = image(0)
    entries = [
        measured("noisy", reference + image(1), reference),
        measured('<ours> & "more"', reference + 0.1 * image(2), reference, seconds=1.5),
    ]
    return Comparison("Frame 4", entries, reference)


@pytest.fixture
def page(comparison: Comparison) -> Page:
    further = [Comparison(f"Frame {n}", comparison.entries[:2]) for n in (3, 5)]
    return Page(report.page("A <title>", [comparison], {"command": "kpcn $x <y>"}, further))


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "data"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert not page.all("link")


def test_every_image_is_there_and_can_be_read(page: Page, comparison: Comparison) -> None:
    sizes = [decoded(attributes).size for attributes in page.all("img")]
    viewer, crops, maps, further = 3, 3 * 2, 2, 2 * 2
    assert len(sizes) == viewer + crops + maps + further
    assert sizes.count((150, 70)) == viewer + maps + further
    assert sizes.count((256, 256)) == crops


def test_text_is_text_and_never_markup(page: Page) -> None:
    text = "".join(page.text)
    for expected in ("A <title>", '<ours> & "more"', "kpcn $x <y>"):
        assert expected in text
    assert '<ours> & "more"' in [attributes["alt"] for attributes in page.all("img")]


def test_the_table_holds_the_figures_and_marks_the_best(page: Page, comparison: Comparison) -> None:
    text = "".join(page.text)
    for entry in comparison.entries:
        assert all(f"{value:.4f}" in text for value in entry.metrics.values())
    assert len([cell for cell in page.all("td") if cell.get("class") == "best"]) == len(METRICS)


def test_without_a_reference_there_are_pictures_only() -> None:
    pair = Comparison("Frame 1", [Entry("noisy", image(1)), Entry("ours", image(2))])
    page = Page(report.page("Sequence", [pair], {}))
    assert len(page.all("img")) == 2
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
    assert report.worst_squares(error, 10, 2) == [(20, 10), (0, 0)]
    assert len(report.worst_squares(error, 10, 100)) == 6


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


def decoded(attributes: dict[str, str | None]) -> Image.Image:
    kind, _, content = (attributes["src"] or "").partition(",")
    assert kind == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))
