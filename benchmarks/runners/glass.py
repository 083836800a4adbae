"""glassnet, with one process and with two workers: the loop of `Training.events`, its bookkeeping included."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, closing
from typing import Any, NamedTuple

import numpy as np

import glassnet as gn
from glassnet.config import RunConfig
from glassnet.layers import Dense
from glassnet.training import Training, blas_threads
from runners.common import LEARNING_RATES, Array, Cell, LoopRunner

EPOCHS = 1_000_000
"""More than anybody waits for."""


class OneProcess(LoopRunner):
    """One process, with as many BLAS threads as `glassnet train` gives it."""

    title = "glassnet"
    workers = 1

    def __init__(self) -> None:
        self.data = gn.load("mnist", validation=0)
        self._open = ExitStack()

    def versions(self) -> dict[str, str]:
        """Return those of glassnet and NumPy."""
        return {"glassnet": gn.__version__, "numpy": np.__version__}

    def prepare(self, cell: Cell) -> None:
        """Make the training and take its first steps."""
        self._open.close()
        training = self.make_training(cell)
        self.steps = self._open.enter_context(closing(steps_of(training)))
        self.run(0.05)
        self.threads = blas_threads(training.batch_length, training.network.layout.size, self.workers) or "all"

    def rest(self) -> None:
        """End the training, and its workers with it."""
        self._open.close()

    def choose(self) -> dict[str, Any]:
        """Return the BLAS threads of each process, which follow a fixed rule."""
        return {"threads": self.threads}

    def make_training(self, cell: Cell, epochs: int = EPOCHS) -> Training:
        """Make the run with this number of workers."""
        config = RunConfig(
            hidden=cell.hidden,
            batch_size=cell.batch or "full",
            optimizer=cell.optimizer,
            learning_rate=LEARNING_RATES[cell.optimizer],
            schedule="constant",
        )
        return Training(
            config.make_network(self.data),
            self.data,
            config.make_optimizer(1, len(self.data.train)),
            config.make_loss(),
            batch_size=config.batch_size,
            epochs=epochs,
            validate=False,
            workers=self.workers,
        )

    def train(self, cell: Cell, epochs: int) -> None:
        """Train from the beginning to the end."""
        for _ in self.make_training(cell, epochs).events():
            pass


class TwoWorkers(OneProcess):
    """Two worker processes over shared memory, one BLAS thread each."""

    title = "glassnet, 2 workers"
    workers = 2


def steps_of(training: Training) -> Generator[int, None, None]:
    """Drive a run; each item is the number of steps since the last one."""
    before = 0
    events = training.events()
    with closing(events):
        for _ in events:
            yield training.step - before
            before = training.step


class Product(NamedTuple):
    """One x W of a step: x (n, k) and W (k, O); x is a staircase if its rows reach less and less far."""

    n: int
    k: int
    o: int
    reach: Array | None


def products_of(runner: OneProcess, cell: Cell, most: int = 20) -> tuple[list[Product], int]:
    """Train a few steps and note every x W that is computed: k is how many columns of x it took.

    Returns
    -------
    the products in the order of the layers and blocks, and the number of steps
    """
    noted: list[Product] = []
    forward = Dense.forward

    def noting(self: Dense, p: Any, x: Any, ws: Any) -> Any:
        reach = getattr(x, "reach", None)
        n, k = x.shape
        noted.append(Product(n, k, self.units, None if reach is None else reach.copy()))
        return forward(self, p, x, ws)

    training = runner.make_training(cell)
    Dense.forward = noting  # type: ignore[method-assign]
    try:
        with closing(steps_of(training)) as loop:
            while training.step < (most if cell.batch else 1):
                next(loop)
    finally:
        Dense.forward = forward  # type: ignore[method-assign]
    return noted, training.step
