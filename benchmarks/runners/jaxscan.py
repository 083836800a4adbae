"""JAX: the steps of an epoch in `lax.scan`, compiled, with donated buffers and the data on the device."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from runners.common import (
    BETA1,
    BETA2,
    EPSILON,
    LEARNING_RATES,
    MOMENTUM,
    RHO,
    Cell,
    LoopRunner,
    initial_weights,
    read_data,
)

STEPS_A_CALL = 5000
"""An epoch of more steps is taken in several calls; what a call costs is lost in so many steps."""


def rule(name: str) -> Any:
    """Return the optimizer of optax."""
    lr = LEARNING_RATES[name]
    return {
        "sgd": lambda: optax.sgd(lr),
        "momentum": lambda: optax.sgd(lr, momentum=MOMENTUM),
        "adagrad": lambda: optax.adagrad(lr, eps=EPSILON),
        "rmsprop": lambda: optax.rmsprop(lr, decay=RHO, eps=EPSILON),
        "adam": lambda: optax.adam(lr, BETA1, BETA2, EPSILON),
    }[name]()


def loss_of(params: Any, x: Any, y: Any) -> Any:
    """Return the mean softmax cross-entropy."""
    for w, b in params[:-1]:
        x = jax.nn.relu(x @ w + b)
    w, b = params[-1]
    return optax.softmax_cross_entropy_with_integer_labels(x @ w + b, y).mean()


class Scan(LoopRunner):
    """The whole epoch is one compiled program."""

    title = "JAX"

    def __init__(self) -> None:
        x, labels = read_data()
        self.x, self.y = jnp.asarray(x), jnp.asarray(labels.astype(np.int32))

    def versions(self) -> dict[str, str]:
        """Return those of JAX and optax."""
        return {"jax": jax.__version__, "optax": optax.__version__}

    def prepare(self, cell: Cell) -> None:
        """Compile."""
        self.steps = self._loop(cell)
        self.run(0.0)
        self.run(0.0)

    def _loop(self, cell: Cell) -> Iterator[int]:
        optimizer = rule(cell.optimizer)
        flat = [jnp.asarray(w) for w in initial_weights(cell)]
        params: Any = list(zip(flat[::2], flat[1::2], strict=True))
        state = optimizer.init(params)

        def update(carry: Any, x: Any, y: Any) -> Any:
            params, state = carry
            loss, grads = jax.value_and_grad(loss_of)(params, x, y)
            updates, state = optimizer.update(grads, state, params)
            return (optax.apply_updates(params, updates), state), loss

        @partial(jax.jit, donate_argnums=(0,))
        def part_of_epoch(carry: Any, x: Any, y: Any, index: Any) -> Any:
            return lax.scan(lambda carry, i: update(carry, x[i], y[i]), carry, index)

        @partial(jax.jit, donate_argnums=(0,))
        def whole(carry: Any, x: Any, y: Any) -> Any:
            return lax.scan(lambda carry, _: update(carry, x, y), carry, length=1)

        n = len(self.x)
        carry = params, state
        rng = np.random.default_rng(0)
        while True:
            if cell.batch == 0:
                carry, loss = whole(carry, self.x, self.y)
                loss.block_until_ready()
                yield 1
                continue
            batches = n // cell.batch
            order = rng.permutation(n)[: batches * cell.batch].astype(np.int32).reshape(batches, cell.batch)
            a_call = max(k for k in range(1, min(batches, STEPS_A_CALL) + 1) if batches % k == 0)
            for start in range(0, batches, a_call):
                carry, loss = part_of_epoch(carry, self.x, self.y, order[start : start + a_call])
                loss.block_until_ready()
                yield a_call
