"""The playground in a browser: all three rooms, links that replay, a lost process, a page saved to disk.

They need Chromium and playwright, so they are called for by name: ``pytest -m browser``.
"""

from __future__ import annotations

import base64
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from playground_server import Playground, signal_trainers

from glassnet import Dense, Flatten, Model, Network, Preprocessing, Softmax, SoftmaxCrossEntropy, load, load_model
from glassnet.cli.runs import SHIPPED
from glassnet.data.pictures import _place, _to_box
from glassnet.layers import ACTIVATIONS, Layer
from glassnet.model_files import model_bytes

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = pytest.mark.browser

ROOMS = ("learn", "draw", "step")
THREE = [
    (85, 70), (120, 45), (165, 50), (185, 85), (165, 120), (125, 135),
    (170, 150), (190, 195), (160, 235), (110, 235), (80, 210),
]  # fmt: skip
"""The corners of a 3, as a hand draws it."""

PATIENCE = 60_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    with Playground(tmp_path_factory.mktemp("playground")) as playground:
        yield playground


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "these tests need Chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    yield context
    context.close()


@pytest.fixture
def said() -> list[str]:
    """What the page has said to its console that is wrong."""
    return []


@pytest.fixture
def page(context: BrowserContext, said: list[str]) -> Iterator[Page]:
    """A page that must not say anything wrong to its console."""
    page = context.new_page()
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    yield page
    assert said == []


def wait(page: Page, expression: str, argument: Any = None) -> None:
    """Wait until an expression, or a function of an argument, is true in the page.

    Playwright's own waiting evaluates texts in the page, which its Content-Security-Policy forbids.
    """
    end = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(expression, argument):
        assert time.monotonic() < end, f"it never came true that {expression}"
        time.sleep(0.05)


def opened(page: Page, server: Playground, fragment: str = "") -> Page:
    page.goto(server.address + fragment)
    wait(page, "document.querySelectorAll('.learn-table tbody tr').length > 0")
    return page


def enter(page: Page, room: str) -> None:
    page.click(f"#tab-{room}")
    assert page.locator(f"#{room}").is_visible()


def column(page: Page, name: str) -> list[str]:
    """Return a column of the table of racers."""
    heads = page.locator(".learn-table thead th").all_inner_texts()
    return page.locator(f".learn-table tbody tr > :nth-child({heads.index(name) + 1})").all_inner_texts()


def train_an_epoch(page: Page) -> None:
    before = column(page, "Steps")
    page.click("[data-action=epoch]")
    wait(
        page,
        """(before) => {
          const rows = [...document.querySelectorAll('.learn-table tbody tr')];
          const steps = rows.map((row) => row.children[2].textContent);
          const rests = document.querySelector('.learn-status').textContent.startsWith('Paused');
          return rests && steps.every((step, i) => step !== before[i]);
        }""",
        before,
    )


def draw(page: Page, corners: list[tuple[int, int]]) -> None:
    """Draw with the mouse, in the units of the drawing area, 280 x 280."""
    area = page.locator(".draw-area")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box is not None
    at = [(box["x"] + x * box["width"] / 280, box["y"] + y * box["height"] / 280) for x, y in corners]
    page.mouse.move(*at[0])
    page.mouse.down()
    for x, y in at[1:]:
        page.mouse.move(x, y, steps=6)
    page.mouse.up()


def test_a_network_is_trained_to_95_percent(page: Page, server: Playground) -> None:
    opened(page, server)
    page.click(".learn-play")
    wait(page, "parseFloat(document.querySelector('.learn-table tbody tr').children[5].textContent) >= 96")
    page.click(".learn-play")
    wait(page, "document.querySelector('.learn-status').textContent.startsWith('Paused')")
    assert float(column(page, "Test accuracy")[0].rstrip(" %")) >= 95.0
    label = page.locator(".learn-curve").first.get_attribute("aria-label")
    assert label
    assert re.search(r"\d", label)
    assert page.locator(".learn-weights canvas").get_attribute("aria-label")
    assert page.locator(".learn-layers canvas").count() >= 4


def test_two_optimizers_race(page: Page, server: Playground) -> None:
    opened(page, server)
    page.click(".learn-add")
    form = page.locator(".learn-racer").nth(1)
    form.locator("[data-field=optimizer] select").select_option("sgd")
    form.locator("[data-field=seed] input").fill("5")
    page.click(".learn-start")
    wait(page, "document.querySelectorAll('.learn-table tbody tr').length === 2")
    train_an_epoch(page)
    assert column(page, "Steps") == ["275", "275"]
    accuracies = [float(text.rstrip(" %")) for text in column(page, "Test accuracy")]
    assert min(accuracies) > 80
    assert accuracies[0] != accuracies[1]
    assert page.locator(".learn-legend li").count() >= 2
    page.click("[data-action=reset]")
    wait(page, "document.querySelector('.learn-table tbody tr').children[2].textContent === '0'")


