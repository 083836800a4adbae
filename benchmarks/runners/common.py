"""What all runners share: the cells of the table, the data, the settings, and how a loop is timed."""

from __future__ import annotations

import itertools
import os
import statistics
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

OPTIMIZERS = ("sgd", "momentum", "adagrad", "rmsprop", "adam")

LEARNING_RATES = {"sgd": 0.05, "momentum": 0.005, "adagrad": 0.005, "rmsprop": 0.0002, "adam": 0.0002}
"""Small enough for every batch size: what is compared is time, and nobody may diverge."""

MOMENTUM, RHO, BETA1, BETA2, EPSILON = 0.9, 0.9, 0.9, 0.999, 1e-7

DATA_FOLDER = "GLASSNET_BENCHMARK_DATA"
"""The environment variable that names the folder with x.npy and y.npy."""


@dataclass(frozen=True)
class Cell:
    """One line of the table: hidden widths, batch size (0: all samples) and optimizer."""

    hidden: tuple[int, ...]
    batch: int
    optimizer: str

    @property
    def name(self) -> str:
        """Such as ``100-100/1000/adam``."""
        return f"{'-'.join(map(str, self.hidden))}/{self.batch or 'full'}/{self.optimizer}"

    def sizes(self, inputs: int, classes: int) -> list[tuple[int, int]]:
        """Return (I, O) of each dense layer."""
        widths = [inputs, *self.hidden, classes]
        return list(itertools.pairwise(widths))

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Cell:
        """Return the cell that `to_dict` wrote."""
        return cls(tuple(values["hidden"]), values["batch"], values["optimizer"])


SMALL = [Cell((100, 100), batch, name) for batch in (1, 100, 1000, 0) for name in OPTIMIZERS]
LARGE = [
    *(Cell(hidden, 128, name) for hidden in ((512, 512), (1024, 1024, 1024)) for name in ("sgd", "adam")),
    Cell((1024, 1024, 1024), 1000, "sgd"),
]
CELLS = [*SMALL, *LARGE]


class HasNoneError(Exception):
    """The peer has no such thing; the text says what."""


def write_data(folder: Path, samples: int | None = None) -> None:
    """Write the training images as bytes (N, 784) and their labels (N,) for all peers."""
    import glassnet as gn

    train = gn.load("mnist", validation=0).train
    np.save(folder / "x.npy", train.features.reshape(len(train), -1)[:samples])
    np.save(folder / "y.npy", train.targets[:samples])


def read_data() -> tuple[Array, Array]:
    """Return the training images as float32 of 0 to 1, (N, 784), and their labels, (N,) int64."""
    folder = Path(os.environ[DATA_FOLDER])
    x = np.load(folder / "x.npy").astype(np.float32)
    x /= 255
    return x, np.load(folder / "y.npy")


def initial_weights(cell: Cell, inputs: int = 784, classes: int = 10) -> list[Array]:
    """Draw W (I, O) and b (O,) of each layer, the same for all peers that can be given them."""
    rng = np.random.default_rng(0)
    weights: list[Array] = []
    for i, o in cell.sizes(inputs, classes):
        weights.append(rng.normal(0.0, (2 / i) ** 0.5, (i, o)).astype(np.float32))
        weights.append(np.zeros(o, np.float32))
    return weights


TRIAL = 0.1
"""Seconds for which a number of threads is tried, three times."""


def thread_counts() -> list[int]:
    """Return the numbers of threads to try: 1 and 2, if the machine has them."""
    return [1, 2] if (os.cpu_count() or 1) > 1 else [1]


class Runner(ABC):
    """A peer in its own process.

    `prepare` makes a training, compiles it and takes the first steps; `choose` finds the best number of threads for it;
    `run` goes on with it for about so many seconds.
    """

    title: ClassVar[str]
    chooses_threads: ClassVar[bool] = False

    @abstractmethod
    def versions(self) -> dict[str, str]:
        """Return name and version of what it runs on."""

    @abstractmethod
    def prepare(self, cell: Cell) -> None:
        """Get ready for a cell."""

    @abstractmethod
    def run(self, seconds: float) -> tuple[float, int]:
        """Train for about `seconds`; return the seconds that it took and the steps."""

    def use_threads(self, count: int) -> None:
        """Compute with so many threads from now on."""

    def choose(self) -> dict[str, Any]:
        """Try 1 and 2 threads in turns, keep what has the lower median of three, and return what was chosen."""
        if not self.chooses_threads:
            return {}
        figures: dict[int, list[float]] = {count: [] for count in thread_counts()}
        for _ in range(3 if len(figures) > 1 else 0):
            for count, column in figures.items():
                self.use_threads(count)
                self.run(0.0)
                passed, steps = self.run(TRIAL)
                column.append(passed / steps)
        best = min(figures, key=lambda count: statistics.median(figures[count] or [0.0]))
        self.use_threads(best)
        return {"threads": best}

    def rest(self) -> None:
        """Let go of the training, and of processes that belong to it."""

    def figures(self) -> dict[str, Any]:
        """Return what is measured once and belongs to no cell."""
        return {}

    def train(self, cell: Cell, epochs: int) -> None:
        """Train from the beginning to the end, as a script would."""
        self.prepare(cell)
        samples = len(np.load(Path(os.environ[DATA_FOLDER]) / "y.npy", mmap_mode="r"))
        left = epochs * -(-samples // (cell.batch or samples))
        while left > 0:
            left -= self.take(left)

    def take(self, most: int) -> int:
        """Take up to about `most` steps; return how many they were."""
        raise NotImplementedError


class LoopRunner(Runner):
    """A peer whose loop is a generator: each item is the number of steps that were just taken."""

    steps: Iterator[int]

    def run(self, seconds: float) -> tuple[float, int]:
        """Train for about `seconds`."""
        return timed(self.steps, seconds)

    def take(self, most: int) -> int:
        """Go to the next item of the loop."""
        return next(self.steps)


def timed(steps: Iterator[int], seconds: float, clock: Callable[[], float] = perf_counter) -> tuple[float, int]:
    """Go on with a loop until `seconds` are over; return the seconds that passed and the steps that were taken.

    Examples
    --------
    >>> timed(iter([1] * 100), 3, iter(range(100)).__next__)
    (3, 3)
    """
    taken = 0
    begin = clock()
    while True:
        taken += next(steps)
        passed = clock() - begin
        if passed >= seconds:
            return passed, taken
