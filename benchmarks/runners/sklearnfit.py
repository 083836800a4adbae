"""scikit-learn: `MLPClassifier.fit`, which has gradient descent, momentum and Adam."""

from __future__ import annotations

import math
import warnings
from time import perf_counter
from typing import Any

import sklearn
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from runners.common import BETA1, BETA2, EPSILON, LEARNING_RATES, MOMENTUM, Cell, HasNoneError, Runner, read_data

SOLVERS = {"sgd": "sgd", "momentum": "sgd", "adam": "adam"}


FEWEST = 200
"""Samples among which all classes are."""


def make_classifier(cell: Cell, **options: Any) -> Any:
    """Return the classifier of a cell, without weight decay and without an early end."""
    return MLPClassifier(
        cell.hidden,
        solver=SOLVERS[cell.optimizer],
        alpha=0.0,
        batch_size=cell.batch or 60000,
        learning_rate_init=LEARNING_RATES[cell.optimizer],
        shuffle=cell.batch > 0,
        tol=0.0,
        n_iter_no_change=1_000_000,
        momentum=MOMENTUM if cell.optimizer == "momentum" else 0.0,
        nesterovs_momentum=False,
        beta_1=BETA1,
        beta_2=BETA2,
        epsilon=EPSILON,
        **options,
    )


class Perceptron(Runner):
    """`fit` on as many samples as fill the time; what comes before the end of its first epoch is not counted."""

    title = "scikit-learn"
    chooses_threads = True

    def __init__(self) -> None:
        self.x, self.y = read_data()

    def versions(self) -> dict[str, str]:
        """Return scikit-learn's."""
        return {"scikit-learn": sklearn.__version__}

    def prepare(self, cell: Cell) -> None:
        """Make the classifier and fit a little."""
        if cell.optimizer not in SOLVERS:
            raise HasNoneError(f"scikit-learn has no {cell.optimizer}")
        self.batch, self.guess = cell.batch or len(self.x), math.inf
        self.model = make_classifier(cell)
        self.times: list[float] = []
        after_epoch = self.model._update_no_improvement_count

        def noting(*args: Any, **kwargs: Any) -> None:
            self.times.append(perf_counter())
            after_epoch(*args, **kwargs)

        self.model._update_no_improvement_count = noting
        self.run(0.0)

    def use_threads(self, count: int) -> None:
        """Give BLAS so many threads."""
        threadpool_limits(count, user_api="blas")

    def run(self, seconds: float) -> tuple[float, int]:
        """Fit for about `seconds`."""
        wanted = max(1, math.ceil(seconds / self.guess))
        steps = min(max(wanted, FEWEST // self.batch), len(self.x) // self.batch)  # an epoch
        rows = steps * self.batch
        self.model.max_iter = 1 + math.ceil(wanted / steps)
        self.times.clear()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.model.fit(self.x[:rows], self.y[:rows])
        passed, steps = self.times[-1] - self.times[0], (len(self.times) - 1) * steps
        self.guess = passed / steps
        return passed, steps

    def train(self, cell: Cell, epochs: int) -> None:
        """Train from the beginning to the end."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            make_classifier(cell, max_iter=epochs).fit(self.x, self.y)
