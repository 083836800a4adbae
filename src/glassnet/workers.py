"""Workers: processes that train one network together, all running the same code in step.

    each worker:  g_r = dL_r/dtheta            into its own row of shared memory
                  meet
                  g = g_0 + g_1 + ...          its own slice, always in the order of the ranks
                  theta = update(theta, g)     its own slice
                  meet

Worker 0 is the process that asked for the others, and their end is its business: they live as long as its `Team`. This
module knows processes, shared memory and meeting points, and nothing of networks.

The shared memory has no name that could outlive a run: on POSIX systems it is a file that loses its name before it has
any content and is held by descriptors alone, on Windows a mapping that goes with its last handle.
"""

from __future__ import annotations

import math
import os
import platform
import signal
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from glassnet.blas import threads_at_most
from glassnet.checks import check_count
from glassnet.errors import ConfigError, WorkerDiedError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

Array: TypeAlias = NDArray[Any]

Vectors: TypeAlias = Mapping[str, tuple[int | tuple[int, ...], DTypeLike]]
"""What is shared: name -> shape, dtype."""

Work: TypeAlias = Callable[["Communicator", Any], None]
"""What the other workers do: called with the communicator and the argument that was handed to `Team`."""

LINE = 64
"""Bytes of a cache line, the unit in which processors pass memory to each other."""

NUMBERS = 16
"""Numbers that `Communicator.gather` and `Communicator.order` can carry at most."""

NOTE = 8192
"""Bytes for the last words of a worker."""

SPIN = 200e-6
"""Seconds for which a wait keeps its processor: most are shorter, and falling asleep and waking takes 60 microseconds.

After that it naps, so that others can use the processor, the awaited worker among them. (Yielding instead is as fast on
an idle machine, but can cost a whole time slice at each step where all processors are busy.)
"""

NAP, LONGEST_NAP, GROWTH = 1e-6, 1e-3, 1.1
"""Seconds of the first and of the longest nap, and by which factor each is longer than the one before."""

PAUSE = 0.02
"""Seconds between two looks whether the others are still there, in a wait for a pipe."""

PATIENCE = 1.0
"""Seconds that workers have for ending when they are told to; a worker at its work ends at its next meeting."""


class Communicator(ABC):
    """What one of several workers that do the same at the same time sees of the others.

    All workers call `meet`, `gather` and `total` in the same order; worker 0 calls `order` where the others call
    `next_order`.

    Attributes
    ----------
    rank : number of this worker, from 0
    size : how many there are
    """

    rank: int
    size: int

    @abstractmethod
    def share(self, name: str) -> Array:
        """Return an array that all workers see; it was declared at the start, and began with zeros."""

    @abstractmethod
    def meet(self) -> None:
        """Wait until all workers are here; then each sees what the others wrote before.

        Raises
        ------
        WorkerDiedError
            In worker 0, if another is gone. The others just end.
        """

    @abstractmethod
    def reduce(self, rows: Array, part: slice) -> Array:
        """Add up the workers' rows, each from the first to the last, for the part that is this worker's.

        Parameters
        ----------
        rows : (size, P)
            A shared array in which each worker has filled its row; all must have met since.
        part : slice of P
            No two workers' parts may overlap. Within it, rows may lose their content.

        Returns
        -------
        Array
            ``rows[rank, part]``, which holds ``rows[0, part] + rows[1, part] + ...``, bit for bit the same every time.
        """

    @abstractmethod
    def gather(self, numbers: Sequence[float]) -> NDArray[np.float64]:
        """Return the (size, k) numbers of all workers; each hands in k, at most 16. All workers meet."""

    @abstractmethod
    def order(self, numbers: Sequence[float]) -> None:
        """Tell the workers that wait in `next_order` what to do, by at most 16 numbers (whole ones up to 2^53)."""

    @abstractmethod
    def next_order(self) -> list[float] | None:
        """Wait for an order and return its 16 numbers, filled up with zeros, or None when all is done."""

    def total(self, value: float) -> float:
        """Return the sum of the values of all workers, in the order of their ranks. All workers meet."""
        return float(sum(self.gather([value])[:, 0].tolist()))


