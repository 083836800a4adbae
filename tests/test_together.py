"""Figures that other processes draw are those that this one would, whatever happens to these processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
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
from glassnet.plots import Drawers, together
from glassnet.plots.style import new_figure

HERE = os.getpid()
CAN_FORK = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="nothing is forked here")


@pytest.fixture(params=["one process", pytest.param("others", marks=CAN_FORK)])
def forks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    others = bool(request.param == "others")
    monkeypatch.setattr(together, "_may_fork", lambda: others)
    return others


@pytest.fixture
def may_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "_may_fork", lambda: True)


def figure(value: float) -> Figure:
    made = new_figure(2.0, 2.0, f"figure {value}")
    made.subplots().plot([0, value])
    return made


def noting(folder: Path, value: float) -> Figure:
    """Make a figure, and say which process did."""
    (folder / f"process {value}").write_text(str(os.getpid()))
    return figure(value)


def broken(value: float) -> Figure:
    raise ValueError("what went wrong")


def fatal_there(number: int, value: float) -> Figure:
    if os.getpid() != HERE:
        os.kill(os.getpid(), number)
    return figure(value)


def endless_there(value: float) -> Figure:
    while os.getpid() != HERE:
        time.sleep(1)
    return figure(value)


def makers(folder: Path, count: int, odd: Callable[[float], Figure] = figure) -> dict[Path, Callable[[], Figure]]:
    return {folder / f"{i}.png": partial(odd if i % 2 else figure, float(i)) for i in range(count)}


def save_all(made: dict[Path, Callable[[], Figure]]) -> None:
    with Drawers() as drawers:
        drawers.save_all(made)
    assert not multiprocessing.active_children()


def who_drew(folder: Path, drawers: Drawers, count: int = 4) -> list[int]:
    drawers.save_all({folder / f"{i}.png": partial(noting, folder, float(i)) for i in range(count)})
    return [int((folder / f"process {float(i)}").read_text()) for i in range(count)]


def is_there(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ends_soon(process: int) -> bool:
    end = time.monotonic() + 20
    while is_there(process) and time.monotonic() < end:
        time.sleep(0.01)
    return not is_there(process)


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_every_figure_is_written_as_save_writes_it(tmp_path: Path, forks: bool, count: int) -> None:
    made = makers(tmp_path, count)
    save_all(made)
    assert set(tmp_path.iterdir()) == set(made)
    for i, path in enumerate(made):
        plots.save(figure(float(i)), tmp_path / "expected.png")
        assert path.read_bytes() == (tmp_path / "expected.png").read_bytes()


def test_two_other_processes_share_the_work_where_a_fork_is_safe(tmp_path: Path, forks: bool) -> None:
    with Drawers() as drawers:
        processes = who_drew(tmp_path, drawers)
        if not forks:
            assert processes == [HERE] * 4
            return
        first, second = processes[:2]
        assert processes == [first, second] * 2
        assert HERE != first != second != HERE
        assert who_drew(tmp_path, drawers) == processes  # they wait for more
        assert is_there(first)
        assert is_there(second)
    assert ends_soon(first)
    assert ends_soon(second)


@pytest.mark.parametrize("bad", [0, 1])
def test_an_error_in_either_half_is_raised_here(tmp_path: Path, forks: bool, bad: int, capfd) -> None:
    made = makers(tmp_path, 3)
    made[tmp_path / f"{bad}.png"] = partial(broken, 1.0)
    with pytest.raises(ValueError, match="what went wrong"):
        save_all(made)
    assert not (tmp_path / f"{bad}.png").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert not multiprocessing.active_children()
    assert capfd.readouterr() == ("", "")


def test_what_can_not_be_sent_is_made_here(tmp_path: Path, forks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {tmp_path / f"{i}.png": lambda i=i: figure(float(i)) for i in range(3)}
    with Drawers() as drawers:
        drawers.save_all(made)
        assert set(tmp_path.iterdir()) == set(made)
        monkeypatch.setattr(together, "PATIENCE", 20.0)
        assert (HERE in who_drew(tmp_path, drawers)) is not forks  # and what can be sent is


def test_after_an_error_figures_are_made_all_the_same(tmp_path: Path, forks: bool) -> None:
    with Drawers() as drawers:
        with pytest.raises(ValueError, match="what went wrong"):
            drawers.save_all({tmp_path / "a.png": partial(figure, 1.0), tmp_path / "b.png": lambda: broken(1.0)})
        assert (HERE in who_drew(tmp_path, drawers)) is not forks
    assert (tmp_path / "3.png").exists()


@pytest.mark.usefixtures("forks")
def test_a_path_is_that_of_whoever_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Drawers() as drawers:
        monkeypatch.chdir(tmp_path)
        drawers.save_all({Path("here.png"): partial(figure, 1.0)})
    assert (tmp_path / "here.png").exists()


@CAN_FORK
@pytest.mark.usefixtures("may_fork")
def test_what_matplotlib_made_for_itself_is_removed(tmp_path: Path) -> None:
    code = """if 1:
        from glassnet.plots import Drawers, together
        together._may_fork = lambda: True
        with Drawers():
            pass
    """
    (tmp_path / "home").touch()  # no folder, so nothing can be kept in it
    home = str(tmp_path / "home")
    (tmp_path / "tmp").mkdir()
    env = {**os.environ, "HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home, "TMPDIR": str(tmp_path / "tmp")}
    env.pop("MPLCONFIGDIR", None)
    subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=60)
    assert not [path.name for path in (tmp_path / "tmp").iterdir() if path.name.startswith("matplotlib")]


@CAN_FORK
@pytest.mark.usefixtures("may_fork")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_a_killed_process_leaves_is_made_here(tmp_path: Path, number: signal.Signals) -> None:
    made = makers(tmp_path, 4, partial(fatal_there, number))
    save_all(made)
    assert set(tmp_path.iterdir()) == set(made)


@CAN_FORK
@pytest.mark.usefixtures("may_fork")
def test_where_the_processes_are_gone_new_ones_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "IDLE", 0.01)
    with Drawers() as drawers:
        assert drawers._process is not None
        drawers._process.join(20)  # it has waited long enough
        assert drawers._process.exitcode == 0
        monkeypatch.undo()
        monkeypatch.setattr(together, "_may_fork", lambda: True)
        assert HERE not in who_drew(tmp_path, drawers)


@CAN_FORK
@pytest.mark.usefixtures("may_fork")
def test_ctrl_c_is_not_for_them(tmp_path: Path) -> None:
    with Drawers() as drawers:
        groups = {os.getpgid(process) for process in who_drew(tmp_path, drawers)}
        assert len(groups) == 1
        assert os.getpgid(0) not in groups  # that of the terminal


@CAN_FORK
@pytest.mark.usefixtures("may_fork")
@pytest.mark.parametrize("count", [1, 2])
def test_processes_that_hang_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    made = {tmp_path / f"{i}.png": partial(endless_there, float(i)) for i in range(count)}
    with Drawers() as drawers:
        processes = who_drew(tmp_path, drawers)  # both are ready
        monkeypatch.setattr(together, "PATIENCE", 0.5)
        monkeypatch.setattr(together, "GRACE", 0.1)
        drawers.save_all(made)
    assert set(made) <= set(tmp_path.iterdir())
    assert all(ends_soon(process) for process in processes)


@CAN_FORK
@pytest.mark.usefixtures("may_fork")
def test_where_no_process_can_be_started_one_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refused)
    made = makers(tmp_path, 3)
    save_all(made)
    assert set(tmp_path.iterdir()) == set(made)


@CAN_FORK
def test_they_end_with_whoever_made_them(tmp_path: Path) -> None:
    code = """if 1:
        import os, sys, time
        from pathlib import Path
        sys.path.insert(0, sys.argv[1])
        from test_together import who_drew
        from glassnet.plots import Drawers, together
        together._may_fork = lambda: True
        print(*who_drew(Path(sys.argv[2]), Drawers()), flush=True)
        time.sleep(60)
    """
    program = subprocess.Popen(
        [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    processes = {int(word) for word in program.stdout.readline().split()}
    assert len(processes) == 2
    program.kill()
    program.wait()
    program.stdout.close()
    for process in processes:
        assert ends_soon(process)


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
