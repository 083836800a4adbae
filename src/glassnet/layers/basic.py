"""Layers that are no activations: flatten, dense, dropout."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from glassnet.checks import check_count, check_number
from glassnet.errors import ConfigError
from glassnet.initializers import Fans, GlorotUniform, Initializer, Zeros
from glassnet.layers.base import Array, Buffer, Layer, LayerSpace, Shape
from glassnet.params import Param, Views
from glassnet.randomness import CounterRandom


@dataclass(frozen=True)
class Flatten(Layer):
    """(N, H, W, ...) -> (N, H W ...): each sample becomes one row. Copies nothing.

    Examples
    --------
    >>> Flatten().output_shape((28, 28))
    (784,)
    """

    def output_shape(self, in_shape: Shape) -> Shape:
        """Return the product of all sides."""
        return (math.prod(in_shape),)

    def forward(self, p: Views, x: Array, ws: LayerSpace) -> Array:
        """Return x as rows."""
        return x if x.ndim == 2 else x.reshape(len(x), -1)

    def backward(self, p: Views, g: Views, dy: Array, ws: LayerSpace) -> Array:
        """Return dy in the shape of x."""
        return dy.reshape(ws.x.shape)


@dataclass(frozen=True)
class Dense(Layer):
    """Fully connected layer, y = x W + b.

    ::

        forward   y = x W + b
        backward  dL/dW = x^T dy,  dL/db = sum_n dy_n,  dL/dx = dy W^T

    Parameters
    ----------
    units : number of outputs O
    weights : initializer of W (I, O)
    bias : initializer of b (O,)

    Raises
    ------
    ConfigError
        If `units` is no whole number of at least 1; in a network, if the input is not one row of numbers a sample.

    Notes
    -----
    W is (I, O), as in Keras; PyTorch's ``nn.Linear`` keeps it transposed.

    The x of the first layer may also be a `glassnet.data.columns.Staircase`, which leaves out zeros when it multiplies;
    rows of dL/dW that are zero because of it are left to whoever handed x in.

    Examples
    --------
    >>> Dense(100).output_shape((784,))
    (100,)

    References
    ----------
    Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", Nature 323 (1986).
    """

    units: int
    weights: Initializer = GlorotUniform()
    bias: Initializer = Zeros()

    keeps_input = True
    takes_staircase = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "units", check_count("Dense: units", self.units, least=1))
        for what, value in (("weights", self.weights), ("bias", self.bias)):
            if not isinstance(value, Initializer):
                raise ConfigError(f"Dense: {what} must be an initializer such as HeNormal(), not {value!r:.80}.")

    def output_shape(self, in_shape: Shape) -> Shape:
        """Return (O,)."""
        if len(in_shape) != 1:
            raise ConfigError(
                f"Dense needs one row of numbers a sample, not shape {in_shape}: put Flatten() before it."
            )
        return (self.units,)

    def params(self, in_shape: Shape) -> dict[str, Param]:
        """Return W (I, O) and b (O,); biases do not decay."""
        fans = Fans(in_shape[0], self.units)
        return {
            "W": Param(fans, self.weights, fans),
            "b": Param((self.units,), self.bias, fans, decays=False),
        }

    def buffers(self, in_shape: Shape, n: int, train: bool) -> dict[str, Buffer]:
        """Return y (N, O), dx (N, I) and N ones."""
        forward = {"y": Buffer((n, self.units))}
        return forward | {"dx": Buffer((n, *in_shape)), "ones": Buffer((n,), fill=1.0)} if train else forward

    def forward(self, p: Views, x: Array, ws: LayerSpace) -> Array:
        """y = x W + b."""
        y: Array = x.dot(p.W, out=ws.y)  # (N,I)(I,O) -> (N,O)              x W
        y += p.b[np.newaxis]  # (O,) -> (1,O)                               x W + b
        return y

    def backward(self, p: Views, g: Views, dy: Array, ws: LayerSpace) -> Array | None:
        """dL/dW = x^T dy, dL/db = sum_n dy_n, dL/dx = dy W^T."""
        ws.x.T.dot(dy, out=g.W)  # (I,N)(N,O) -> (I,O)                         dL/dW = x^T dy
        ws.ones.dot(dy, out=g.b)  # (N,)(N,O) -> (O,)                          dL/db = sum_n dy_n, by BLAS
        if not ws.needs_dx:
            return None
        dx: Array = dy.dot(p.W.T, out=ws.dx)  # (N,O)(O,I) -> (N,I)            dL/dx = dy W^T
        return dx


@dataclass(frozen=True)
class Dropout(Layer):
    """In training each number is kept with probability 1 - rate and scaled by 1 / (1 - rate), else set to zero.

    Parameters
    ----------
    rate : share of the numbers set to zero, 0 <= rate < 1

    Raises
    ------
    ConfigError
        If the rate is outside its bounds.

    Notes
    -----
    "Inverted" dropout, as in Keras and PyTorch: outside training nothing is done, and no scaling is needed. The paper
    scales the weights at test time instead. Masks come from a counter, see `randomness`.

    Examples
    --------
    >>> from glassnet.network import Network, Workspace
    >>> network = Network([Dropout(0.5)], input_shape=8)
    >>> kept = network.forward(np.ones((1, 8), np.float32), Workspace(network, 1, seed=3))
    >>> sorted(set(kept.ravel().tolist()))
    [0.0, 2.0]

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout", JMLR 15 (2014), section 4.
    """

    rate: float = 0.5

    uses_randomness = True

    def __post_init__(self) -> None:
        check_number("Dropout: rate", self.rate, least=0, below=1)

    def buffers(self, in_shape: Shape, n: int, train: bool) -> dict[str, Buffer]:
        """Return y, dx, the mask and its random numbers; nothing outside training."""
        if not train:
            return {}
        return {
            "u": Buffer((n, CounterRandom.row_length(math.prod(in_shape))), np.float32),
            "mask": Buffer((n, *in_shape)),
            "y": Buffer((n, *in_shape), over="x"),
            "dx": Buffer((n, *in_shape), over="dy"),
        }

    def forward(self, p: Views, x: Array, ws: LayerSpace) -> Array:
        """y = x m, m = [u >= rate] / (1 - rate)."""
        if not ws.train:
            return x
        ws.random.uniform(ws.u, ws.clock.step, ws.clock.row)
        rows = ws.mask.reshape(len(x), -1)  # (N, ...) -> (N, I)
        np.greater_equal(ws.u[:, : rows.shape[1]], self.rate, out=rows)
        ws.mask *= 1.0 / (1.0 - self.rate)  # m = [u >= rate] / (1 - rate)
        y: Array = np.multiply(x, ws.mask, out=ws.y)  # y = x m
        return y

    def backward(self, p: Views, g: Views, dy: Array, ws: LayerSpace) -> Array:
        """dL/dx = dy m."""
        dx: Array = np.multiply(dy, ws.mask, out=ws.dx)
        return dx