class Alone(Communicator):
    """A single worker, so that nobody has to ask whether there are others."""

    rank, size = 0, 1

    def __init__(self, vectors: Vectors | None = None) -> None:
        self._vectors = {name: np.zeros(shape, dtype) for name, (shape, dtype) in (vectors or {}).items()}

    def share(self, name: str) -> Array:
        """Return an array of this worker's own."""
        return self._vectors[name]

    def meet(self) -> None:
        """Do nothing."""

    def reduce(self, rows: Array, part: slice) -> Array:
        """Return the part of the only row."""
        out: Array = rows[0, part]
        return out

    def gather(self, numbers: Sequence[float]) -> NDArray[np.float64]:
        """Return the numbers."""
        return np.array([numbers], np.float64)

    def order(self, numbers: Sequence[float]) -> None:
        """Do nothing: nobody listens."""

    def next_order(self) -> list[float] | None:
        """Return None: nobody gives orders."""
        return None


class _EndOfWork(BaseException):
    """Worker 0 needs the others no more; no business of those who catch `Exception`."""


class SharedMemory(Communicator):
    """One of several processes on one machine.

    Each worker counts its meetings on a cache line that only it writes, and waits until all counts reach its own. That
    is right where a processor shows one core's writes to the others in their order, as x86 does: who sees the count
    sees what was written before it. Elsewhere workers meet through pipes, where the operating system takes care of it.

    Parameters
    ----------
    rank, size : see `Communicator`
    block : memory that all processes have
    vectors : what lies in it
    pipes : to meet through: those to all others in worker 0, the one to worker 0 in the others; empty for counting
    """

    def __init__(
        self, rank: int, size: int, block: Any, vectors: Vectors, pipes: Sequence[Connection[Any, Any]]
    ) -> None:
        self.rank, self.size = rank, size
        views, _ = _layout(size, vectors, np.frombuffer(block, np.uint8))
        self._shared = {name: views[name] for name in vectors}
        self._notes = views["worker notes"]
        # Memoryviews: reading a number takes a third of the time that it takes through NumPy.
        self._counts = views["worker counts"].reshape(-1).data
        self._numbers: Any = views["worker numbers"].reshape(-1).data
        words = LINE // 8
        self._own, self._over = words * rank, words * size
        self._others = [words * other for other in range(size) if other != rank]
        self._pipes = pipes
        self._met = 0

    def share(self, name: str) -> Array:
        """Return an array that all workers see; it was declared at the start, and began with zeros."""
        return self._shared[name]

    def meet(self) -> None:
        """Wait until all workers are here; see `Communicator.meet`."""
        if self._pipes:
            self._meet_through_pipes()
            return
        counts, met = self._counts, self._met + 1
        counts[self._own] = met
        self._met = met
        for other in self._others:
            if counts[other] < met:
                self._wait(other, met)

    def _wait(self, other: int, met: int) -> None:
        counts, now = self._counts, time.perf_counter
        end = now() + SPIN
        while now() < end:
            if counts[other] >= met:
                return
        nap = NAP
        while counts[other] < met:
            if self.rank or nap == LONGEST_NAP:  # asking the system takes worker 0 some 20 microseconds
                self._look()
            time.sleep(nap)
            nap = min(GROWTH * nap, LONGEST_NAP)

    def _meet_through_pipes(self) -> None:
        try:
            if self.rank:
                self._met += 1
                self._pipes[0].send_bytes(b".")
            for pipe in self._pipes:
                while not pipe.poll(PAUSE):
                    self._look()
                pipe.recv_bytes()
            if not self.rank:
                for pipe in self._pipes:
                    pipe.send_bytes(b".")
                self._met += 1
        except (EOFError, OSError):
            self._look(PATIENCE)
            raise

    def _look(self, patience: float = 0.0) -> None:
        """Look whether waiting makes sense: it does not if all is over before this meeting."""
        if 0 < self._counts[self._over] <= self._met:
            raise _EndOfWork

    def leave_note(self, error: BaseException) -> None:
        """Write down for worker 0 what ended this one."""
        sentence = traceback.format_exception_only(error)[-1].strip()
        text = f"{sentence}\0{''.join(traceback.format_exception(error))}".encode()[:NOTE]
        self._notes[self.rank, : len(text)] = np.frombuffer(text, np.uint8)

    def reduce(self, rows: Array, part: slice) -> Array:
        """Add up this worker's part of the rows; see `Communicator.reduce`."""
        total: Array = rows[0, part]
        for other in range(1, self.size):
            # No room is needed for a sum in the order of the ranks: before its own row's turn, a worker uses row 1.
            own = self.rank if other >= self.rank else 1
            total = np.add(total, rows[other, part], out=rows[own, part])
        return total

    def gather(self, numbers: Sequence[float]) -> NDArray[np.float64]:
        """Return the numbers of all workers; see `Communicator.gather`."""
        begin = self._exchange(numbers)
        rows = np.array(self._numbers[begin : begin + NUMBERS * self.size])
        return rows.reshape(self.size, NUMBERS)[:, : len(numbers)]

    def _exchange(self, numbers: Sequence[float]) -> int:
        """Write this worker's numbers, meet, and return where those of all begin.

        There are two places in turn: who writes into one again has met all others since they have read from it.
        """
        if len(numbers) > NUMBERS:
            raise ConfigError(f"workers exchange at most {NUMBERS} numbers at a time, not {len(numbers)}.")
        begin = NUMBERS * self.size * (self._met % 2)
        mine = begin + NUMBERS * self.rank
        for index, number in enumerate(numbers):
            self._numbers[mine + index] = number
        self.meet()
        return begin

    def total(self, value: float) -> float:
        """Return the sum of the values of all workers; see `Communicator.total`."""
        begin, numbers, total = self._exchange((value,)), self._numbers, 0.0
        for place in range(begin, begin + NUMBERS * self.size, NUMBERS):
            total += numbers[place]
        return total

    def order(self, numbers: Sequence[float]) -> None:
        """Tell the waiting workers what to do; see `Communicator.order`."""
        self._exchange([*numbers, *[0.0] * (NUMBERS - len(numbers))])

    def next_order(self) -> list[float] | None:
        """Wait for an order; see `Communicator.next_order`."""
        try:
            begin = self._exchange(())
        except _EndOfWork:
            return None
        order: list[float] = self._numbers[begin : begin + NUMBERS].tolist()
        return order


