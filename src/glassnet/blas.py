"""How many threads BLAS uses: one number for the whole process, which may have several trainings at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_open: list[_Block] = []  # the blocks that are under way, in the order in which they began
_ended: list[_Block] = []  # those of them that have ended, and whose numbers are still to be brought back


def _anew() -> None:
    """Take a fresh lock in a process that was forked while another thread, which is not there any more, held it."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_anew)


@dataclass(eq=False)
class _Block:
    threads: int
    before: list[tuple[Any, int]]  # each library, and how many threads it has again at the end


@contextmanager
def threads_at_most(threads: int) -> Iterator[None]:
    """Let BLAS use so many threads at most, as long as the block lasts.

    Of blocks that overlap, in several threads of Python, the lowest number counts. When the last of them ends, what was
    before the first comes back; each of them by itself would bring back what another one had set.

    Examples
    --------
    >>> before = threads_now()
    >>> with threads_at_most(1):
    ...     threads_now() in (1, None)
    True
    >>> threads_now() == before
    True
    """
    with _lock:
        block = _Block(threads, [(library, library.num_threads) for library in _libraries()])
        _open.append(block)
        lowest = min(other.threads for other in _open)
        _set([(library, lowest) for library, _ in block.before])
    _settle()
    try:
        yield
    finally:
        _ended.append(block)
        _settle()


def _settle() -> None:
    """Bring back what the blocks that have ended found, now or as soon as who holds the lock gives it up.

    A block may end anywhere, where garbage is collected, too: even while this very thread holds the lock. So the end
    does not wait for it; who holds it calls this when it is free again.
    """
    while _ended and _lock.acquire(blocking=False):
        try:
            while _ended:
                _end(_ended.pop())
        finally:
            _lock.release()


def _end(block: _Block) -> None:
    place = _open.index(block)
    _open.remove(block)
    if place == len(_open):
        _set(block.before)
    else:  # another one began since, and will bring back what this one found
        _open[place].before = block.before


def _set(numbers: list[tuple[Any, int]]) -> None:
    """Set the threads of each library.

    threadpoolctl lets one thread of Python alone set OpenBLAS, and leaves out without a word what others ask for. Here
    the lock takes care of that, so the call beneath it is made; a library without one is set as usual.
    """
    for library, threads in numbers:
        getattr(library, "_real_set_num_threads", library.set_num_threads)(threads)


def _libraries() -> list[Any]:
    found: list[Any] = ThreadpoolController().select(user_api="blas").lib_controllers
    return found


def threads_now() -> int | None:
    """Return how many threads BLAS may use now; None where NumPy's BLAS is not known."""
    return max((library.num_threads for library in _libraries()), default=None)
