"""Several figures at once, by processes that load matplotlib while something else is done, where that is safe."""

from __future__ import annotations

import atexit
import contextlib
import itertools
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

GRACE = 5.0
"""Seconds that the processes are given to end: they may be loading matplotlib, which should not be cut off."""

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
        self._loaded: dict[Pipe, int] = {}  # who has said that matplotlib is loaded, and its process
        self._process: BaseProcess | None = None
        self._start()

    def _start(self) -> None:
        if not _may_fork():
            return
        ours: list[Pipe] = []
        theirs: list[Pipe] = []
        signals = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # until it is out of the terminal's group
        try:
            for _ in range(2):
                end, other = multiprocessing.Pipe()
                ours.append(end)
                theirs.append(other)
            process = multiprocessing.get_context("fork").Process(target=_draw, args=(ours, theirs), daemon=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of BLAS threads, which know how to be forked
                process.start()
            self._process, self._pipes = process, ours
        except OSError:  # no room for another process
            for pipe in ours:
                pipe.close()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, signals)
            for pipe in theirs:
                pipe.close()

    def save_all(self, makers: Mapping[Path, Callable[[], Figure]]) -> None:
        """Make figures and write each to its path, see `save`.

        Parameters
        ----------
        makers : what makes the figure, by the path; in this process if it can not be sent to another
        """
        jobs = [(path.absolute(), make) for path, make in makers.items()]
        if self._process is None or not self._process.is_alive():
            self.close()
            self._start()
        try:
            self._save(jobs)
        except BaseException:
            self.close()  # nobody knows what they were about to say
            raise

    def _save(self, jobs: list[Job]) -> None:
        shares = [jobs[::2], jobs[1::2]] if self._pipes else [jobs]
        at_work, left = [], []
        for pipe, share in itertools.zip_longest(self._pipes, shares):
            if pipe and share and self._give(pipe, share):
                at_work.append((pipe, share))
            else:
                left.append(share)
        for share in left:
            _save_each(share)
        for pipe, share in at_work:
            if not _answer(pipe):
                self.close()
                _save_each(share)

    def _give(self, pipe: Pipe, share: list[Job]) -> bool:
        """Have figures made by the process at the other end; return whether it has understood."""
        try:
            if pipe not in self._loaded:
                process = _answer(pipe)
                if not process:
                    return False
                self._loaded[pipe] = process
            pipe.send(share)
        except Exception:  # it is gone, or they can not be sent
            return False
        return True

    def close(self) -> None:
        """End the processes: they do so by themselves, but for one that hangs."""
        for pipe in self._pipes:
            pipe.close()
        process, self._process = self._process, None
        if process is not None:
            group = process.pid or 0
            process.join(GRACE)
            for member in {group, *self._loaded.values()}:
                with contextlib.suppress(ProcessLookupError):
                    if os.getpgid(member) == group:  # and not somebody else of the same number
                        os.kill(member, signal.SIGKILL)
            process.join()
        self._pipes, self._loaded = [], {}

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


def _answer(pipe: Pipe) -> int:
    """Return what the process at the other end says; 0 if it says nothing."""
    try:
        return int(pipe.recv()) if pipe.poll(PATIENCE) else 0
    except (EOFError, OSError):
        return 0


def _save_each(jobs: Iterable[Job]) -> None:
    for path, make in jobs:
        save(make(), path)


def _draw(ours: list[Pipe], theirs: list[Pipe]) -> None:
    """Be the two processes: load matplotlib, fork, and each draw what comes through its pipe until that is closed."""
    os.setpgid(0, 0)  # the two can be told from others, and a Ctrl-C in the terminal does not reach them
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)  # whatever goes wrong is met again, and said, by the process that asked
    for pipe in ours:
        pipe.close()
    atexit._clear()  # what the other program wants to do at its end
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        second = os.fork()
    pipe, other = theirs if second else reversed(theirs)
    other.close()
    with contextlib.suppress(EOFError, OSError):  # it is over
        pipe.send(os.getpid())
        while pipe.poll(IDLE):
            jobs = pipe.recv()
            try:
                _save_each(jobs)
                pipe.send(1)
            except BaseException:
                pipe.send(0)
    if second:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(second, 0)
        atexit._run_exitfuncs()  # matplotlib's: it may have made a folder for its fonts
    os._exit(0)