class Team(SharedMemory):
    """Worker 0, and the processes of the others from their start to `close`.

    Each worker has one BLAS thread, this one, too, until `close`. The others ignore Ctrl-C and end with this process,
    whatever ends it.

    Parameters
    ----------
    size : int
        All workers, this one included.
    work : function of a module, called in each of the others with its communicator and `argument`
    argument : anything; it must be possible to pickle it where processes cannot be forked
    vectors : what all workers share, see `Communicator.share`

    Raises
    ------
    ConfigError
        If `size` is no positive whole number.

    Examples
    --------
    A function of a module for the others, and what worker 0 does meanwhile::

        def add_up(workers, step):
            while (order := workers.next_order()) is not None:
                workers.share("numbers")[workers.rank] = order[0] + step
                workers.meet()

        with Team(3, add_up, 0.5, {"numbers": (3, float)}) as team:
            team.order([7])
            team.meet()
            team.share("numbers")       # now 0.0, 7.5, 7.5
    """

    def __init__(
        self,
        size: int,
        work: Work,
        argument: Any,
        vectors: Vectors,
        *,
        _method: str | None = None,
        _counting: bool | None = None,
    ) -> None:
        import multiprocessing

        check_count("workers", size, least=1)
        self._method = method = _start_method() if _method is None else _method
        counting = _shows_writes_in_order() if _counting is None else _counting
        context = multiprocessing.get_context(method)
        block = context.RawArray("b", _layout(size, vectors)[1])
        ends = [] if counting else [context.Pipe() for _ in range(size - 1)]
        super().__init__(0, size, block, vectors, [here for here, _ in ends])
        lifeline, self._lifeline = context.Pipe(duplex=False)
        not_theirs = [self._lifeline] if method == "fork" else []
        self._processes: list[BaseProcess] = []
        self._closed = False
        self._limits = ExitStack()
        self._limits.enter_context(threads_at_most(1))
        try:
            with _interrupts_held(method):
                for rank in range(1, size):
                    pipes = [] if counting else [ends[rank - 1][1]]
                    process = context.Process(  # type: ignore[attr-defined]
                        target=_serve,
                        args=((rank, size, block, vectors, pipes), lifeline, not_theirs, work, argument),
                        name=f"glassnet-worker-{rank}",
                        daemon=True,
                    )
                    try:
                        process.start()
                    except (AttributeError, TypeError) as error:  # of pickling
                        raise ConfigError(
                            f"what this run is made of can not be sent to another process ({error}); take classes and "
                            f"functions of a module, end the other threads of this program, or set workers to 1."
                        ) from error
                    self._processes.append(process)
        except BaseException:
            self.close()
            raise
        finally:
            for end in [lifeline, *(there for _, there in ends)]:
                end.close()

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _look(self, patience: float = 0.0) -> None:
        """Raise an error if a worker is gone."""
        from multiprocessing.connection import wait

        gone = wait([process.sentinel for process in self._processes], patience)
        for rank, process in enumerate(self._processes, 1):
            if process.sentinel in gone:
                self._counts[self._over] = 1  # before any meeting
                process.join(PATIENCE)
                raise self._epitaph(rank, process.exitcode or 0)

    def _epitaph(self, rank: int, code: int) -> WorkerDiedError:
        note, _, details = bytes(self._notes[rank]).rstrip(b"\0").decode(errors="replace").partition("\0")
        if note:
            error = WorkerDiedError(f"worker {rank} failed with {note}")
            error.add_note(details)
            return error
        if code < 0:
            what = f"was ended by signal {-code} ({signal.strsignal(-code)}); if memory ran out, take fewer workers"
        elif self._method == "fork":
            what = f"ended with exit code {code} before the work was done; take one worker to see why"
        else:
            what = (
                f"ended with exit code {code} before the work was done; take one worker to see why, "
                f'or if this is a script, begin its work under if __name__ == "__main__"'
            )
        return WorkerDiedError(f"worker {rank} {what}.")

    def close(self) -> None:
        """End the other workers, whatever they are at; shared arrays stay as long as somebody has them."""
        if self._closed:
            return
        self._closed = True
        self._counts[self._over] = self._counts[self._over] or self._met + 1
        try:
            self._join(PATIENCE)
        finally:
            self._lifeline.close()  # which ends them even at their work
            self._join(PATIENCE)
            for process in self._processes:
                process.kill()
                process.join()
                process.close()
            for pipe in self._pipes:
                pipe.close()
            self._limits.close()
            self._shared, self._notes = {}, self._notes[:0].copy()
            self._counts.release()
            self._numbers.release()

    def _join(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        for process in self._processes:
            process.join(max(end - time.monotonic(), 0.0))


def _serve(
    place: tuple[Any, ...],
    lifeline: Connection[Any, Any],
    not_mine: Sequence[Connection[Any, Any]],
    work: Work,
    argument: Any,
) -> None:
    """Do another worker's work, in its process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; worker 0 decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    for end in not_mine:  # came along with the fork, and would keep the lifeline from breaking
        end.close()
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    worker = SharedMemory(*place)
    try:
        with threads_at_most(1):
            work(worker, argument)
    except _EndOfWork:
        pass
    except BaseException as error:
        worker.leave_note(error)
        raise SystemExit(1) from None


def _end_with(lifeline: Connection[Any, Any]) -> None:
    """End this process as soon as the other end of a pipe is closed, by worker 0 or because it is gone."""
    with suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os._exit(1)


def _layout(size: int, vectors: Vectors, memory: Array | None = None) -> tuple[dict[str, Array], int]:
    """Return the arrays that lie in `memory`, each on cache lines of its own, and how many bytes they take."""
    words = LINE // 8
    ours: Vectors = {
        "worker counts": ((size + 1, words), np.int64),  # a line a worker, and one for the meeting that will not be
        "worker numbers": ((2, size, NUMBERS), np.float64),
        "worker notes": ((size, NOTE), np.uint8),
    }
    views: dict[str, Array] = {}
    place = 0 if memory is None else -memory.__array_interface__["data"][0] % LINE
    for name, (shape, dtype) in {**ours, **vectors}.items():
        count = math.prod(shape) if isinstance(shape, tuple) else shape
        end = place + count * np.dtype(dtype).itemsize
        if memory is not None:
            views[name] = memory[place:end].view(dtype).reshape(shape)
        place = end + (place - end) % LINE
    return views, place + LINE


def _start_method() -> str:
    """Return how to start processes: by fork, which takes milliseconds, where it is safe."""
    if platform.system() != "Linux":
        return "spawn"
    return "fork" if threading.active_count() == 1 else "forkserver"


def _shows_writes_in_order() -> bool:
    """Say whether each core sees another's writes in their order; x86 promises it, Arm and POWER do not."""
    return platform.machine().lower() in {"x86_64", "amd64", "i386", "i686", "x86"}


@contextmanager
def _interrupts_held(method: str) -> Iterator[None]:
    """Keep a Ctrl-C back, in a forked process, too, until that can ignore it."""
    if method != "fork":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
