"""Where a training went wrong, and what became of the signals on their way through the layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from glassnet.errors import ConfigError
from glassnet.layers import Activation, Identity, Layer, Softmax
from glassnet.losses import Loss
from glassnet.network import Network, Workspace
from glassnet.params import Views

Array = NDArray[Any]
Function: TypeAlias = Callable[..., Array]

DEAD = 1e-6
"""A unit whose slope is smaller for every sample is dead: no gradient passes it."""
FLAT = 0.05
"""The share of the largest slope below which an activation is flat."""
MOSTLY = 0.9
"""The share of samples from which on a unit that meets flat parts is saturated."""


def all_finite(vector: NDArray[Any]) -> bool:
    """Return whether no number is NaN or infinite.

    A product of the vector with itself says so in one fast pass; only if that overflows is each number looked at.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.dot(vector, vector))) or bool(np.isfinite(vector).all())


def first_bad_number(network: Network, ws: Workspace, grads: Sequence[Views] | None = None) -> str | None:
    """Say where the first NaN or infinity of a step appeared, in the order in which the step computes.

    Parameters
    ----------
    network : after its backward pass
    ws : the workspace of that pass, made with ``keep_all=True``
    grads : what it wrote, if not into those of the network

    Returns
    -------
    str or None
        Such as "the output of dense_2"; None if all is finite.
    """
    return _first_bad(_in_order(network, ws, network.grads if grads is None else grads))


def first_bad_parameter(network: Network) -> str | None:
    """Say in which parameters an update left a NaN or infinity, such as "infinity in dense_2.W after the update"."""
    return _first_bad(
        (f"{name}.{which} after the update", array)
        for name, params in zip(network.names, network.params, strict=True)
        for which, array in vars(params).items()
    )


def _first_bad(arrays: Iterable[tuple[str, NDArray[Any]]]) -> str | None:
    for what, array in arrays:
        bad = ~np.isfinite(array)
        if bad.any():
            kind = "NaN" if np.isnan(array[bad][0]) else "infinity"
            return f"{kind} in {what}"
    return None


def _in_order(network: Network, ws: Workspace, grads: Sequence[Views]) -> Iterator[tuple[str, NDArray[Any]]]:
    spaces, names = ws.current.spaces, network.names
    yield "the input", np.asarray(spaces[0].x)
    for name, space in zip(names, spaces, strict=True):
        if "y" in vars(space):
            yield f"the output of {name}", space.y
    yield "the gradient of the loss", ws.current.dy
    layers = list(zip(names, spaces, grads, strict=True))
    for name, space, own in reversed(layers[ws.lowest : ws.top + 1]):  # the others were not passed through
        for which, grad in vars(own).items():
            yield f"the gradient of {name}.{which}", grad
        if "dx" in vars(space):
            yield f"the gradient that {name} passes down", space.dx


def signals(network: Network, x: Array, t: Array, loss: Loss, *, bins: int = 0) -> list[dict[str, Any]]:
    """Measure how far the signals of one batch come: forward the activations, backward the gradients.

    One forward and one backward pass in training mode. For a hidden activation y = f(z) of U units and a batch of N
    samples, with L the mean loss of the batch:

        activation_mean         m = 1/(N U) sum_nu y_nu
        activation_deviation    sqrt(1/(N U) sum_nu (y_nu - m)^2)
        gradient_rms            sqrt(1/(N U) sum_nu (dL/dz_nu)^2)
        dead                    share of units u with |f'(z_nu)| < 1e-6 for all n
        saturated               share of the other units u with |f'(z_nu)| < 0.05 max f' for at least 9 n in 10

    A deviation or a root mean square that shrinks from layer to layer has "vanished" on its way, one that grows
    "explodes".

    Parameters
    ----------
    network : its parameters, gradient and state stay as they are
    x : (N, ...) samples, preprocessed
    t : (N,) integer or (N, O) targets
    loss : one that goes with the last layer; of its reduction the mean is taken whatever it says
    bins : of histograms, which are made if there are to be any

    Returns
    -------
    list of dict
        One for each activation between two trained layers, from the input on: "layer", its name in the network, and
        the numbers above. They are NaN or infinite where those of the network are. With `bins`, "activations" and
        "gradients" are pairs of counts (bins,) and edges (bins + 1,), see `numpy.histogram`, of the finite ones.

    Raises
    ------
    ConfigError
        If there is no sample, or samples, targets or loss do not fit the network.

    Notes
    -----
    Gradients of the mean loss are 1/N of those of a single sample, so batches of one size should be compared. A softmax
    between layers couples its units; the diagonal of its Jacobian, y (1 - y), is taken for f'(z).

    Examples
    --------
    >>> from glassnet.layers import Dense, Sigmoid
    >>> from glassnet.losses import SoftmaxCrossEntropy
    >>> network = Network([Dense(8), Sigmoid(), Dense(8), Sigmoid(), Dense(3), Softmax()], input_shape=5)
    >>> x = np.random.default_rng(0).normal(size=(20, 5))
    >>> first, second = signals(network, x, np.arange(20) % 3, SoftmaxCrossEntropy())
    >>> first["layer"], first["dead"], first["gradient_rms"] < second["gradient_rms"]
    ('sigmoid_1', 0.0, True)

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
    figures 2 and 7, draw such numbers.
    """
    return look(network, x, t, loss, bins=bins)[1]


