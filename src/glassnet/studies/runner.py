"""The runner: takes the runs that are due to an executor, and keeps the record of each as soon as it is there.

The executor is that of `concurrent.futures`: processes on this machine, or a Dask cluster. A run is one process with
one BLAS thread wherever it is, so that its bits do not depend on how many run beside it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    wait,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic
from typing import Any

from filelock import FileLock, Timeout

from glassnet.checks import check_count
from glassnet.config import cores
from glassnet.errors import ConfigError, OutputExistsError, WorkerDiedError
from glassnet.files import write_text
from glassnet.studies.job import Job, Record, lost, perform
from glassnet.studies.plan import Planner
from glassnet.studies.records import Records
from glassnet.studies.study import Study, find_study

ATTEMPTS = 3
"""How often a run is begun whose process ends before it does."""

MOST_BREAKS = 5
"""How often all processes may end one after another before any run is done, until it is said that none can be."""

STUDY_FILE, LOCK_FILE = "study.toml", ".lock"


class Cluster(ABC):
    """Where runs are performed.

    Attributes
    ----------
    slots : runs at a time
    """

    slots: int

    @abstractmethod
    def executor(self) -> Executor:
        """Return a working executor; asked for again when the last one broke."""

    def close(self) -> None:
        """End what was started, at once."""


class Processes(Cluster):
    """Processes on this machine, which end with this one, however it ends.

    Parameters
    ----------
    jobs : how many
    """

    def __init__(self, jobs: int) -> None:
        self.slots = check_count("jobs", jobs, least=1)
        self._executor: ProcessPoolExecutor | None = None
        self._life: Connection | None = None

    def executor(self) -> Executor:
        """Return a new pool."""
        self.close()
        context = multiprocessing.get_context("spawn")  # a fork would take over locks of BLAS threads
        end, self._life = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(self.slots, context, _begin, (end,))
        return self._executor

    def close(self) -> None:
        """End the pool and its processes."""
        if self._life is not None:
            self._life.close()
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
        self._life = self._executor = None


def _begin(life: Connection) -> None:
    """Make a process of the pool end when the other end of the pipe closes, and leave Ctrl-C to the main process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait_for_the_end() -> None:
        with suppress(EOFError, OSError):
            life.recv_bytes()
        os._exit(1)

    threading.Thread(target=wait_for_the_end, daemon=True).start()


