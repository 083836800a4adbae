"""The playground's pace: how fast it trains beside ``glassnet train``, and how soon the page answers a stroke.

``python benchmarks/playground.py`` needs ``pip install -e ".[web]" playwright`` and Chromium. Training is measured in
turns: ``glassnet train`` with its default settings; the playground with one racer of the same settings, followed by
nobody but this script; and the same with its page open in the Learn room. A stroke's answer is the time from a pointer
event to the frame in which its bars have changed, in the Draw room, at rest and while a race of two runs.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import click
from tqdm import tqdm

SHARE, MILLISECONDS = 0.5, 50.0
"""What is asked: of the pace of ``glassnet train``, and for a stroke."""

SECONDS = 5.0
"""How long a racer trains in each round."""

STROKES = """
(count) => new Promise((resolve) => {
  const area = document.querySelector(".draw-area");
  const bars = document.querySelector(".draw-bars");
  const box = area.getBoundingClientRect();
  const times = [];
  let begin = 0;
  const send = (kind, i) => {
    const place = { clientX: box.left + 60 + (i * 7) % 160, clientY: box.top + 50 + (i * 13) % 180 };
    area.dispatchEvent(new PointerEvent(kind, { ...place, pointerId: 1, button: 0, buttons: 1, bubbles: true }));
  };
  area.setPointerCapture = () => {};
  const watch = new MutationObserver(() => {
    if (!begin) return;
    const asked = begin;
    begin = 0;
    requestAnimationFrame(() => setTimeout(() => {
      times.push(performance.now() - asked);
      if (times.length < count) setTimeout(next, 30);
      else { send("pointerup", times.length); watch.disconnect(); resolve(times); }
    }));
  });
  watch.observe(bars, { attributes: true, subtree: true, characterData: true, childList: true });
  const next = () => { begin = performance.now(); send("pointermove", times.length + 1); };
  send("pointerdown", 0);
  setTimeout(next, 100);
})
"""
"""Draws with synthetic pointer events, and measures each until after the frame that shows its answer."""


def train() -> float:
    """Return how many steps a second ``glassnet train`` takes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "glassnet", "train", "--quiet", "--out", f"{folder}/run"]
        subprocess.run(command, check=True, cwd=folder)
        result = json.loads(Path(folder, "run", "result.json").read_text(encoding="utf-8"))
    return float(result["steps"] / result["train_seconds"])


@contextmanager
def playground() -> Iterator[str]:
    """Have a playground that runs, and its host."""
    command = [sys.executable, "-m", "glassnet", "playground", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        found = re.search(r"http://([\d.:]+)/", process.stdout.readline())
        assert found is not None
        try:
            yield found[1]
        finally:
            process.terminate()


def post(host: str, path: str, values: Any) -> Any:
    """Send a message, and return the answer."""
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        headers = {"Content-Type": "application/json", "X-Glassnet": "1"}
        connection.request("POST", path, json.dumps(values), headers)
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def race(host: str) -> float:
    """Return how many steps a second a racer of the default settings takes."""
    path = f"/api/session/{post(host, '/api/session', {})['session']}/"
    post(host, path + "race", {"configs": [{}]})
    post(host, path + "run", {"action": "play"})
    before, begin = steps(host, path), monotonic()
    sleep(SECONDS)
    after, seconds = steps(host, path), monotonic() - begin
    post(host, path + "run", {"action": "pause"})
    return (after - before) / seconds


def steps(host: str, path: str) -> int:
    """Return how many steps the racer has taken, as the stream of events tells."""
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request("GET", path + "events")
        answer = connection.getresponse()
        while True:
            line = answer.readline().decode()
            if line.startswith("data: ") and '"racers"' in line:
                return int(json.loads(line.removeprefix("data: "))["racers"][0]["step"])
    finally:
        connection.close()


@contextmanager
def browser() -> Iterator[Any]:
    """Have Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        try:
            yield chromium
        finally:
            chromium.close()


def watched(chromium: Any, host: str) -> float:
    """Return how many steps a second a racer takes whose page is open in the Learn room."""
    page = open_page(chromium, host)
    page.click(".learn-play")
    cell = "document.querySelector('.learn-table tbody tr').children[2].textContent"
    count = f"Number({cell}.replace(/\\D/g, ''))"
    page.wait_for_function(f"{count} > 100")
    before, begin = page.evaluate(count), monotonic()
    sleep(SECONDS)
    after, seconds = page.evaluate(count), monotonic() - begin
    page.click(".learn-play")  # pauses
    page.close()
    return float((after - before) / seconds)


def open_page(chromium: Any, host: str) -> Any:
    """Return a page whose race is set up."""
    page = chromium.new_page(bypass_csp=True)  # to wait for what the page shows
    page.goto(f"http://{host}/")
    page.wait_for_function("document.querySelectorAll('.learn-table tbody tr').length > 0")
    return page


def strokes(chromium: Any, host: str, count: int, racing: bool) -> list[float]:
    """Return the milliseconds that answers take."""
    page = open_page(chromium, host)
    if racing:
        page.click(".learn-add")
        page.locator(".learn-racer").nth(1).locator("[data-field=optimizer] select").select_option("momentum")
        page.click(".learn-start")
        page.wait_for_function("document.querySelectorAll('.learn-table tbody tr').length === 2")
        page.click(".learn-play")
    page.click("#tab-draw")
    page.wait_for_function("document.querySelectorAll('.draw-bars tbody tr').length === 10")
    times: list[float] = page.evaluate(STROKES, count)
    page.close()
    return times


@click.command()
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Of training, in turns.")
@click.option("--strokes", "count", type=click.IntRange(1), default=100, show_default=True, help="Pointer events.")
def main(rounds: int, count: int) -> None:
    """Print how fast the playground is."""
    paces: dict[str, list[float]] = {"glassnet train": [], "a racer": [], "a racer that is watched": []}
    with playground() as host, browser() as chromium:
        for _ in tqdm(range(rounds), desc="rounds", leave=False):
            paces["glassnet train"].append(train())
            paces["a racer"].append(race(host))
            paces["a racer that is watched"].append(watched(chromium, host))
        answers = {
            name: strokes(chromium, host, count, racing) for name, racing in (("at rest", False), ("racing", True))
        }
    print(f"{'steps a second':<26}{'median':>8}{'share':>8}{'asked':>8}")
    for name, found in paces.items():
        share = statistics.median(one / other for one, other in zip(found, paces["glassnet train"], strict=True))
        print(f"{name:<26}{statistics.median(found):8.0f}{share:8.2f}{SHARE if name != 'glassnet train' else 1.0:8.2f}")
    print(f"{'milliseconds to the answer':<26}{'median':>8}{'worst':>8}{'asked':>8}")
    for name, times in answers.items():
        print(f"{name:<26}{statistics.median(times):8.1f}{max(times):8.1f}{MILLISECONDS:8.0f}")


if __name__ == "__main__":
    main()
