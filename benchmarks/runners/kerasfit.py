"""Keras on TensorFlow: `compile` and `fit`."""

from __future__ import annotations

import math
import os
from time import perf_counter
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

from runners.common import BETA1, BETA2, EPSILON, LEARNING_RATES, MOMENTUM, RHO, Cell, Runner, read_data


def make_optimizer(name: str) -> Any:
    """Return the optimizer of Keras."""
    lr = LEARNING_RATES[name]
    rules = keras.optimizers
    return {
        "sgd": lambda: rules.SGD(lr),
        "momentum": lambda: rules.SGD(lr, momentum=MOMENTUM),
        "adagrad": lambda: rules.Adagrad(lr, epsilon=EPSILON),
        "rmsprop": lambda: rules.RMSprop(lr, rho=RHO, epsilon=EPSILON),
        "adam": lambda: rules.Adam(lr, BETA1, BETA2, EPSILON),
    }[name]()


class Fit(Runner):
    """What the guides show: arrays in, `fit` shuffles and gathers."""

    title = "Keras"

    def __init__(self) -> None:
        self.x, self.y = read_data()

    def versions(self) -> dict[str, str]:
        """Return those of Keras and TensorFlow."""
        return {"keras": keras.__version__, "tensorflow": tf.__version__}

    def prepare(self, cell: Cell) -> None:
        """Build, compile and take the first steps."""
        keras.backend.clear_session()
        hidden = [keras.layers.Dense(width, activation="relu", kernel_initializer="he_normal") for width in cell.hidden]
        self.model = keras.Sequential([keras.Input((784,)), *hidden, keras.layers.Dense(10)])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(make_optimizer(cell.optimizer), loss)
        self.batch = cell.batch
        self.guess = math.inf
        self.run(0.0)
        self.run(0.1)

    def run(self, seconds: float) -> tuple[float, int]:
        """Fit for about `seconds`; what it takes to get to the end of the first step is not counted."""
        steps = max(1, math.ceil(seconds / self.guess))
        times: list[float] = []
        clock = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: times.append(perf_counter()))
        most = len(self.x) // (self.batch or len(self.x))
        length = {"steps_per_epoch": min(steps + 1, most)} if self.batch else {"epochs": steps + 1}
        self.model.fit(
            self.x, self.y, batch_size=self.batch or len(self.x), shuffle=self.batch > 0, verbose=0,
            callbacks=[clock], **length,
        )  # fmt: skip
        passed, steps = times[-1] - times[0], len(times) - 1
        self.guess = passed / steps
        return passed, steps

    def train(self, cell: Cell, epochs: int) -> None:
        """Train from the beginning to the end."""
        self.run = lambda seconds: (0.0, 1)  # type: ignore[method-assign]
        self.prepare(cell)
        self.model.fit(self.x, self.y, batch_size=cell.batch or len(self.x), epochs=epochs, verbose=0)
