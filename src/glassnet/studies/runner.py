"""The runner: takes the runs that are due to an executor, and keeps the record of each as soon as it is there.

The executor is that of `concurrent.futures`: processes on this machine, or a Dask cluster. A run is one process with
one BLAS thread wherever it is, so that its bits do not depend on how many run beside it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from glassnet.config import cores, read_text
from glassnet.errors import OutputExistsError, WorkerDiedError
from glassnet.files import only_writer, remove_leftovers, write_text
from glassnet.studies.clusters import Cluster, Processes
from glassnet.studies.job import Job, Record, check, lost, perform
from glassnet.studies.plan import Planner
from glassnet.studies.records import Records
from glassnet.studies.study import Study, find_study

ATTEMPTS = 3
"""How often a run is begun whose process ends before it does."""

MOST_BREAKS = 5
"""How often all processes may end one after another before any run is done, until it is said that none can be."""

STUDY_FILE = "study.toml"


@dataclass(frozen=True)
class Progress:
    """A run is done.

    Attributes
    ----------
    record : of the run; None at the beginning
    done, total : runs, as far as it can be known
    retried : processes that have ended so far before their run did, here or on a cluster
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
    cluster = Processes(cores() if jobs is None else jobs) if cluster is None else cluster
    try:
        with only_writer(folder):
            _claim(folder, study)
            records = Records(folder)
            records.mend()
            found = {key: record for key, record in records.read().items() if record["outcome"] != "lost"}
            yield from _run(Planner(study), records, found, cluster)
            records.pack()
    finally:
        cluster.close()


def check_folder(folder: str | os.PathLike[str], study: Study) -> None:
    """Refuse a folder that has the records of another study, or of a trial where the study is none, and the other way.

    Raises
    ------
    OutputExistsError
        Naming both.
    """
    path = Path(folder) / STUDY_FILE
    if not path.is_file():
        return
    there = find_study(path)
    kinds = ["a trial of the study" if one.quick else "the study" for one in (there, study)]
    if (there.name, there.quick) != (study.name, study.quick):
        raise OutputExistsError(
            f"{folder} has the records of {kinds[0]} {there.name}, not of {kinds[1]} {study.name}: name another folder "
            f"with --out."
        )


def _claim(folder: Path, study: Study) -> None:
    check_folder(folder, study)
    path = folder / STUDY_FILE
    remove_leftovers(path)
    if study.source and (not path.is_file() or read_text(path) != study.source):
        write_text(path, study.source)


def _run(planner: Planner, records: Records, found: dict[str, Record], cluster: Cluster) -> Iterator[Progress]:
    clock, retried, breaks, broken = _Clock(), 0, 0, False
    pending = _in_turns(planner.due(found))
    flying: dict[Future[Record], Job] = {}
    attempts: Counter[str] = Counter()

    def progress(record: Record | None) -> Progress:
        left = sum(job.cost for job in [*pending, *flying.values()])
        done = len(planner.keys(found) & set(found))
        return Progress(record, done, planner.total(found), retried + cluster.gone, clock.remaining(left))

    yield progress(None)
    if not pending:
        return
    if cluster.local:
        for job in {job.label: job for job in pending}.values():
            check(job)
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
        for future in sorted(finished, key=_failed):  # so that records come before an error ends it all
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
                pending = _in_turns(job for job in planner.due(found) if job.key not in under_way)
            yield progress(record)


def _in_turns(jobs: Iterable[Job]) -> list[Job]:
    """Return runs in their order: seed by seed, so that whatever slows the machine slows all cells alike.

    Those of a seed are sorted by their length, so that no long one is left for the end when others have nothing to do.
    """
    return sorted(jobs, key=lambda job: (job.config.seed, -job.cost))


def _failed(future: Future[Record]) -> bool:
    return future.cancelled() or future.exception() is not None


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
