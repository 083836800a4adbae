"""Several figures at once, by processes that load matplotlib while something else is done, where that is safe."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from glassnet.plots.style import save

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from matplotlib.figure import Figure

    Job: TypeAlias = tuple[Path, Callable[[], Figure]]
    Pipe: TypeAlias = Connection[Any, Any]

PATIENCE = 60.0
"""Seconds after which a process that draws is given up."""

IDLE = 600.0
"""Seconds after which one that nobody gave work to ends; for a run that long, loading matplotlib anew is nothing."""


class Drawers:
    """Two processes that draw, forked as soon as this is made: on Linux, on two cores, beside no other Python thread.

    Loading matplotlib takes longer than any figure, so who has something else to do first makes this before. What the
    processes do not finish, for whatever reason, is made in this one, so that an error is raised here in any case; so
    is all of it where there are none.

    Examples
    --------
    >>> import tempfile
    >>> from functools import partial
    >>> from glassnet.plots.style import new_figure
    >>> folder = Path(tempfile.mkdtemp())
    >>> with Drawers() as drawers:
    ...     drawers.save_all({folder / name: partial(new_figure, 1.0, 1.0) for name in ("a.png", "b.png")})
    >>> sorted(path.name for path in folder.iterdir())
    ['a.png', 'b.png']
    """

    def __init__(self) -> None:
        self._pipes: list[Pipe] = []
        self._process: BaseProcess | None = None
        self._start()

    def _start(self) -> None:
        if not _may_fork():
            return
        ours, theirs = zip(*(multiprocessing.Pipe() for _ in range(2)), strict=True)
        process = multiprocessing.get_context("fork").Process(target=_draw, args=(ours, theirs), daemon=True)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of BLAS threads, which know how to be forked
                process.start()
            self._process, self._pipes = process, list(ours)
        except OSError:  # no room for another process
            for pipe in ours:
                pipe.close()
        finally:
            for pipe in theirs:
                pipe.close()

    def save_all(self, makers: Mapping[Path, Callable[[], Figure]]) -> None:
        """Make figures and write each to its path, see `save`.

        Parameters
        ----------
        makers : what makes the figure, by the path; in this process if it can not be sent to another
        """
        jobs = list(makers.items())
        if self._process is None or not self._process.is_alive():
            self.close()
            self._start()
        at_work: list[tuple[Pipe, list[Job]]] = []
        left: list[Job] = []
        for pipe, share in zip(self._pipes, (jobs[::2], jobs[1::2]), strict=False):  # none where there are no processes
            try:
                if not _answer(pipe):  # it has loaded matplotlib
                    raise EOFError
                pipe.send(share)
                at_work.append((pipe, share))
            except Exception:  # it is gone, or the makers can not be sent
                left += share
        if not self._pipes:
            left = jobs
        _save_each(left)
        for pipe, share in at_work:
            if not _answer(pipe):
                self.close()
                _save_each(share)

    def close(self) -> None:
        """End the processes."""
        for pipe in self._pipes:
            pipe.close()
        self._pipes = []
        process, self._process = self._process, None
        if process is not None and process.pid is not None and process.exitcode is None:  # else the other one ends, too
            process.kill()
            with contextlib.suppress(ProcessLookupError):  # it has not come to make its group
                os.killpg(process.pid, signal.SIGKILL)
            process.join()  # not before: its number could be somebody else's then

    def __enter__(self) -> Drawers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _may_fork() -> bool:
    if not hasattr(os, "sched_getaffinity") or threading.active_count() > 1:  # only Linux has it
        return False
    return len(os.sched_getaffinity(0)) > 1 and not multiprocessing.current_process().daemon


def _answer(pipe: Pipe) -> bool:
    """Return what the process at the other end says; False if it says nothing."""
    try:
        return pipe.poll(PATIENCE) and bool(pipe.recv())
    except (EOFError, OSError):
        return False


def _save_each(jobs: Iterable[Job]) -> None:
    for path, make in jobs:
        save(make(), path)


def _draw(ours: Iterable[Pipe], theirs: tuple[Pipe, Pipe]) -> None:
    """Be the two processes: load matplotlib, fork, and each draw what comes through its pipe until that is closed."""
    os.setpgid(0, 0)  # the two can be ended together, and a Ctrl-C in the terminal does not reach them
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the second one
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)  # whatever goes wrong is met again, and said, by the process that asked
    for pipe in ours:
        pipe.close()
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pipe, other = theirs if os.fork() else reversed(theirs)
    other.close()
    with contextlib.suppress(EOFError, OSError):  # it is over
        while True:
            pipe.send(True)
            if not pipe.poll(IDLE):
                break
            jobs = pipe.recv()
            try:
                _save_each(jobs)
                pipe.send(True)
            except BaseException:
                pipe.send(False)
    os._exit(0)