class Dask(Cluster):
    """A Dask cluster, whose workers have glassnet installed.

    Parameters
    ----------
    address : of the scheduler, such as "tcp://192.168.0.5:8786"
    patience : seconds to wait for its answer

    Raises
    ------
    ConfigError
        If `distributed` is not installed, or no scheduler answers.
    """

    def __init__(self, address: str, *, patience: float = 10.0) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise ConfigError(
                "a Dask cluster needs the package distributed: pip install 'glassnet[dask]' brings it."
            ) from None
        try:
            self._client = Client(address, timeout=patience, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(
                f"no Dask scheduler answers at {address!r:.80} ({error or type(error).__name__}): start one with "
                f"'dask scheduler', and workers with 'dask worker ADDRESS --nthreads 1'."
            ) from None
        self._executor: Any = None

    @property
    def slots(self) -> int:  # type: ignore[override]
        """One run for each thread of the workers that there are now, and as many that wait for one."""
        threads: dict[str, int] = self._client.nthreads()
        return 2 * max(1, sum(threads.values()))

    def executor(self) -> Executor:
        """Return the client's executor."""
        if self._client.status != "running":
            raise WorkerDiedError(
                "the Dask scheduler is gone; every finished run is kept, so begin again when there is one."
            )
        self._executor = self._client.get_executor(pure=False)
        executor: Executor = self._executor
        return executor

    def close(self) -> None:
        """Cancel what is waiting, and leave the cluster."""
        if self._executor is not None:
            self._executor.shutdown(wait=False)
        self._client.close()


@dataclass(frozen=True)
class Progress:
    """A run is done.

    Attributes
    ----------
    record : of the run; None at the beginning
    done, total : runs, as far as it can be known
    retried : runs that had to be begun again so far, since their process had ended
    remaining_seconds : about how long the rest will take; None before anything can be said
    """

    record: Record | None
    done: int
    total: int
    retried: int
    remaining_seconds: float | None


def run_study(
    study: Study,
    folder: str | os.PathLike[str],
    *,
    jobs: int | None = None,
    cluster: Cluster | None = None,
) -> Iterator[Progress]:
    """Perform the runs of a study that have no record yet, and yield after each.

    Each record is on the disk before it is yielded. Whoever stops, or is stopped, at any moment loses the runs that
    were under way and no other; the next call goes on, and tries again what was lost because its process ended. Where
    processes are used, a program must begin with ``if __name__ == "__main__":``.

    Parameters
    ----------
    study : see `find_study` and `parse_study`
    folder : of the results; made if it is not there. It keeps the records of one study
    jobs : processes; None: as many as there are processors
    cluster : where to perform the runs, in place of processes on this machine

    Raises
    ------
    OutputExistsError
        If another study, or another runner at work, has the folder.
    WorkerDiedError
        If the scheduler of a cluster is gone, or no process lives long enough to do anything.
    GlassnetError
        If the data can not be read, or something does not fit together.

    Examples
    --------
    >>> import tempfile
    >>> from glassnet.studies import parse_study
    >>> study = parse_study('''
    ... name = "two-rates"
    ... question = "Which learning rate is better?"
    ... seeds = 1
    ... [run]
    ... max_steps = 5
    ... [grid]
    ... learning_rate = [0.001, 0.01]
    ... ''')
    >>> [progress.done for progress in run_study(study, tempfile.mkdtemp(), jobs=1)]
    [0, 1, 2]
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputExistsError(f"{folder} is a file: name a folder for the results.")
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        _claim(folder, study)
        records = Records(folder)
        records.mend()
        found = {key: record for key, record in records.read().items() if record["outcome"] != "lost"}
        yield from _run(study, Planner(study), records, found, cluster or Processes(jobs or cores()))
        records.pack()


def check_folder(folder: str | os.PathLike[str], study: Study) -> None:
    """Refuse a folder that has the records of another study, or of trial runs.

    Raises
    ------
    OutputExistsError
        Naming both.
    """
    path = Path(folder) / STUDY_FILE
    if not path.is_file():
        return
    there = find_study(path)
    if there.name != study.name:
        raise OutputExistsError(
            f"{folder} has the records of the study {there.name}, not of {study.name}: name another folder with --out."
        )


def _claim(folder: Path, study: Study) -> None:
    check_folder(folder, study)
    path = folder / STUDY_FILE
    if not path.is_file() or path.read_text(encoding="utf-8") != study.source:
        write_text(path, study.source)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = FileLock(folder / LOCK_FILE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputExistsError(
            f"another runner is at work in {folder}: wait for it, or name another folder."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _run(
    study: Study, planner: Planner, records: Records, found: dict[str, Record], cluster: Cluster
) -> Iterator[Progress]:
    clock, retried, breaks, broken = _Clock(), 0, 0, False
    pending = _longest_first(planner.due(found))
    flying: dict[Future[Record], Job] = {}
    attempts: Counter[str] = Counter()

    def progress(record: Record | None) -> Progress:
        left = sum(job.cost for job in [*pending, *flying.values()])
        done = len(planner.keys(found) & set(found))
        return Progress(record, done, planner.total(found), retried, clock.remaining(left))

    yield progress(None)
    if not pending:
        return
    try:
        executor = cluster.executor()
        while pending or flying:
            if broken and not flying:
                breaks += 1
                if breaks == MOST_BREAKS and not clock.cost:
                    raise WorkerDiedError(
                        "every process ends before its run is done, so something is wrong with all of them: is there "
                        "memory for so many (take fewer jobs), and does your program begin with "
                        'if __name__ == "__main__"?'
                    )
                executor, broken = cluster.executor(), False
            while pending and not broken and _may_start(pending[0], flying, attempts, cluster.slots):
                try:
                    future = executor.submit(perform, pending[0])
                except BrokenExecutor:  # those that fly will say so, too
                    broken = True
                else:
                    job = pending.pop(0)
                    flying[future] = job
                    attempts[job.key] += 1
            finished, _ = wait(flying, return_when=FIRST_COMPLETED)
            for future in finished:
                job = flying.pop(future)
                record = _record_of(future)
                if record is None:
                    broken, retried = True, retried + 1
                    if attempts[job.key] < ATTEMPTS:
                        pending.append(job)
                        continue
                    record = lost(job, f"its process ended {ATTEMPTS} times before it was done", ATTEMPTS)
                else:
                    clock.done(job.cost)
                record["attempts"] = attempts[job.key]
                records.append(record)
                found[record["key"]] = record
                if not pending:
                    under_way = {job.key for job in flying.values()}
                    pending = _longest_first(job for job in planner.due(found) if job.key not in under_way)
                yield progress(record)
    finally:
        cluster.close()


def _longest_first(jobs: Iterable[Job]) -> list[Job]:
    """Return runs in an order in which no long one is left for the end, when others have nothing to do.

    Of equally long ones all cells take turns, seed by seed, so that whatever slows the machine slows all alike.
    """
    return sorted(jobs, key=lambda job: (-job.cost, job.config.seed))


def _record_of(future: Future[Record]) -> Record | None:
    """Return what a run came to; None if its process is gone, here or on a cluster."""
    try:
        return future.result()
    except (BrokenExecutor, CancelledError):
        return None
    except Exception as error:
        if type(error).__name__ in ("KilledWorker", "FutureCancelledError"):  # of Dask, which need not be there
            return None
        raise


def _may_start(job: Job, flying: Mapping[Future[Record], Job], attempts: Mapping[str, int], slots: int) -> bool:
    """Say whether a run may start beside those that are under way.

    When a process ends, all of its pool do, and nobody knows which run was at fault. So the last attempt is alone.
    """
    alone = attempts[job.key] >= ATTEMPTS - 1 or any(attempts[other.key] >= ATTEMPTS for other in flying.values())
    return not flying if alone else len(flying) < slots


class _Clock:
    """Tells from the costs of what is done how long the rest will take."""

    def __init__(self) -> None:
        self._start, self.cost = monotonic(), 0.0

    def done(self, cost: float) -> None:
        self.cost += cost

    def remaining(self, cost: float) -> float | None:
        return (monotonic() - self._start) * cost / self.cost if self.cost else None
