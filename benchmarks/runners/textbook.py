"""Plain NumPy, as in any tutorial: new arrays in every line, float32, the rules as they are printed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from threadpoolctl import threadpool_limits

from runners.common import (
    BETA1,
    BETA2,
    EPSILON,
    LEARNING_RATES,
    MOMENTUM,
    RHO,
    Array,
    Cell,
    LoopRunner,
    initial_weights,
    read_data,
)


class Textbook(LoopRunner):
    """Lists of weights and biases, one optimizer rule an array."""

    title = "textbook NumPy"
    chooses_threads = True

    def __init__(self) -> None:
        self.x, self.labels = read_data()
        self.y = np.eye(10, dtype=np.float32)[self.labels]

    def versions(self) -> dict[str, str]:
        """Return NumPy's."""
        return {"numpy": np.__version__}

    def prepare(self, cell: Cell) -> None:
        """Make the loop and take a step."""
        self.steps = self._loop(cell)
        self.run(0.0)

    def use_threads(self, count: int) -> None:
        """Give BLAS so many threads."""
        threadpool_limits(count, user_api="blas")

    def _loop(self, cell: Cell) -> Iterator[int]:
        params = initial_weights(cell)
        state: list[dict[str, Array]] = [{"v": np.zeros_like(p), "m": np.zeros_like(p)} for p in params]
        n = len(self.x)
        rng = np.random.default_rng(0)
        t = 0
        while True:
            if cell.batch == 0:
                t += 1
                update(cell.optimizer, params, gradients(params, self.x, self.y), state, t)
                yield 1
                continue
            order = rng.permutation(n)
            for start in range(0, n, cell.batch):
                index = order[start : start + cell.batch]
                t += 1
                update(cell.optimizer, params, gradients(params, self.x[index], self.y[index]), state, t)
                yield 1


def gradients(params: list[Array], x: Array, y: Array) -> list[Array]:
    """Return dL/dp for each parameter p: forward, softmax cross-entropy, backward."""
    activations = [x]
    for i in range(0, len(params), 2):
        z = activations[-1] @ params[i] + params[i + 1]
        activations.append(np.maximum(z, 0) if i + 2 < len(params) else z)
    scores = activations[-1]
    exp = np.exp(scores - scores.max(axis=1, keepdims=True))
    delta = (exp / exp.sum(axis=1, keepdims=True) - y) / np.float32(len(x))
    grads: list[Array] = []
    for i in range(len(params) - 2, -1, -2):
        a = activations[i // 2]
        grads = [a.T @ delta, delta.sum(axis=0), *grads]
        if i > 0:
            delta = (delta @ params[i].T) * (a > 0)
    return grads


def update(optimizer: str, params: list[Array], grads: list[Array], state: list[dict[str, Array]], t: int) -> None:
    """Apply the rule of one optimizer to each parameter."""
    lr = LEARNING_RATES[optimizer]
    for i, (g, s) in enumerate(zip(grads, state, strict=True)):
        if optimizer == "sgd":
            params[i] = params[i] - lr * g
        elif optimizer == "momentum":
            s["v"] = MOMENTUM * s["v"] - lr * g
            params[i] = params[i] + s["v"]
        elif optimizer == "adagrad":
            s["v"] = s["v"] + g**2
            params[i] = params[i] - lr * g / (np.sqrt(s["v"]) + EPSILON)
        elif optimizer == "rmsprop":
            s["v"] = RHO * s["v"] + (1 - RHO) * g**2
            params[i] = params[i] - lr * g / (np.sqrt(s["v"]) + EPSILON)
        else:
            s["m"] = BETA1 * s["m"] + (1 - BETA1) * g
            s["v"] = BETA2 * s["v"] + (1 - BETA2) * g**2
            m, v = s["m"] / (1 - BETA1**t), s["v"] / (1 - BETA2**t)
            params[i] = params[i] - lr * m / (np.sqrt(v) + EPSILON)
