"""The page in Chromium: what a person does with it, and what it then shows."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from kpcn_core import picture, report
from kpcn_core.comparison import Comparison, Entry
from kpcn_core.frame import Pixels
from kpcn_core.metrics import METRICS
from kpcn_core.report.codes import COLOR_STEPS, encoded
from tests.browser import Browser

HEIGHT, WIDTH = 40, 60
# Pure red and pure green, exposed as pure red is brought to middle grey: sRGB of 3 * 0.18
RED, GREEN = [194, 0, 0], [0, 194, 0]
Shown = NDArray[np.uint8]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = Browser(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red, green and a render-like image with a wide range; no reference."""
    images = {"red": color(1, 0, 0), "green": color(0, 1, 0), "wide": wide()}
    entries = [Entry(label, pixels) for label, pixels in images.items()]
    frames = [Comparison(f"frame {number}", entries) for number in (1, 2)]
    return written(tmp_path_factory.mktemp("plain") / "plain.html", frames)


@pytest.fixture(scope="module")
def measured_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three images against a reference, one with a sampling map from 0 to 64."""
    reference = wide()
    grain = np.random.default_rng(1).normal(1, 0.3, (3, HEIGHT, WIDTH)).astype(np.float32)
    samples = {"samples": np.linspace(0, 64, HEIGHT * WIDTH, dtype=np.float32)}
    samples["samples"] = np.rint(samples["samples"]).reshape(1, HEIGHT, WIDTH)
    figures = dict.fromkeys(METRICS, 0.1)
    entries = [
        Entry("noisy", reference * grain, metrics=figures),
        Entry("λ = 1", reference * np.float32(1.02), metrics=figures, maps=samples),
        Entry("λ = 4", reference * (1 + 0.3 * (grain - 1)), metrics=figures),
    ]
    page = tmp_path_factory.mktemp("measured") / "measured.html"
    return written(page, [Comparison("frame", entries, reference)])


@pytest.fixture(autouse=True)
def _quiet(browser: Browser) -> Iterator[None]:
    """No page asks for anything but itself, and none complains."""
    yield
    assert browser.console() == []
    assert all(address.startswith("file://") for address in browser.requests())


def color(*rgb: float) -> Pixels:
    pixels = np.array(rgb, dtype=np.float32)
    return np.broadcast_to(pixels[:, None, None], (3, HEIGHT, WIDTH)).copy()


def wide() -> Pixels:
    """Nine stops from left to right, colored, with a lamp and a pixel that is no number."""
    ramp = 2.0 ** np.linspace(-6, 3, WIDTH)
    pixels = np.stack([np.tile(ramp * tint, (HEIGHT, 1)) for tint in (1.0, 0.7, 0.4)])
    pixels[:, :4, :4] = 500.0
    return pixels.astype(np.float32)


def written(path: Path, comparisons: list[Comparison]) -> Path:
    path.write_text(report.page("Test", comparisons, {"command": "pytest"}), encoding="utf-8")
    return path


def linear(shown: Shown) -> NDArray[np.float64]:
    value = shown / 255.0
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def drag(browser: Browser, start: float, end: float) -> None:
    """From one part of the stage's width to another, amid its height."""
    stage = browser.find("stage")
    width = stage.size["width"]
    chain = ActionChains(browser.driver, duration=50)
    chain.move_to_element_with_offset(stage, round((start - 0.5) * width), 30)
    chain.click_and_hold().move_by_offset(round((end - start) * width), 0).release().perform()


