"""Workers: in step, adding up in the order of their ranks, and never left behind."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import platform
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from glassnet import workers
from glassnet.errors import ConfigError, WorkerDiedError
from glassnet.workers import Alone, Communicator, Team

# Other tests' progress bars have threads of their own, which is why `Team` would not fork beside them.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

LINUX = platform.system() == "Linux"
METHODS = [method for method in ("fork", "forkserver", "spawn") if method in multiprocessing.get_all_start_methods()]
QUICK = METHODS[0]
WAYS = [(method, counting) for method in METHODS for counting in (True, False) if (method, counting) != ("spawn", True)]


def team(size: int, work: Any, argument: Any = None, vectors: Any = None, **private: Any) -> Team:
    """Start a team, by default in the quickest way that this system has."""
    vectors = {"pids": (size, np.int64), **(vectors or {})}
    started = Team(size, work, argument, vectors, **{"_method": QUICK, "_counting": True, **private})
    started.share("pids")[0] = os.getpid()
    return started


def here(worker: Communicator, argument: Any = None) -> None:
    worker.share("pids")[worker.rank] = os.getpid()
    worker.meet()


def running(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        return not LINUX or ") Z " not in Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    return False


def all_gone(pids: list[int], seconds: float = 30) -> bool:
    end = time.monotonic() + seconds
    while any(map(running, pids)):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def shared_files() -> set[Path]:
    """What `multiprocessing` calls its shared memory, where that has names."""
    return set(Path("/dev/shm").glob("pym*"))


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = shared_files()
    yield
    assert not [child for child in multiprocessing.active_children() if child.name.startswith("glassnet")]
    assert shared_files() <= before


def count(worker: Communicator, steps: int) -> None:
    """Write the step into an own place, meet, and compare all places with it."""
    here(worker)
    places, wrong = worker.share("places"), worker.share("wrong")
    for step in range(1, steps + 1):
        places[worker.rank] = step
        worker.meet()
        wrong[worker.rank] += places.tolist() != [step] * worker.size
        worker.meet()


@pytest.mark.parametrize(("size", "steps"), [(2, 3000), (3, 200)])
@pytest.mark.parametrize(("method", "counting"), WAYS)
def test_workers_keep_step(method: str, counting: bool, size: int, steps: int) -> None:
    if not counting or size > os.cpu_count():
        steps //= 10
    vectors = {"places": (size, np.int64), "wrong": (size, np.int64)}
    with team(size, count, steps, vectors, _method=method, _counting=counting) as started:
        count(started, steps)
        assert started.share("places").tolist() == [steps] * size
        assert started.share("wrong").tolist() == [0] * size
        pids = started.share("pids").tolist()
        assert len(set(pids)) == size
    assert all_gone(pids[1:])


def add_rows(worker: Communicator, parts: list[slice]) -> None:
    rows = worker.share("rows")
    rows[worker.rank] = ROWS[worker.rank]
    worker.meet()
    part = parts[worker.rank]
    reduced = worker.reduce(rows, part)
    worker.share("sums")[part] = reduced
    worker.share("own")[worker.rank] = np.shares_memory(reduced, rows[worker.rank, part])
    worker.meet()


# In float32, ((1e8 + 1) - 1e8) + 1 is 1, because 1e8 + 1 is 1e8; backwards it is 0, and in pairs 2 or 0.
ROWS = np.outer([1e8, 1, -1e8, 1], np.ones(40)).astype(np.float32) * np.arange(1, 41, dtype=np.float32) ** 2


def test_rows_are_added_in_the_order_of_the_ranks_each_worker_its_part() -> None:
    parts = [slice(0, 10), slice(10, 11), slice(11, 30), slice(30, 40)]
    vectors = {"rows": ((4, 40), np.float32), "sums": (40, np.float32), "own": (4, bool)}
    sums = []
    for _ in range(2):
        with team(4, add_rows, parts, vectors) as started:
            add_rows(started, parts)
            sums.append(started.share("sums"))
            assert started.share("own").all()
    by_hand = [np.float32(0)] * 40
    for row in ROWS:
        by_hand = [a + b for a, b in zip(by_hand, row, strict=True)]
    assert by_hand[0] == 1
    assert sums[0].tolist() == by_hand
    assert sums[0].tobytes() == sums[1].tobytes()


def test_the_sum_of_two_rows_lies_in_each_workers_own() -> None:
    parts = [slice(0, 20), slice(20, 40)]
    vectors = {"rows": ((2, 40), np.float32), "sums": (40, np.float32), "own": (2, bool)}
    with team(2, add_rows, parts, vectors) as started:
        add_rows(started, parts)
        assert started.share("own").all()
        assert started.share("sums").tolist() == (ROWS[0] + ROWS[1]).tolist()


def exchange(worker: Communicator, rounds: int) -> None:
    value = [1e16, 1.0, -1e16, 1.0][worker.rank]
    assert worker.total(value) == 1.0  # as in ROWS
    for number in range(rounds):
        total = worker.total(number * (worker.rank + 1))
        assert total == number * 10, f"the sum of round {number} was {total}"
        if number % 3 == 0:
            worker.meet()
        rows = worker.gather([number, worker.rank, 0.5])
        assert rows.tolist() == [[number, rank, 0.5] for rank in range(4)]


@pytest.mark.parametrize("counting", [True, False])
def test_numbers_reach_everybody_round_after_round(counting: bool) -> None:
    with team(4, exchange, 60, _counting=counting) as started:
        exchange(started, 60)


def listen(worker: Communicator, factor: float) -> None:
    heard = worker.share("heard")
    place = 0
    while (order := worker.next_order()) is not None:
        heard[worker.rank, place] = sum(order) * factor
        place += 1
    heard[worker.rank, place] = -1


@pytest.mark.parametrize(("method", "counting"), [(QUICK, True), (QUICK, False), (METHODS[-1], True)])
def test_orders_arrive_one_after_the_other_until_the_end(method: str, counting: bool) -> None:
    with team(2, listen, 0.5, {"heard": ((2, 5), float)}, _method=method, _counting=counting) as started:
        started.order([2, 4.5])
        started.order([1])
        started.order([2.0**53])
        heard = started.share("heard")
    assert heard[1].tolist() == [3.25, 0.5, 2.0**52, -1.0, 0.0]


def misbehave(worker: Communicator, how: str) -> None:
    here(worker)
    if worker.rank == 1:
        worker.meet()
        if how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "raises":
            raise ValueError("this number is odd.")
        return
    while True:
        worker.meet()  # where the third worker waits for the second


@pytest.mark.parametrize("counting", [True, False])
@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("killed", r"worker 1 was ended by signal 9 \(.+\); if memory ran out, take fewer workers\."),
        ("raises", r"worker 1 failed with ValueError: this number is odd\."),
        ("returns", r"worker 1 ended with exit code 0 before the work was done; take one worker to see why\."),
    ],
)
@pytest.mark.skipif(not LINUX, reason="the sentences are those of forked processes")
def test_a_worker_that_is_gone_ends_the_work(how: str, sentence: str, counting: bool) -> None:
    with team(3, misbehave, how, _counting=counting) as started:
        here(started)
        pids = started.share("pids").tolist()
        started.meet()
        with pytest.raises(WorkerDiedError) as caught:
            started.meet()
        assert re.fullmatch(sentence, str(caught.value))
        assert ("raise ValueError(" in "".join(getattr(caught.value, "__notes__", []))) == (how == "raises")
        assert all_gone(pids[1:]), "the third worker waits in vain"
    started.close()


@pytest.mark.parametrize("method", METHODS[1:])
def test_a_worker_that_cannot_start_gets_a_hint(method: str, capfd: pytest.CaptureFixture[str]) -> None:
    with team(2, here, Unpicklable(), _method=method) as started, pytest.raises(WorkerDiedError, match="__main__"):
        started.meet()
    if method == "spawn":  # a process of the fork server writes to what was stderr when the server began
        assert "gone before it began" in capfd.readouterr().err


@pytest.mark.parametrize("method", METHODS[1:])
def test_the_words_of_a_failed_worker_arrive_from_any_process(method: str) -> None:
    with team(2, misbehave, "raises", _method=method) as started:
        here(started)
        started.meet()
        with pytest.raises(WorkerDiedError, match="worker 1 failed with ValueError: this number is odd"):
            started.meet()


class Unpicklable:
    def __reduce__(self) -> tuple[Any, ...]:
        return fail, ()


def fail() -> None:
    raise RuntimeError("gone before it began")


def oversleep(worker: Communicator, how: str | None) -> None:
    here(worker)
    if how == "stopped":
        os.kill(os.getpid(), signal.SIGSTOP)
    time.sleep(60)


@pytest.mark.parametrize("how", ["sleeps", "stopped"] if LINUX else ["sleeps"])
def test_close_ends_workers_that_do_not_listen(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "PATIENCE", 0.02)
    with team(2, oversleep, how) as started:
        here(started)
        pids = started.share("pids").tolist()
    assert all_gone(pids[1:], seconds=1)


def wait_for_ever(worker: Communicator, argument: None) -> None:
    here(worker)
    worker.meet()


@pytest.mark.parametrize("counting", [True, False])
def test_an_error_in_the_first_worker_ends_the_others(counting: bool) -> None:
    with pytest.raises(KeyboardInterrupt), team(3, wait_for_ever, _counting=counting) as started:  # noqa: PT012
        here(started)
        pids = started.share("pids").tolist()
        raise KeyboardInterrupt
    assert all_gone(pids[1:], seconds=1)


def interrupt(worker: Communicator, argument: None) -> None:
    signal.raise_signal(signal.SIGINT)
    worker.gather([7])


@pytest.mark.parametrize("method", [METHODS[0], METHODS[-1]])
def test_an_interrupt_is_the_first_workers_business(method: str) -> None:
    with team(2, interrupt, _method=method) as started:
        assert started.gather([1]).tolist() == [[1], [7]]


def test_a_failed_start_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = multiprocessing.process.BaseProcess.start
    started: list[int] = []

    def start(process: Any) -> None:
        if started:
            raise OSError("no more processes")
        begin(process)
        started.append(process.pid)

    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", start)
    with pytest.raises(OSError, match="no more processes"):
        team(3, wait_for_ever)
    assert all_gone(started, seconds=1)


MAIN = """
import os, signal, sys, time
sys.path.insert(0, {folder!r})
from test_workers import here, oversleep, team, wait_for_ever
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell turns off for what runs in its background
    with team(3, {work}, _method={method!r}) as started:
        here(started)
        print(*started.share("pids").tolist(), flush=True)
        {then}
