"""Layers: frozen specs that hold equations and nothing else.

A layer knows its hyperparameters. Whatever changes is handed in: `p` its parameters and saved state, `g` the gradients
of its parameters, `ws` its room for one batch. A spec therefore can be shared, compared, printed and saved.

Symbols and shapes: N samples, I inputs, O outputs; x (N, I) input, y (N, O) output, dy = dL/dy, dx = dL/dx.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from glassnet import functional
from glassnet.checks import check_count, check_number
from glassnet.errors import ConfigError
from glassnet.initializers import Fans, GlorotUniform, Initializer, Zeros
from glassnet.params import Param, Views
from glassnet.randomness import CounterRandom

Array = NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Buffer:
    """A named array that a layer needs for one batch.

    Parameters
    ----------
    shape : whole shape, the batch included wherever the layer wants it
    dtype : None is the network's
    over : "x" or "dy": the layer can also work in place, over its input or over dL/dy; the workspace decides
    """

    shape: Shape
    dtype: Any = None
    over: Literal["x", "dy"] | None = None


class LayerSpace(Views):
    """What one layer finds in the workspace: its buffers by name, and the few facts below."""

    if TYPE_CHECKING:
        x: Array  # input of the last forward
        train: bool  # False: dropout and the like are off, no backward follows
        needs_dx: bool  # False: nothing below has parameters; backward may return None
        clock: Any  # .step and .row: where in the run this batch stands
        random: CounterRandom


@dataclass(frozen=True)
class Layer:
    """Base of all layers, and their contract; this one passes everything through.

    `forward` returns y and may leave in `ws` what `backward` needs (``ws.x`` is set for it). `backward` overwrites
    every gradient in `g` and returns dL/dx. Both write into the buffers that the layer asked for; the one that forward
    returns is called ``y``, the one that backward returns ``dx``.
    """

    keeps_output: ClassVar[bool] = False
    """backward reads y, so nobody above may work in place over it."""
    keeps_input: ClassVar[bool] = False
    """backward reads x, so this layer's own output may not lie over it."""
    couples_samples: ClassVar[bool] = False
    """A sample's output depends on the others of its batch, so a batch can not be cut into parts."""

    def output_shape(self, in_shape: Shape) -> Shape:
        """Return the shape of one sample's output; raise ConfigError where the input does not fit."""
        return in_shape

    def params(self, in_shape: Shape) -> dict[str, Param]:
        """Return the trained arrays by name."""
        return {}

    def state(self, in_shape: Shape) -> dict[str, Param]:
        """Return by name the arrays that are saved but not trained, such as running statistics."""
        return {}

    def buffers(self, in_shape: Shape, n: int, train: bool) -> dict[str, Buffer]:
        """Return by name the arrays that a batch of `n` samples needs; ``dx`` is left out where nobody needs it."""
        return {}

    def forward(self, p: Views, x: Array, ws: LayerSpace) -> Array:
        """Return y."""
        return x

    def backward(self, p: Views, g: Views, dy: Array, ws: LayerSpace) -> Array | None:
        """Write dL/dp into `g` and return dL/dx."""
        return dy


@dataclass(frozen=True)
class Flatten(Layer):
    """(N, H, W, ...) -> (N, H W ...): each sample becomes one row. Copies nothing."""

    def output_shape(self, in_shape: Shape) -> Shape:
        """Return the product of all sides."""
        return (math.prod(in_shape),)

    def forward(self, p: Views, x: Array, ws: LayerSpace) -> Array:
        """Return x as rows."""
        return x.reshape(len(x), -1)

    def backward(self, p: Views, g: Views, dy: Array, ws: LayerSpace) -> Array:
        """Return dy in the shape of x."""
        return dy.reshape(ws.x.shape)


