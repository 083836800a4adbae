"""Figures that are written by two processes are those that one writes, whatever happens to the other."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from glassnet import plots
from glassnet.plots import together
from glassnet.plots.style import new_figure

HERE = os.getpid()
CAN_FORK = pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")


@pytest.fixture(params=["one process", pytest.param("two processes", marks=CAN_FORK)])
def forks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    two = bool(request.param == "two processes")
    monkeypatch.setattr(together, "_may_fork", lambda: two)
    return two


def figure(value: float) -> Figure:
    made = new_figure(2.0, 2.0, f"figure {value}")
    made.subplots().plot([0, value])
    return made


def makers(folder: Path, count: int, odd: Callable[[float], Figure] = figure) -> dict[Path, Callable[[], Figure]]:
    return {folder / f"{i}.png": partial(odd if i % 2 else figure, float(i)) for i in range(count)}


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_every_figure_is_written_as_save_writes_it(tmp_path: Path, forks: bool, count: int) -> None:
    made = makers(tmp_path, count)
    plots.save_all(made)
    assert set(tmp_path.iterdir()) == set(made)
    for i, path in enumerate(made):
        plots.save(figure(float(i)), tmp_path / "expected.png")
        assert path.read_bytes() == (tmp_path / "expected.png").read_bytes()


def test_the_work_is_shared_where_a_fork_is_safe(tmp_path: Path, forks: bool) -> None:
    def noting(value: float) -> Figure:
        (tmp_path / f"process {value}").write_text(str(os.getpid()))
        return figure(value)

    plots.save_all({path: partial(noting, float(i)) for i, path in enumerate(makers(tmp_path, 4))})
    here = [int((tmp_path / f"process {i}.0").read_text()) == HERE for i in range(4)]
    assert here == ([True, False, True, False] if forks else [True] * 4)


@pytest.mark.parametrize("bad", [0, 1])
def test_an_error_in_either_half_is_raised_here(tmp_path: Path, forks: bool, bad: int, capfd) -> None:
    def broken() -> Figure:
        raise ValueError("what went wrong")

    made = makers(tmp_path, 3)
    made[tmp_path / f"{bad}.png"] = broken
    with pytest.raises(ValueError, match="what went wrong"):
        plots.save_all(made)
    assert not (tmp_path / f"{bad}.png").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert not multiprocessing.active_children()
    assert capfd.readouterr() == ("", "")


@CAN_FORK
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_process_leaves_is_made_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def fatal_there(value: float) -> Figure:
        if os.getpid() != HERE:
            os.kill(os.getpid(), number)
        return figure(value)

    monkeypatch.setattr(together, "_may_fork", lambda: True)
    made = makers(tmp_path, 4, fatal_there)
    plots.save_all(made)
    assert set(tmp_path.iterdir()) == set(made)


@CAN_FORK
def test_a_process_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless_there(value: float) -> Figure:
        while os.getpid() != HERE:
            time.sleep(1)
        return figure(value)

    monkeypatch.setattr(together, "_may_fork", lambda: True)
    monkeypatch.setattr(together, "PATIENCE", 0.1)
    made = makers(tmp_path, 2, endless_there)
    plots.save_all(made)
    assert set(tmp_path.iterdir()) == set(made)
    assert not multiprocessing.active_children()


@CAN_FORK
def test_where_no_process_can_be_started_one_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(together, "_may_fork", lambda: True)
    monkeypatch.setattr(os, "fork", refused)
    made = makers(tmp_path, 3)
    plots.save_all(made)
    assert set(tmp_path.iterdir()) == set(made)


def test_no_fork_beside_another_thread_or_on_one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, threads, safe in (({0, 1}, 1, True), ({0, 1}, 2, False), ({3}, 1, False)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda process, cores=cores: cores, raising=False)
        monkeypatch.setattr(threading, "active_count", lambda threads=threads: threads)
        assert together._may_fork() is safe
    monkeypatch.undo()
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    assert not together._may_fork()


def test_a_png_shows_what_matplotlib_itself_would_write(tmp_path: Path) -> None:
    for name, ground in (("white", "white"), ("clear", "none")):
        made, same = figure(3.0), figure(3.0)
        made.set_facecolor(ground)
        same.set_facecolor(ground)
        before = made.canvas
        plots.save(made, tmp_path / f"{name}.png")
        assert made.canvas is before
        same.savefig(tmp_path / "expected.png", facecolor="auto")
        with Image.open(tmp_path / f"{name}.png") as mine, Image.open(tmp_path / "expected.png") as expected:
            assert mine.mode == ("RGB" if name == "white" else "RGBA")
            assert mine.info["dpi"] == expected.info["dpi"]
            np.testing.assert_array_equal(mine.convert("RGBA"), expected)
