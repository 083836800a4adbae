"""Several figures at once, on two processor cores where that is safe."""

from __future__ import annotations

import multiprocessing
import os
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from glassnet.plots.style import save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    Job: TypeAlias = tuple[Path, Callable[[], Figure]]

PATIENCE = 60.0
"""Seconds after which the other process is given up."""


def save_all(makers: Mapping[Path, Callable[[], Figure]]) -> None:
    """Make figures and write each to its path, see `save`.

    Every second one is made in a forked process, where there is a second core and a fork is safe: on Linux, with no
    other Python thread running. What that process does not finish, for whatever reason, is made again in this one, so
    that an error is raised here in any case.

    Parameters
    ----------
    makers : what makes the figure, by the path

    Examples
    --------
    >>> import tempfile
    >>> from glassnet.plots.style import new_figure
    >>> folder = Path(tempfile.mkdtemp())
    >>> save_all({folder / name: lambda: new_figure(1.0, 1.0) for name in ("a.png", "b.png")})
    >>> sorted(path.name for path in folder.iterdir())
    ['a.png', 'b.png']
    """
    jobs = list(makers.items())
    if len(jobs) < 2 or not _may_fork():
        return _save_each(jobs)
    import matplotlib.backends.backend_agg
    import matplotlib.figure  # noqa: F401  # once, for both processes

    mine, theirs = jobs[::2], jobs[1::2]
    child = multiprocessing.get_context("fork").Process(target=_save_or_exit, args=(theirs,), daemon=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of BLAS threads, which know how to be forked
            child.start()
    except OSError:  # no room for another process
        return _save_each(jobs)
    try:
        _save_each(mine)
    except BaseException:
        child.kill()
        raise
    finally:
        child.join(PATIENCE)
        if child.is_alive():
            child.kill()
            child.join()
    if child.exitcode:
        _save_each(theirs)
    return None


def _may_fork() -> bool:
    if not hasattr(os, "sched_getaffinity") or threading.active_count() > 1:  # only Linux has it
        return False
    return len(os.sched_getaffinity(0)) > 1 and not multiprocessing.current_process().daemon


def _save_each(jobs: Iterable[Job]) -> None:
    for path, make in jobs:
        save(make(), path)


def _save_or_exit(jobs: Iterable[Job]) -> None:
    try:
        _save_each(jobs)
    except BaseException:
        raise SystemExit(1) from None  # nothing is printed; the parent will meet it, too
