"""Makes the pictures of the playground: ``python docs/make_screenshots.py``.

It starts a playground, lets two networks race for three epochs, draws a 3, and writes ``docs/images/playground-*.png``.
Needs ``pip install -e ".[web]" playwright`` and Chromium.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

IMAGES = Path(__file__).parent / "images"
VIEW = {"width": 1280, "height": 1000}
THREE = [
    (90, 70),
    (130, 45),
    (170, 60),
    (180, 95),
    (150, 125),
    (125, 130),
    (170, 150),
    (190, 190),
    (160, 235),
    (100, 232),
]
"""The corners of a 3, in the units of the drawing area."""

PAUSED = "document.querySelector('.learn-status').textContent.startsWith('Paused')"


@contextmanager
def playground() -> Iterator[str]:
    """Have a playground that runs, and its address."""
    command = [sys.executable, "-m", "glassnet", "playground", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://[\d.:]+/", process.stdout.readline())
        assert found is not None
        try:
            yield found[0]
        finally:
            process.terminate()


def race(page: Any) -> None:
    """Let two optimizers race for three epochs."""
    page.wait_for_function("document.querySelectorAll('.learn-table tbody tr').length > 0")
    page.click(".learn-add")
    page.locator(".learn-racer").nth(1).locator("[data-field=optimizer] select").select_option("momentum")
    page.click(".learn-start")
    page.wait_for_function("document.querySelectorAll('.learn-table tbody tr').length === 2")
    for epoch in (1, 2, 3):
        page.click("[data-action=epoch]")
        cell = "document.querySelectorAll('.learn-table tbody tr')[1].children[1].textContent"
        page.wait_for_function(f"{cell} === '{epoch}.00' && {PAUSED}", timeout=120_000)


def draw(page: Any) -> None:
    """Draw a 3 with the mouse."""
    page.click("#tab-draw")
    box = page.locator(".draw-area").bounding_box()
    places = [(box["x"] + x * box["width"] / 280, box["y"] + y * box["height"] / 280) for x, y in THREE]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()
    page.wait_for_selector(".draw-images li")


def main() -> None:
    """Make the pictures."""
    from playwright.sync_api import sync_playwright

    with playground() as address, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page(viewport=VIEW, color_scheme="light", bypass_csp=True)
        page.goto(address)
        race(page)
        page.wait_for_selector(".learn-layers canvas")
        page.screenshot(path=IMAGES / "playground-learn.png")
        draw(page)
        page.wait_for_timeout(500)
        page.screenshot(path=IMAGES / "playground-draw.png")
        page.click("#tab-step")
        page.wait_for_selector(".step-body:not([hidden])")
        for _ in range(12):
            page.click(".step-next")
        page.wait_for_timeout(500)
        page.screenshot(path=IMAGES / "playground-step.png")
        chromium.close()


if __name__ == "__main__":
    main()