def test_a_form_says_what_is_wrong_and_starts_no_race(page: Page, server: Playground) -> None:
    opened(page, server)
    form = page.locator(".learn-racer").first
    form.locator("[data-field=hidden] input").fill("100, 9999")
    page.click(".learn-start")
    assert "1 to 512" in form.locator("[data-field=hidden] .learn-wrong").inner_text()
    assert column(page, "Parameters") == ["89,610"]


def test_a_3_is_drawn_and_read(page: Page, server: Playground) -> None:
    opened(page, server)
    train_an_epoch(page)
    enter(page, "draw")
    draw(page, THREE)
    wait(page, "document.querySelector('.draw-answer').textContent.startsWith('3')")
    assert page.locator(".draw-bars tbody tr").count() == 10
    page.wait_for_selector(".draw-images li")
    assert page.locator(".draw-images li").count() == 8
    page.locator(".draw-cells").first.click(position={"x": 30, "y": 6})
    sums = page.locator(".draw-sum").inner_text()
    assert "bias" in sums
    page.get_by_role("button", name="Undo").click()
    assert page.locator(".draw-answer").inner_text().startswith("Nothing yet")


def test_a_drawing_is_taught(page: Page, server: Playground) -> None:
    opened(page, server)
    train_an_epoch(page)
    enter(page, "draw")
    draw(page, THREE)
    page.locator(".draw-classes label").nth(8).click()
    page.get_by_role("button", name="Teach it").click()
    wait(page, "document.querySelector('.draw-lesson').textContent.includes('that this is a 8')")
    wait(page, "document.querySelector('#share-note').textContent.includes('leaves out what was taught')")


def test_a_picture_from_another_room_ends_the_stroke(page: Page, server: Playground) -> None:
    opened(page, server)
    held: list[Any] = []
    page.route("**/nearest", lambda route: route.continue_() if held else held.append(route))
    enter(page, "step")
    page.click(".step-sample")
    while not held:
        page.wait_for_timeout(10)
    enter(page, "draw")
    area = page.locator(".draw-area").bounding_box()
    assert area is not None
    page.mouse.move(area["x"] + 50, area["y"] + 50)
    page.mouse.down()
    page.mouse.move(area["x"] + 90, area["y"] + 90)
    held[0].continue_()
    wait(page, "document.querySelector('.draw-paper canvas').getAttribute('aria-label') === 'The drawing: 0 strokes'")
    page.mouse.move(area["x"] + 120, area["y"] + 60)  # which belongs to no stroke
    page.mouse.up()
    draw(page, THREE)
    wait(page, "document.querySelector('.draw-paper canvas').getAttribute('aria-label') === 'The drawing: 1 stroke'")


def test_a_digit_is_drawn_by_keyboard(page: Page, server: Playground) -> None:
    opened(page, server)
    enter(page, "draw")
    page.locator(".draw-area").focus()
    for key in ["ArrowUp"] * 8 + ["Space"] + ["ArrowDown"] * 18 + ["Space"]:
        page.keyboard.press(key)
    wait(page, "!document.querySelector('.draw-answer').textContent.startsWith('Nothing yet')")
    page.keyboard.press("u")
    wait(page, "document.querySelector('.draw-answer').textContent.startsWith('Nothing yet')")


def test_tabs_are_walked_by_arrow_keys(page: Page, server: Playground) -> None:
    opened(page, server)
    page.locator("#tab-learn").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#draw").is_visible()
    page.keyboard.press("End")
    assert page.locator("#step").is_visible()
    page.keyboard.press("ArrowRight")
    assert page.locator("#learn").is_visible()


def test_a_step_is_walked_through(page: Page, server: Playground) -> None:
    opened(page, server)
    train_an_epoch(page)
    enter(page, "step")
    page.click(".step-sample")
    page.wait_for_selector(".step-body:not([hidden])")
    seen = []
    while page.locator(".step-next").is_enabled():
        seen.append(page.locator("#step-title").inner_text())
        page.click(".step-next")
        assert len(seen) < 100
    assert len(seen) > 20
    assert page.locator(".step-equations math").count() > 0
    page.keyboard.press("ArrowLeft")
    page.click(".step-blamed")
    story = page.locator(".step-story").inner_text()
    assert "δ" in story
    assert re.search(r"\d\.\d", story)