@dataclass(frozen=True)
class Dense(Layer):
    """Fully connected layer, y = x W + b.

    Parameters
    ----------
    units : number of outputs O
    weights : initializer of W (I, O)
    bias : initializer of b (O,)

    Notes
    -----
    W is (I, O), as in Keras; PyTorch's ``nn.Linear`` keeps it transposed.

    Examples
    --------
    >>> Dense(100).output_shape((784,))
    (100,)
    """

    units: int
    weights: Initializer = GlorotUniform()
    bias: Initializer = Zeros()

    keeps_input = True

    def __post_init__(self) -> None:
        check_count("Dense: units", self.units, least=1)

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
        """Return y (N, O) and dx (N, I)."""
        return {"y": Buffer((n, self.units)), "dx": Buffer((n, *in_shape))}

    def forward(self, p: Views, x: Array, ws: LayerSpace) -> Array:
        """y = x W + b."""
        y: Array = np.dot(x, p.W, out=ws.y)  # (N,I)(I,O) -> (N,O)   x W
        y += p.b  #                                           x W + b
        return y

    def backward(self, p: Views, g: Views, dy: Array, ws: LayerSpace) -> Array | None:
        """dL/dW = x^T dy, dL/db = sum_n dy_n, dL/dx = dy W^T."""
        np.dot(ws.x.T, dy, out=g.W)  # (I,N)(N,O) -> (I,O)    dL/dW = x^T dy
        np.add.reduce(dy, axis=0, out=g.b)  # -> (O,)         dL/db = sum_n dy_n
        if not ws.needs_dx:
            return None
        dx: Array = np.dot(dy, p.W.T, out=ws.dx)  # (N,O)(O,I) -> (N,I)   dL/dx = dy W^T
        return dx


@dataclass(frozen=True)
class Dropout(Layer):
    """In training each number is kept with probability 1 - rate and scaled by 1 / (1 - rate), else set to zero.

    Parameters
    ----------
    rate : share of the numbers set to zero, 0 <= rate < 1

    Notes
    -----
    "Inverted" dropout, as in Keras and PyTorch: outside training nothing is done, and no scaling is needed. The paper
    scales the weights at test time instead. Masks come from a counter, see `randomness`.

    References
    ----------
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, "Dropout", JMLR 15 (2014), section 4.
    """

    rate: float = 0.5

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


@dataclass(frozen=True)
class Activation(Layer):
    """Base of the activations that work element by element: y = f(x), dL/dx = dL/dy f'(x).

    A subclass names its pair of functions from `functional` and whether the derivative is taken from the output y
    (`keeps_output`) or from the input x (`keeps_input`).
    """

    f: ClassVar[Callable[..., Array]]
    df: ClassVar[Callable[..., Array]]
    scratch: ClassVar[int] = 0

    @property
    def constants(self) -> tuple[float, ...]:
        """What f and df take besides x."""
        return ()

    def buffers(self, in_shape: Shape, n: int, train: bool) -> dict[str, Buffer]:
        """Return y, the slope f'(x), dx and scratch."""
        shape = (n, *in_shape)
        forward = {
            "y": Buffer(shape, over=None if self.keeps_input else "x"),
            "scratch": Buffer((self.scratch, *shape)),
        }
        return forward | {"slope": Buffer(shape), "dx": Buffer(shape, over="dy")} if train else forward

    def forward(self, p: Views, x: Array, ws: LayerSpace) -> Array:
        """y = f(x)."""
        return self.f(x, *self.constants, out=ws.y, scratch=ws.scratch)

    def backward(self, p: Views, g: Views, dy: Array, ws: LayerSpace) -> Array:
        """dL/dx = dL/dy f'(x)."""
        self.df(ws.x if self.keeps_input else ws.y, *self.constants, out=ws.slope, scratch=ws.scratch)
        dx: Array = np.multiply(dy, ws.slope, out=ws.dx)
        return dx


@dataclass(frozen=True)
class Identity(Layer):
    """y = x: the output of a regression."""


@dataclass(frozen=True)
class Sigmoid(Activation):
    """y = 1 / (1 + exp(-x)), see `functional.sigmoid`."""

    f = staticmethod(functional.sigmoid)
    df = staticmethod(functional.sigmoid_derivative)
    scratch = functional.SCRATCH["sigmoid"]
    keeps_output = True


@dataclass(frozen=True)
class Tanh(Activation):
    """y = tanh(x), see `functional.tanh`."""

    f = staticmethod(functional.tanh)
    df = staticmethod(functional.tanh_derivative)
    scratch = functional.SCRATCH["tanh"]
    keeps_output = True


