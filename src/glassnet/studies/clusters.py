"""Where runs are performed: executors of `concurrent.futures`, on this machine or on a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

from glassnet.checks import check_count
from glassnet.errors import ConfigError, WorkerDiedError

MOST_ON_WINDOWS = 61
"""Processes that one of them can wait for there."""


class Cluster(ABC):
    """Where runs are performed.

    Attributes
    ----------
    slots : runs at a time
    gone : processes that have ended although they were needed, and whose runs somebody else began again
    local : whether runs see the files that this process sees
    """

    local = True

    @property
    def gone(self) -> int:
        """None, unless somebody else begins runs again: what breaks an executor is its user's business."""
        return 0

    @property
    @abstractmethod
    def slots(self) -> int:
        """Runs at a time."""

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

    Raises
    ------
    ConfigError
        If it is no whole number of at least 1.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = check_count("jobs", jobs, least=1)
        if os.name == "nt":
            self._jobs = min(self._jobs, MOST_ON_WINDOWS)
        self._executor: ProcessPoolExecutor | None = None
        self._life: Connection | None = None

    @property
    def slots(self) -> int:
        """As many runs as processes."""
        return self._jobs

    def executor(self) -> Executor:
        """Return a new pool."""
        self.close()
        context = multiprocessing.get_context("spawn")  # a fork would take over locks of BLAS threads
        end, self._life = context.Pipe(duplex=False)
        self._executor = ProcessPoolExecutor(self._jobs, context, _begin, (end,))
        with _deaf_to_interrupts():  # which the processes inherit
            self._executor.submit(_nothing)  # starts them
        return self._executor

    def close(self) -> None:
        """End the pool and its processes."""
        if self._life is not None:
            self._life.close()
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)
        self._life = self._executor = None


def _nothing() -> None:
    """Do nothing, in another process."""


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Ignore Ctrl-C for a moment; outside the main thread, which alone can, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)


def _begin(life: Connection) -> None:
    """Make a process of the pool end when the other end of the pipe closes, and leave Ctrl-C to the main process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def wait_for_the_end() -> None:
        with suppress(EOFError, OSError):
            life.recv_bytes()
        os._exit(1)

    threading.Thread(target=wait_for_the_end, daemon=True).start()


class Dask(Cluster):
    """A Dask cluster, whose workers have glassnet installed and one thread each.

    Folders of data are looked for where the workers were started.

    Parameters
    ----------
    address : of the scheduler, such as "tcp://192.168.0.5:8786"
    patience : seconds to wait for its answer, and for a first worker

    Raises
    ------
    ConfigError
        If `distributed` is not installed, or no scheduler answers.
    """

    local = False

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
        self.patience = patience
        self._workers: set[str] = set()
        self._gone = 0
        self._executor: Any = None

    @property
    def slots(self) -> int:
        """One run for each of the workers that there are now, and as many that wait for one."""
        return 2 * max(1, len(self._look()))

    @property
    def gone(self) -> int:
        """Workers that are gone; Dask begins their runs again by itself."""
        self._look()
        return self._gone

    def executor(self) -> Executor:
        """Return the client's executor.

        Raises
        ------
        WorkerDiedError
            If the scheduler is gone.
        ConfigError
            If there is no worker, or one with several threads, which would share the BLAS of their process.
        """
        workers = self._look()
        if not workers:
            with suppress(TimeoutError):
                self._client.wait_for_workers(1, timeout=self.patience)
            workers = self._look()
        if not workers or max(workers.values()) > 1:
            fault = "has workers with several threads" if workers else "has no worker"
            raise ConfigError(f"the Dask scheduler {fault}: start them with 'dask worker ADDRESS --nthreads 1'.")
        self._executor = self._client.get_executor(pure=False)
        executor: Executor = self._executor
        return executor

    def close(self) -> None:
        """Cancel what is waiting, and leave the cluster."""
        with suppress(OSError):  # it may be gone
            if self._executor is not None:
                self._executor.shutdown(wait=False)
            self._client.close()

    def _look(self) -> dict[str, int]:
        """Return the workers that there are, with their threads, and count those that are gone."""
        try:
            workers: dict[str, int] = dict(self._client.nthreads()) if self._client.status == "running" else {}
        except OSError:
            workers = {}
        if self._client.status != "running" or (self._workers and not workers and not self._answers()):
            raise WorkerDiedError(
                "the Dask scheduler is gone; every finished run is kept, so begin again when there is one."
            )
        self._gone += len(self._workers - set(workers))
        self._workers = set(workers)
        return workers

    def _answers(self) -> bool:
        """Return whether the scheduler answers."""
        try:
            self._client.scheduler_info()
        except OSError:
            return False
        return True