def border(shown: Shown) -> float:
    """Where red ends and green begins, from 0 to 1, looked for below the labels."""
    row = shown[shown.shape[0] // 4]
    red = np.flatnonzero((row == RED).all(axis=1))
    green = np.flatnonzero((row == GREEN).all(axis=1))
    assert red.max() < green.min()
    middle: float = (red.max() + green.min()) / 2 / len(row)
    return middle


def test_dragging_the_border_moves_it_and_nothing_else(browser: Browser, plain: Path) -> None:
    browser.open(plain)
    assert border(browser.pixels()) == pytest.approx(0.5, abs=0.01)
    drag(browser, 0.5, 0.25)
    assert border(browser.pixels()) == pytest.approx(0.25, abs=0.01)
    assert browser.run("return stage.view.fitted")


def test_the_border_moves_by_keys_too(browser: Browser, plain: Path) -> None:
    browser.open(plain)
    browser.find("split").send_keys(Keys.END)
    assert (browser.pixels()[100, :-20] == RED).all()
    browser.find("split").send_keys(Keys.HOME)
    browser.find("stage").send_keys(Keys.SHIFT + Keys.ARROW_RIGHT * 5)
    assert border(browser.pixels()) == pytest.approx(0.1, abs=0.01)


def test_flipping_swaps_the_pixels_and_back(browser: Browser, plain: Path) -> None:
    browser.open(plain)
    browser.press("f")
    first = browser.pixels()
    browser.press(" ")
    second = browser.pixels()
    browser.press(" ")
    assert first[200, 200].tolist() == RED
    assert second[200, 200].tolist() == GREEN
    np.testing.assert_array_equal(browser.pixels(), first)


def test_digits_choose_the_images(browser: Browser, plain: Path) -> None:
    browser.open(plain)
    browser.press("f", "2")
    assert browser.pixels()[200, 200].tolist() == GREEN
    assert browser.find("a").get_property("selectedIndex") == 1


def test_a_stop_doubles_the_linear_pixels(browser: Browser, plain: Path) -> None:
    browser.open(plain)
    browser.press("f", "3")
    before = browser.pixels()
    browser.press("e", "e")
    after = browser.pixels()
    assert browser.find("stops-text").text == "+1 stops"
    usable = (before > 20) & (after < 255)
    usable[:100, :100] = False  # the label
    usable[:, -10:] = False
    assert usable.mean() > 0.2
    # 8 bits of sRGB at 20 are 5 % of the linear value, which is what rounding may cost.
    np.testing.assert_allclose(linear(after)[usable], 2 * linear(before)[usable], rtol=0.06)


def test_what_was_white_has_its_range_at_a_lower_exposure(browser: Browser, plain: Path) -> None:
    browser.open(plain)
    browser.press("f", "3")
    browser.run("change({ stops: 4 })")
    assert (browser.pixels()[200, -100:] == 255).all()
    browser.run("change({ stops: -3 })")
    right = browser.pixels()[200, -100:]
    assert (right < 255).all()
    assert (np.diff(right[:, 0].astype(int)) >= 0).all()
    assert right[-1, 0] > right[0, 0]


def test_a_page_holds_the_codes_that_were_made(browser: Browser, plain: Path) -> None:
    browser.open(plain)
    gain = np.float32(picture.exposure(color(1, 0, 0)))
    found = browser.run("return Array.from(state.layers[2].codes)")
    assert found == encoded(wide() * gain, COLOR_STEPS).ravel().tolist()


def test_zoomed_pixels_are_blocks_of_one_color_with_their_values(
    browser: Browser, plain: Path
) -> None:
    browser.open(plain)
    browser.press("f", "3")
    browser.run("stage.scaleTo(30)")  # too small for numbers
    shown = browser.pixels()
    corner = browser.run("return stage.view.corner(stage.shown()[0].cell)")
    left, top = (round(corner[axis] % 30) for axis in ("x", "y"))
    block = shown[top + 121 : top + 149, left + 61 : left + 89]
    assert (block == block[0, 0]).all()
    assert (shown[top + 130, left + 45] != shown[top + 130, left + 75]).any()
    browser.run("stage.scaleTo(100)")
    numbered = browser.pixels()
    assert len(np.unique(numbered[200:400, 200:400].reshape(-1, 3), axis=0)) > 5


def test_the_values_under_the_pointer_are_those_of_the_file(browser: Browser, plain: Path) -> None:
    browser.open(plain)
    browser.press("f", "3", "e")
    stage = browser.find("stage")
    ActionChains(browser.driver).move_to_element_with_offset(stage, 100, 50).perform()
    x, y, *values = re.findall(r"[\d.]+", browser.find("readout").text)
    expected = wide()[:, int(y), int(x)]
    np.testing.assert_allclose([float(v) for v in values], expected, rtol=0.006)
    scale = stage.size["width"] / WIDTH
    assert int(x) == int(WIDTH / 2 + 100 / scale)


def test_wheel_and_double_click_zoom_where_the_pointer_is(browser: Browser, plain: Path) -> None:
    browser.open(plain)
    stage = browser.find("stage")
    pointed = ActionChains(browser.driver).move_to_element_with_offset(stage, 200, -100)
    pointed.double_click().perform()
    assert browser.run("return stage.view.scale") == 16
    at = browser.run("return stage.pixel()")
    browser.press("0")
    assert browser.run("return stage.pixel()") == at
    browser.run("stage.canvas.focus()")
    ActionChains(browser.driver).scroll_by_amount(0, -240).perform()
    assert browser.run("return window.scrollY") == 0


def test_scales_have_the_right_numbers_and_colors(browser: Browser, measured_page: Path) -> None:
    browser.open(measured_page)
    browser.run("change({ mode: 'flip', a: state.layers.find(({ unit }) => unit === 'samples') })")
    scale = browser.find("scales")
    assert scale.text.split("\n") == ["samples", "0", "25", "50", "75", "≥ 100"]
    value = browser.find("readout").text.split()[-1]
    assert value == f"{round(64 * (20 * WIDTH + 30) / (HEIGHT * WIDTH - 1)):g}"
    shown = browser.pixels()
    width = shown.shape[1]
    # Halfway up the map there are 32 samples of 100.
    expected = np.asarray(picture.heat(np.full((1, 1, 1), 0.32, dtype=np.float32)))[0, 0]
    found = shown[shown.shape[0] // 2, width // 2].astype(int)
    assert np.abs(found - expected).max() <= 4
    browser.run("change({ octaves: -1 })")
    assert scale.text.split("\n")[1:] == ["0", "12.5", "25", "37.5", "≥ 50"]
    brighter = browser.pixels()[shown.shape[0] // 2, width // 2].astype(int)
    assert brighter.sum() > found.sum()


def test_a_scale_runs_from_the_first_to_the_last_color(
    browser: Browser, measured_page: Path
) -> None:
    browser.open(measured_page)
    ends = browser.run(
        """const bar = document.querySelector('#sheets .scale canvas');
        const row = [...bar.getContext('2d').getImageData(0, 0, bar.width, 1).data];
        return [row.slice(0, 3), row.slice(-4, -1)];"""
    )
    assert ends == [picture.HEAT[0].tolist(), picture.HEAT[-1].tolist()]


def test_what_is_below_the_viewer_follows_its_exposure(
    browser: Browser, measured_page: Path
) -> None:
    browser.open(measured_page)
    read = """const canvas = document.querySelector('#sheets .crops canvas');
        return [...canvas.getContext('2d').getImageData(20, 20, 1, 1).data]"""
    before = browser.run(read)
    first = "document.querySelector('#sheets .crops canvas')"
    browser.run(f"window.old = {first}")
    browser.press("e", "e")
    browser.wait(f"{first} !== window.old")
    after = browser.run(read)
    assert sum(after[:3]) > sum(before[:3])


def test_side_by_side_shows_every_image_in_one_view(browser: Browser, measured_page: Path) -> None:
    browser.open(measured_page)
    browser.press("g")
    assert browser.run("return stage.shown().map(({ layer }) => layer.name)") == [
        "noisy", "λ = 1", "λ = 4", "reference",
    ]  # fmt: skip
    browser.run("stage.scaleTo(20); stage.pan(-37, 11)")
    shown = browser.pixels()
    cells = browser.run("return stage.shown().map(({ cell }) => cell)")
    parts = [
        shown[round(c["top"]) + 60 :, round(c["left"]) + 60 :][:100, :100].astype(int)
        for c in cells
    ]
    # λ = 1 is the reference times 1.02: the same pixels lie at the same place.
    assert np.abs(parts[1] - parts[3]).max() <= 4
    assert np.abs(parts[0] - parts[3]).max() > 20
    assert "λ = 4: " in browser.find("readout").text


def test_a_square_of_the_list_is_shown_in_the_viewer(browser: Browser, measured_page: Path) -> None:
    browser.open(measured_page)
    canvas = browser.driver.find_element("css selector", "#sheets canvas")
    browser.run("arguments[0].scrollIntoView({ block: 'center' })", canvas)
    canvas.click()
    assert not browser.run("return stage.view.fitted")


def test_frames_follow_each_other_and_keep_what_is_compared(browser: Browser, plain: Path) -> None:
    browser.open(plain)
    browser.press("3", ".")
    browser.wait("state.frame.title === 'frame 2'")
    assert browser.find("a").get_property("value") == "wide"
    browser.press("p")
    browser.wait("state.frame.title === 'frame 1'")
    browser.press("p")
    assert browser.find("play").get_attribute("aria-pressed") == "false"


def test_what_is_no_number_is_magenta_and_named(browser: Browser, tmp_path: Path) -> None:
    pixels = wide()
    pixels[0, 20, 30] = np.nan
    pair = [Entry("noisy", pixels), Entry("ours", wide())]
    browser.open(written(tmp_path / "nan.html", [Comparison("frame", pair)]))
    browser.run("change({ mode: 'flip' }); stage.show(30, 20, 1); stage.scaleTo(40)")
    shown = browser.pixels()
    assert shown[shown.shape[0] // 2 - 10, shown.shape[1] // 2].tolist() == [255, 0, 255]
    assert "NaN" in browser.find("readout").text


def test_everything_can_be_reached_and_named_by_keyboard(
    browser: Browser, measured_page: Path
) -> None:
    browser.open(measured_page)
    browser.run("document.body.focus()")
    reached = []
    for _ in range(30):
        browser.press(Keys.TAB)
        reached.append(browser.run("return document.activeElement.id"))
    controls = browser.run(
        """return [...document.querySelectorAll('#viewer :is(select, button, input, #stage)')]
        .filter((each) => each.offsetParent && !each.disabled).map((each) => each.id)"""
    )
    assert set(controls) <= set(reached)
    names = browser.run(
        """return [...document.querySelectorAll('#viewer :is(select, button, input)')]
        .map((each) => each.ariaLabel || each.textContent.trim() || each.labels[0].textContent)"""
    )
    assert all(names)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_screen_shows_the_canvas_and_text_that_can_be_read(
    browser: Browser, measured_page: Path, tmp_path: Path, dark: bool
) -> None:
    browser.open(measured_page)
    browser.theme(dark)
    browser.screenshot(tmp_path / "page.png")
    screen = np.asarray(Image.open(tmp_path / "page.png").convert("RGB")).astype(int)
    place = browser.run("const r = stage.canvas.getBoundingClientRect(); return [r.x, r.y]")
    left, top = map(round, place)
    canvas = browser.pixels().astype(int)
    height, width = canvas.shape[:2]
    assert np.abs(screen[top : top + height, left : left + width] - canvas).max() <= 2
    ground = linear(screen[2, 2].astype(np.uint8)).mean()
    assert ground < 0.05 if dark else ground > 0.8
    for selector in ("body", "footer", ".bar label", "td.best"):
        assert contrast(browser, selector, ground) >= 4.5, selector


def contrast(browser: Browser, selector: str, ground: float) -> float:
    """Of the text's color to the page's (WCAG 2)."""
    text = browser.run(
        "return getComputedStyle(document.querySelector(arguments[0])).color", selector
    )
    rgb = linear(np.array(re.findall(r"\d+", text)[:3], dtype=np.uint8))
    luminance = float(rgb @ [0.2126, 0.7152, 0.0722])
    low, high = sorted((luminance, float(ground)))
    return (high + 0.05) / (low + 0.05)


def test_a_damaged_page_says_so(browser: Browser, plain: Path, tmp_path: Path) -> None:
    text = plain.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(re.sub(r'"data":"[^"]{40}', '"data":"', text), encoding="utf-8")
    browser.driver.get(broken.as_uri())
    browser.wait("!document.getElementById('problem').hidden")
    assert "cannot be shown" in browser.find("problem").text
    browser.console()