def look(
    network: Network, x: Array, t: Array, loss: Loss, weights: Array | None = None, *, bins: int = 0
) -> tuple[float, list[dict[str, Any]]]:
    """Measure what `signals` does, and beside it the mean loss of the batch, by weight and without label smoothing.

    Examples
    --------
    >>> from glassnet.layers import Dense
    >>> from glassnet.losses import SoftmaxCrossEntropy
    >>> network = Network([Dense(4), Softmax()], input_shape=2)
    >>> value, found = look(network, np.zeros((3, 2)), np.array([0, 1, 2]), SoftmaxCrossEntropy())
    >>> round(value, 6), found  # log 4, and no hidden layer
    (1.386294, [])
    """
    x = np.ascontiguousarray(x, network.dtype)
    if x.shape[1:] != network.input_shape or len(t) != len(x):
        raise ConfigError(
            f"samples of shape {x.shape} with {len(t)} targets do not fit a network that takes samples of shape "
            f"{network.input_shape}, each with its target."
        )
    loss.check_output(type(network.layers[-1]).__name__)
    ws = Workspace(network, len(x), keep_all=True)
    grads = network.layout.views(np.empty_like(network.grad))
    state = network.state.copy()
    try:
        with np.errstate(all="ignore"):
            o = network.forward(x, ws)
            fused = loss.fused_with is not None
            norm = float(len(x) if weights is None else weights.sum(dtype=np.float64))
            value = loss.unsmoothed().value(ws.scores if fused else o, t, weights, norm)
            dy = loss.gradient(o, t, weights, norm, out=ws.current.dy)
            network.backward(dy, ws, skip_last=fused, grads=grads)
            return value, [_signal(network, ws, i, bins) for i in _hidden(network, ws)]
    finally:
        network.state[:] = state


def _hidden(network: Network, ws: Workspace) -> list[int]:
    """Return the indices of the activations between two layers with parameters."""
    last = max((i for i, params in enumerate(network.layout.layers) if params), default=0)
    kinds = (Activation, Identity, Softmax)
    return [i for i in range(ws.lowest + 1, last) if isinstance(network.layers[i], kinds)]


def _signal(network: Network, ws: Workspace, i: int, bins: int) -> dict[str, Any]:
    layer, spaces = network.layers[i], ws.current.spaces
    y = spaces[i + 1].x
    dz = next(vars(space)["dx"] for space in spaces[i:] if "dx" in vars(space))  # an identity has none: that from above
    slope, largest = _slope(layer, vars(spaces[i]).get("slope"), y)
    slope = np.abs(slope).reshape(len(y), -1)  # (N, ...) -> (N, U)
    dead = (slope < DEAD).all(axis=0)  # (U,)
    flat = (slope < FLAT * largest).mean(axis=0) >= MOSTLY
    found = {"activations": _histogram(y, bins), "gradients": _histogram(dz, bins)} if bins else {}
    return found | {
        "layer": network.names[i],
        "activation_mean": float(y.mean(dtype=np.float64)),
        "activation_deviation": float(y.std(dtype=np.float64)),
        "gradient_rms": float(np.sqrt(np.square(dz, dtype=np.float64).mean())),
        "dead": float(dead.mean()),
        "saturated": float((flat & ~dead).mean()),
    }


def _histogram(values: Array, bins: int) -> tuple[Array, Array]:
    return np.histogram(values[np.isfinite(values)].astype(np.float64), bins)


def _slope(layer: Layer, slope: Array | None, y: Array) -> tuple[Array, float]:
    """Return f'(z), where a backward pass has left it, and its largest value for any z."""
    if isinstance(layer, Activation) and slope is not None:
        return slope, _largest_slope(layer.f, layer.df, layer.keeps_input, layer.constants)
    if isinstance(layer, Softmax):
        return y * (1.0 - y), 0.25
    return np.ones_like(y), 1.0


@cache
def _largest_slope(f: Function, df: Function, of_input: bool, constants: tuple[float, ...]) -> float:
    z = np.linspace(-10.0, 10.0, 4001)  # with 0, and by far fine enough for the bends of GELU and SiLU
    return float(df(z if of_input else f(z, *constants), *constants).max())
