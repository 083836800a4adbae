"""Where a training went wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassnet.network import Network, Workspace
from glassnet.params import Views


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