@dataclass(frozen=True)
class ReLU(Activation):
    """y = max(0, x), see `functional.relu`."""

    f = staticmethod(functional.relu)
    df = staticmethod(functional.relu_derivative)
    scratch = functional.SCRATCH["relu"]
    keeps_output = True


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """y = x for x > 0, alpha x otherwise, see `functional.leaky_relu`. Keras' alpha is 0.3, PyTorch's 0.01."""

    alpha: float = 0.01

    f = staticmethod(functional.leaky_relu)
    df = staticmethod(functional.leaky_relu_derivative)
    scratch = functional.SCRATCH["leaky_relu"]
    keeps_output = True

    def __post_init__(self) -> None:
        check_number("LeakyReLU: alpha", self.alpha, least=0, below=1)

    @property
    def constants(self) -> tuple[float, ...]:
        """Return (alpha,)."""
        return (self.alpha,)


@dataclass(frozen=True)
class ELU(Activation):
    """y = x for x > 0, alpha (exp(x) - 1) otherwise, see `functional.elu`."""

    alpha: float = 1.0

    f = staticmethod(functional.elu)
    df = staticmethod(functional.elu_derivative)
    scratch = functional.SCRATCH["elu"]
    keeps_output = True

    def __post_init__(self) -> None:
        check_number("ELU: alpha", self.alpha, above=0)

    @property
    def constants(self) -> tuple[float, ...]:
        """Return (alpha,)."""
        return (self.alpha,)


@dataclass(frozen=True)
class Softplus(Activation):
    """y = log(1 + exp(x)), see `functional.softplus`."""

    f = staticmethod(functional.softplus)
    df = staticmethod(functional.softplus_derivative)
    scratch = functional.SCRATCH["softplus"]
    keeps_output = True


@dataclass(frozen=True)
class SiLU(Activation):
    """y = x sigmoid(x), also called swish, see `functional.silu`."""

    f = staticmethod(functional.silu)
    df = staticmethod(functional.silu_derivative)
    scratch = functional.SCRATCH["silu"]
    keeps_input = True


@dataclass(frozen=True)
class GELU(Activation):
    """y = x Phi(x), see `functional.gelu`."""

    f = staticmethod(functional.gelu)
    df = staticmethod(functional.gelu_derivative)
    scratch = functional.SCRATCH["gelu"]
    keeps_input = True


@dataclass(frozen=True)
class Softmax(Layer):
    """y_c = exp(x_c) / sum_k exp(x_k): probabilities of classes that exclude one another, see `functional.softmax`."""

    keeps_output = True

    def output_shape(self, in_shape: Shape) -> Shape:
        """Return the shape of the input, which must be one row with at least two classes."""
        if len(in_shape) != 1 or in_shape[0] < 2:
            raise ConfigError(f"Softmax needs a row of at least 2 classes a sample, not shape {in_shape}.")
        return in_shape

    def buffers(self, in_shape: Shape, n: int, train: bool) -> dict[str, Buffer]:
        """Return y, dx and one number a row."""
        return {"y": Buffer((n, *in_shape), over="x"), "row": Buffer((n, 1)), "dx": Buffer((n, *in_shape))}

    def forward(self, p: Views, x: Array, ws: LayerSpace) -> Array:
        """Return y = softmax(x)."""
        return functional.softmax(x, ws.y, ws.row)

    def backward(self, p: Views, g: Views, dy: Array, ws: LayerSpace) -> Array:
        """dL/dx = y (dy - sum_k dy_k y_k)."""
        return functional.softmax_backward(ws.y, dy, ws.dx, ws.row)


ACTIVATIONS: dict[str, type[Layer]] = {
    "sigmoid": Sigmoid,
    "relu": ReLU,
    "tanh": Tanh,
    "leaky-relu": LeakyReLU,
    "elu": ELU,
    "gelu": GELU,
    "silu": SiLU,
    "softplus": Softplus,
    "identity": Identity,
    "softmax": Softmax,
}
"""The activations by the names that the command line uses."""
LAYERS: dict[str, type[Layer]] = {kind.__name__: kind for kind in (Dense, Flatten, Dropout, *ACTIVATIONS.values())}
"""All layers by class name, as model files name them."""