"""


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("method", "work", "end"),
    [
        ("fork", "wait_for_ever", "SIGKILL"),
        ("fork", "wait_for_ever", "SIGINT"),
        ("fork", "oversleep", "SIGKILL"),
        ("fork", "oversleep", "SIGTERM"),
        ("fork", "oversleep", "SIGINT"),
        ("forkserver", "oversleep", "SIGKILL"),
        ("forkserver", "wait_for_ever", "SIGINT"),
        ("spawn", "oversleep", "SIGKILL"),
    ],
)
@pytest.mark.skipif(not LINUX, reason="signals are a matter of POSIX")
def test_nobody_outlives_the_first_process(method: str, work: str, end: str, tmp_path: Path) -> None:
    script = tmp_path / "main.py"
    script.write_text(
        MAIN.format(folder=str(Path(__file__).parent), work=work, method=method, then="time.sleep(60)"),
        encoding="utf-8",
    )
    process = subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    pids = [int(pid) for pid in process.stdout.readline().split()]
    assert len(pids) == 3
    assert pids[0] == process.pid
    if end == "SIGINT":
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
    else:
        os.kill(process.pid, getattr(signal, end))
    assert all_gone(pids)
    errors = process.communicate()[1]
    assert errors.count("Traceback") == (end == "SIGINT"), errors
    assert process.returncode == -getattr(signal, end)


@pytest.mark.skipif(not LINUX, reason="processes are forked on Linux alone")
def test_forking_beside_the_threads_of_blas_brings_no_warning() -> None:
    code = (
        "import warnings; warnings.simplefilter('error')\n"
        "import numpy as np, sys; a = np.ones((1500, 1500), np.float32); a @ a\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_workers import here\n"
        "from glassnet.workers import Team\n"
        "with Team(2, lambda worker, pause: here(worker), None, {'pids': (2, int)}) as team:\n"
        "    here(team); print(team._method)"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (done.stdout, done.stderr) == ("fork\n", "")


def blas_threads() -> int:
    return max(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")


def tell_threads(worker: Communicator, argument: None) -> None:
    worker.gather([blas_threads()])


@pytest.mark.parametrize("method", [METHODS[0], METHODS[-1]])
def test_each_worker_has_one_blas_thread(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")  # with which a new process begins
    with threadpool_limits(2, user_api="blas"):
        with team(2, tell_threads, _method=method) as started:
            assert started.gather([blas_threads()]).tolist() == [[1], [1]]
        assert blas_threads() == 2


def test_shared_arrays_begin_with_zeros_on_cache_lines_of_their_own_and_stay() -> None:
    vectors = {"bytes": (3, np.uint8), "matrix": ((5, 7), np.float32), "nothing": (0, np.float64), "one": ((), int)}
    with team(1, here, vectors=vectors) as started:
        arrays = [started.share(name) for name in vectors]
    assert [array.shape for array in arrays] == [(3,), (5, 7), (0,), ()]
    for value, array in enumerate(arrays, 1):
        assert array.dtype == vectors[("bytes", "matrix", "nothing", "one")[value - 1]][1]
        assert not array.any()
        assert array.ctypes.data % 64 == 0
        array[...] = value
    assert [array.sum() for array in arrays] == [3, 70, 0, 4]


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_memory_and_descriptors_are_given_back() -> None:
    def held() -> tuple[int, int]:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
        large = [line for line in maps if "/pym-" in line and int(line[13:25], 16) - int(line[:12], 16) > 10**7]
        return len(large), len(list(Path("/proc/self/fd").iterdir()))

    for counting in (True, False):
        team(2, here, _counting=counting).close()
    before = held()
    for _ in range(2):
        with team(2, wait_for_ever, vectors={"large": (2_000_000, float)}) as started:
            here(started)
            assert held()[0] == before[0] + 1
    assert held() == before


@pytest.mark.parametrize("kind", ["alone", "team"])
def test_one_worker_needs_nobody(kind: str) -> None:
    vectors = {"rows": ((1, 3), np.float32)}
    one: Communicator = Alone(vectors) if kind == "alone" else team(1, here, vectors=vectors)
    rows = one.share("rows")
    assert rows.tolist() == [[0, 0, 0]]
    rows[0] = 1, 2, 3
    one.meet()
    reduced = one.reduce(rows, slice(1, 3))
    assert reduced.tolist() == [2, 3]
    assert np.shares_memory(reduced, rows)
    assert (one.rank, one.size) == (0, 1)
    assert one.total(0.1) == 0.1
    assert one.gather([1, 2.5]).tolist() == [[1, 2.5]]
    one.order([1])
    if isinstance(one, Team):
        one.close()
    else:
        assert one.next_order() is None


@pytest.mark.parametrize(
    ("system", "threads", "method"),
    [("Linux", 1, "fork"), ("Linux", 2, "forkserver"), ("Darwin", 1, "spawn"), ("Windows", 1, "spawn")],
)
def test_processes_are_forked_where_that_is_safe(
    system: str, threads: int, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(threading, "active_count", lambda: threads)
    with Team(1, here, None, {}) as started:
        assert started._method == method


@pytest.mark.parametrize(("machine", "pipes"), [("x86_64", 0), ("AMD64", 0), ("aarch64", 1), ("arm64", 1)])
def test_workers_count_where_writes_are_seen_in_their_order(
    machine: str, pipes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with team(2, here, _counting=None) as started:
        here(started)
        assert len(started._pipes) == pipes


@pytest.mark.parametrize("size", [0, -1, 1.5])
def test_a_team_needs_a_first_worker(size: Any) -> None:
    with pytest.raises(ConfigError, match="workers must be a whole number of at least 1"):
        Team(size, here, None, {})


def test_numbers_of_other_workers_are_never_overwritten() -> None:
    with team(1, here) as started, pytest.raises(ConfigError, match="at most 16 numbers at a time, not 17"):
        started.order(range(17))