def test_the_room_step_has_a_choice_of_racers(page: Page, server: Playground) -> None:
    opened(page, server)
    enter(page, "step")
    page.click(".step-sample")
    page.wait_for_selector(".step-body:not([hidden])")
    assert not page.locator("#step .draw-racer select").is_visible()  # of the only one
    enter(page, "learn")
    page.click(".learn-add")
    page.locator(".learn-racer").nth(1).locator("[data-field=hidden] input").fill("30")
    page.click(".learn-start")
    wait(page, "document.querySelectorAll('.learn-table tbody tr').length === 2")
    enter(page, "step")
    page.locator("#step .draw-racer select").select_option(index=1)
    wait(page, "document.querySelector('.step-about').textContent.includes('of racer 2')")
    wait(page, "document.querySelector('.step-head .draw-note').textContent.includes('23,860 parameters')")
    assert page.locator(".step-stale").inner_text() == ""
    enter(page, "learn")
    assert page.locator(".learn-table input").nth(1).is_checked()


def test_what_was_copied_is_said_until_there_is_something_else_to_say(page: Page, server: Playground) -> None:
    opened(page, server)
    page.click(".learn-play")
    wait(page, "document.querySelector('#share-note').textContent.includes('at each pause')")
    page.click("#copy")
    said = "/^(Copied|The link is selected)/.test(document.querySelector('#share-note').textContent)"
    wait(page, said)
    before = int(column(page, "Steps")[0].replace(",", ""))
    rows = "document.querySelector('.learn-table tbody tr').children[2].textContent.replace(',', '')"
    wait(page, f"(before) => Number({rows}) > before + 50", before)
    assert page.evaluate(said)
    page.click(".learn-play")
    wait(page, "document.querySelector('#share-note').textContent.startsWith('The link opens this race')")
    assert "on this computer only" in page.locator("#version").inner_text()


def test_a_narrow_logarithmic_range_has_ticks(page: Page, server: Playground) -> None:
    opened(page, server)
    ticks = "async ([low, high]) => (await import('/static/charts.js')).logTicks(low, high)"
    assert page.evaluate(ticks, [0.21, 0.26]) == [0.22, 0.24, 0.26]
    assert page.evaluate(ticks, [0.09, 1.1]) == [0.1, 0.2, 0.5, 1]
    assert page.evaluate(ticks, [1e-5, 1]) == [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1]


def test_a_link_replays_to_the_same_numbers(page: Page, context: BrowserContext, server: Playground) -> None:
    opened(page, server)
    page.locator(".learn-racer [data-field=hidden] input").fill("30")
    page.locator(".learn-racer [data-field=seed] input").fill("7")
    page.click(".learn-start")
    wait(page, "document.querySelector('.learn-table tbody tr').children[7].textContent === '23,860'")
    train_an_epoch(page)
    page.click("[data-action=step]")
    wait(page, "document.querySelector('.learn-table tbody tr').children[2].textContent === '276'")
    wait(page, "location.hash.includes('276')")
    link = page.url
    wanted = [column(page, name) for name in ("Steps", "Training loss", "Validation accuracy", "Test accuracy")]
    other = context.new_page()
    other.goto(link)
    wait(other, "document.querySelector('.learn-table tbody tr')?.children[2].textContent === '276'")
    wait(other, "document.querySelector('.learn-status').textContent.startsWith('Paused')")
    found = [column(other, name) for name in ("Steps", "Training loss", "Validation accuracy", "Test accuracy")]
    assert found == wanted


def test_a_lost_process_is_said_and_the_page_recovers(page: Page, said: list[str], server: Playground) -> None:
    opened(page, server)
    train_an_epoch(page)
    wanted = [column(page, name) for name in ("Steps", "Training loss", "Test accuracy")]
    signal_trainers(server)
    wait(page, "document.querySelector('#message').textContent.includes('was lost')")
    wait(page, "document.querySelector('.learn-status').textContent.startsWith('Paused')")
    wait(page, "document.querySelector('.learn-table tbody tr').children[2].textContent === '275'")
    assert [column(page, name) for name in ("Steps", "Training loss", "Test accuracy")] == wanted
    train_an_epoch(page)
    assert column(page, "Steps") == ["550"]
    assert all("503" in text for text in said)  # what the page had asked the lost process
    said.clear()


def test_a_closed_tab_does_not_stop_anything(context: BrowserContext, server: Playground) -> None:
    page = opened(context.new_page(), server)
    page.click(".learn-play")
    page.close()
    again = opened(context.new_page(), server)
    train_an_epoch(again)
    assert column(again, "Steps") == ["275"]


@pytest.mark.parametrize("width", [360, 1920])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_room_scrolls_sideways(browser: Browser, server: Playground, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE)
    try:
        page = opened(context.new_page(), server)
        for room in ROOMS:
            enter(page, room)
            if room == "step":
                page.click(".step-sample")
                page.wait_for_selector(".step-body:not([hidden])")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    finally:
        context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(page: Page, server: Playground, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    opened(page, server)
    train_an_epoch(page)
    for room in ROOMS:
        enter(page, room)
        if room == "draw":
            draw(page, THREE)
        if room == "step":
            page.wait_for_selector(".step-body:not([hidden])")
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]})
        assert found.violations_count == 0, f"{room}: {found.generate_report()}"


