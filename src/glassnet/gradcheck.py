"""Are the gradients right? Compare backpropagation with finite differences.

    dL/dv ~ (L(theta + e v) - L(theta - e v)) / (2 e)    against    g . v

A direction v of random signs tests all of an array's entries at once; for small networks each entry is tested alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassnet.errors import ConfigError
from glassnet.losses import Loss, default_loss, dense_targets
from glassnet.network import Network, Workspace

EVERY_ENTRY_UP_TO = 500
"""Parameters up to which `check_gradients` tests every entry unless told otherwise."""


@dataclass(frozen=True)
class GradientReport:
    """Relative errors, for each array by name.

    Attributes
    ----------
    directions : largest |numeric - g.v| over the random directions, divided by the norm of the array's gradient
    entries : norm of (numeric - g) over the norm of g; empty if entries were not tested one by one

    An array's norm counts as at least 1e-4 of the whole gradient's: where nothing depends on an array, such as a bias
    before a batch normalization, its gradient is rounding alone.
    """

    directions: dict[str, float]
    entries: dict[str, float]

    @property
    def worst(self) -> float:
        """The largest of all errors; NaN if any is, as where a layer left a gradient unwritten."""
        return float(np.max([0.0, *self.directions.values(), *self.entries.values()]))

    def __str__(self) -> str:
        rows = [f"{name:<16}{error:>12.1e}   random directions" for name, error in self.directions.items()]
        rows += [f"{name:<16}{error:>12.1e}   every entry" for name, error in self.entries.items()]
        return "\n".join(rows)


def check_gradients(
    network: Network,
    x: NDArray[Any],
    t: NDArray[Any],
    loss: Loss | None = None,
    *,
    weights: NDArray[Any] | None = None,
    directions: int = 20,
    every_entry: bool | None = None,
    epsilon: float = 1e-5,
    seed: int = 0,
) -> GradientReport:
    """Check the gradient of a network's loss by central differences.

    Random layers draw the same masks in every evaluation. The buffers and the gradient are filled with NaN first, so
    that a result can not rest on what was there before.

    Parameters
    ----------
    network : in float64; its parameters are moved and put back
    x : (N, ...) samples, preprocessed
    t : (N,) integer or (N, O) targets
    loss : by default the one that goes with the last layer
    weights : (N,) sample weights
    directions : random directions for each array
    every_entry : test each parameter alone; by default if there are at most `EVERY_ENTRY_UP_TO`
    epsilon : the step of the differences
    seed : of the directions and of random layers

    Raises
    ------
    ConfigError
        If the network is not in float64, where rounding would hide the error.

    Examples
    --------
    >>> from glassnet.layers import Dense, Softmax, Tanh
    >>> network = Network([Dense(4), Tanh(), Dense(3), Softmax()], input_shape=5, dtype="float64")
    >>> x = np.random.default_rng(0).normal(size=(6, 5))
    >>> check_gradients(network, x, np.array([0, 1, 2, 0, 1, 2])).worst < 1e-6
    True
    """
    if network.dtype != np.float64:
        raise ConfigError('the gradient check needs a network in float64: make it with dtype="float64".')
    output = type(network.layers[-1]).__name__
    loss = loss or default_loss(output)
    loss.check_output(output)
    fused = loss.fused_with is not None
    x = np.ascontiguousarray(x, np.float64)
    dense = dense_targets(t, network.output_shape[0], np.float64)
    ws = Workspace(network, len(x), seed=seed)
    state = network.state.copy()

    def value() -> float:
        network.state[:] = state
        o = network.forward(x, ws)
        return loss.value(ws.scores if fused else o, t, weights)

    fill_with_nan(network, ws)
    o = network.forward(x, ws)
    network.backward(loss.gradient(o, dense, weights, out=ws.current.dy), ws, skip_last=fused)
    grad = network.grad.copy()

    def numeric(v: NDArray[Any], where: slice) -> float:
        before = network.theta[where].copy()
        network.theta[where] = before + epsilon * v
        above = value()
        network.theta[where] = before - epsilon * v
        below = value()
        network.theta[where] = before
        return (above - below) / (2 * epsilon)

    floor = 1e-4 * float(np.linalg.norm(grad))
    rng = np.random.default_rng(seed)
    along: dict[str, float] = {}
    entries: dict[str, float] = {}
    every_entry = network.layout.size <= EVERY_ENTRY_UP_TO if every_entry is None else every_entry
    theta = network.theta.copy()
    try:
        for slot in reversed(network.layout.slots):
            name, where = f"{network.names[slot.layer]}.{slot.name}", slot.slice
            g = grad[where]
            scale = max(float(np.linalg.norm(g)), floor) or 1.0
            vs = rng.choice([-1.0, 1.0], (directions, g.size))
            along[name] = max(abs(numeric(v, where) - float(g @ v)) for v in vs) / scale
            if every_entry:
                one_by_one = np.array([numeric(np.ones(1), slice(i, i + 1)) for i in range(where.start, where.stop)])
                entries[name] = float(np.linalg.norm(one_by_one - g)) / scale
    finally:
        network.theta[:] = theta
        network.state[:] = state
    return GradientReport(along, entries)


def fill_with_nan(network: Network, ws: Workspace) -> None:
    """Fill the gradient and every buffer of a workspace with NaN: what a step reads it must have written before."""
    network.grad.fill(np.nan)
    for memory in ws.memory:
        memory.fill(np.nan)