# What the page computes itself.

FORWARD = """
async ([model, pictures]) => {
  const net = await import("/static/net.js");
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const read = net.readModel(bytes(model).buffer);
  return pictures.map((picture) => Array.from(net.forward(read, bytes(picture)).output));
}
"""


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "softmax"])
def test_the_page_s_forward_pass_is_numpy_s(page: Page, server: Playground, name: str) -> None:
    activation: Layer = ACTIVATIONS[name]()
    network = Network([Flatten(), Dense(40), activation, Dense(30), activation, Dense(10), Softmax()], (28, 28), seed=3)
    network.theta *= 1.5  # some units far from 0
    model = Model(network, Preprocessing(1 / 255), tuple("0123456789"), SoftmaxCrossEntropy())
    images = load("mnist").test.features[:50]
    opened(page, server)
    found = page.evaluate(FORWARD, [base64_of(model_bytes(model)), [base64_of(image.tobytes()) for image in images]])
    np.testing.assert_allclose(np.array(found), model.predict_proba(images), atol=1e-5)


def strokes(seed: int) -> Any:
    """Return the grey levels of a few random strokes, as a pen draws them."""
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(seed)
    image = Image.new("L", (280, 280))
    width = int(rng.integers(3, 26))
    corners = [tuple(int(place) for place in corner) for corner in rng.integers(20, 260, (int(rng.integers(2, 6)), 2))]
    ImageDraw.Draw(image).line(corners, fill=255, width=width, joint="curve")
    return np.asarray(image)


INK = """
async (drawings) => {
  const ink = await import("/static/ink.js");
  return drawings.map((text) => {
    const grey = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return Array.from(ink.toMnistForm(grey, 280, 280));
  });
}
"""


def test_the_page_s_digits_have_mnist_s_form(page: Page, server: Playground) -> None:
    opened(page, server)
    drawings = [strokes(seed) for seed in range(30)]
    found = np.array(page.evaluate(INK, [base64_of(drawing.tobytes()) for drawing in drawings]))
    for drawing, pixels in zip(drawings, found, strict=True):
        rows, columns = np.flatnonzero(drawing.any(axis=1)), np.flatnonzero(drawing.any(axis=0))
        ink = drawing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32) / 255
        wanted = _place(_to_box(ink)).ravel()
        assert np.abs(pixels - wanted.astype(int)).max() <= 3
    assert (
        page.evaluate("async () => (await import('/static/ink.js')).toMnistForm(new Uint8Array(784), 28, 28)") is None
    )


def test_a_saved_page_works_from_disk(context: BrowserContext, page: Page, server: Playground, tmp_path: Path) -> None:
    opened(page, server)
    train_an_epoch(page)
    with page.expect_download() as download:
        page.click("#snapshot")
    path = tmp_path / "network.html"
    download.value.save_as(path)
    page.goto("about:blank")
    context.set_offline(True)
    saved = context.new_page()
    asked: list[str] = []
    saved.on("request", lambda request: asked.append(request.url))
    saved.goto(path.as_uri())
    draw(saved, THREE)
    wait(saved, "document.querySelector('.draw-answer').textContent.startsWith('3')")
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked)
    assert not saved.locator(".draw-nearest").is_visible()
    context.set_offline(False)


def test_the_command_exports_the_same_page(server: Playground, context: BrowserContext, tmp_path: Path) -> None:
    from glassnet.web.export import write_snapshot

    write_snapshot(model_bytes(load_model(SHIPPED)), tmp_path / "shipped.html")
    page = context.new_page()
    page.goto((tmp_path / "shipped.html").as_uri())
    draw(page, THREE)
    wait(page, "document.querySelector('.draw-answer').textContent.startsWith('3')")
    assert page.title() == "Draw a digit: a network made of glass"


def test_pixels_are_named_by_row_and_column_whatever_the_input_s_shape(context: BrowserContext, tmp_path: Path) -> None:
    from glassnet.web.export import write_snapshot

    model = Model(Network([Dense(10), Softmax()], 784), Preprocessing(1 / 255), None, SoftmaxCrossEntropy())
    write_snapshot(model_bytes(model), tmp_path / "flat.html")
    page = context.new_page()
    page.goto((tmp_path / "flat.html").as_uri())
    draw(page, THREE)
    wait(page, "document.querySelector('.draw-sum').textContent.includes('bias')")
    found = re.findall(r"x\[(\d+)\], pixel \((\d+), (\d+)\)", page.locator(".draw-sum").inner_text())
    assert len(found) > 3
    assert all((int(row), int(column)) == divmod(int(i), 28) for i, row, column in found)
