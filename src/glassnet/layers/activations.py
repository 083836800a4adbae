"""Activations as layers; their functions and derivatives stand in `functional`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glassnet import functional
from glassnet.checks import check_number
from glassnet.errors import ConfigError
from glassnet.layers.base import Array, Buffer, Layer, LayerSpace, Shape
from glassnet.params import Views


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
    """y = x: the output of a regression, or a hidden layer that stays linear.

    Examples
    --------
    >>> Identity().output_shape((3,))
    (3,)
    """


@dataclass(frozen=True)
class Sigmoid(Activation):
    """y = 1 / (1 + exp(-x)), see `functional.sigmoid`.

    The slope y (1 - y) is at most 1/4, so gradients shrink from layer to layer ("vanish").

    Examples
    --------
    >>> from glassnet.network import Network
    >>> Network([Sigmoid()], 3).predict(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[0.269, 0.5  , 0.881]], dtype=float32)

    References
    ----------
    Rumelhart, Hinton and Williams, Nature 323 (1986), equation 2.
    """

    f = staticmethod(functional.sigmoid)
    df = staticmethod(functional.sigmoid_derivative)
    scratch = functional.SCRATCH["sigmoid"]
    keeps_output = True


@dataclass(frozen=True)
class Tanh(Activation):
    """y = tanh(x), see `functional.tanh`.

    A sigmoid around zero: tanh(x) = 2 sigmoid(2 x) - 1. Slope 1 - y^2.

    Examples
    --------
    >>> from glassnet.network import Network
    >>> Network([Tanh()], 3).predict(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[-0.762,  0.   ,  0.964]], dtype=float32)

    References
    ----------
    LeCun, Bottou, Orr and Müller, "Efficient BackProp" (1998), section 4.4.
    """

    f = staticmethod(functional.tanh)
    df = staticmethod(functional.tanh_derivative)
    scratch = functional.SCRATCH["tanh"]
    keeps_output = True


@dataclass(frozen=True)
class ReLU(Activation):
    """y = max(0, x), see `functional.relu`.

    Slope 1 for x > 0, else 0; a unit whose x is never positive gets no gradient any more ("dead").

    Examples
    --------
    >>> from glassnet.network import Network
    >>> Network([ReLU()], 3).predict(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[0., 0., 2.]], dtype=float32)

    References
    ----------
    Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines", ICML 2010.
    """

    f = staticmethod(functional.relu)
    df = staticmethod(functional.relu_derivative)
    keeps_output = True

    def buffers(self, in_shape: Shape, n: int, train: bool) -> dict[str, Buffer]:
        """Return those of an activation, and zeros to compare with."""
        return super().buffers(in_shape, n, train) | {"zeros": Buffer((n, *in_shape), fill=0.0)}

    def forward(self, p: Views, x: Array, ws: LayerSpace) -> Array:
        """y = max(0, x)."""
        return functional.relu(x, out=ws.y, zeros=ws.zeros)

    def backward(self, p: Views, g: Views, dy: Array, ws: LayerSpace) -> Array:
        """dL/dx = dL/dy where y > 0, else 0."""
        slope = functional.relu_derivative(ws.y, out=ws.slope, zeros=ws.zeros)
        dx: Array = np.multiply(dy, slope, out=ws.dx)
        return dx


@dataclass(frozen=True)
class LeakyReLU(Activation):
    """y = x for x > 0, alpha x otherwise, see `functional.leaky_relu`. Keras' alpha is 0.3, PyTorch's 0.01.

    Parameters
    ----------
    alpha : slope for x <= 0, 0 <= alpha < 1

    Raises
    ------
    ConfigError
        If alpha is outside its bounds.

    Examples
    --------
    >>> from glassnet.network import Network
    >>> Network([LeakyReLU()], 3).predict(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[-0.01,  0.  ,  2.  ]], dtype=float32)

    References
    ----------
    Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models", ICML 2013.
    """

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
    """y = x for x > 0, alpha (exp(x) - 1) otherwise, see `functional.elu`.

    Slope 1 for x > 0, else y + alpha.

    Parameters
    ----------
    alpha : -alpha is what y tends to for small x; above 0

    Raises
    ------
    ConfigError
        If alpha is not above 0 and finite.

    Examples
    --------
    >>> from glassnet.network import Network
    >>> Network([ELU()], 3).predict(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[-0.632,  0.   ,  2.   ]], dtype=float32)

    References
    ----------
    Clevert, Unterthiner and Hochreiter, "Exponential linear units", ICLR 2016, equation 15.
    """

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
    """y = log(1 + exp(x)), see `functional.softplus`.

    A smooth ReLU, whose slope is the sigmoid.

    Examples
    --------
    >>> from glassnet.network import Network
    >>> Network([Softplus()], 3).predict(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[0.313, 0.693, 2.127]], dtype=float32)

    References
    ----------
    Dugas, Bengio, Bélisle, Nadeau and Garcia, "Incorporating second-order functional knowledge", NIPS 2000.
    """

    f = staticmethod(functional.softplus)
    df = staticmethod(functional.softplus_derivative)
    scratch = functional.SCRATCH["softplus"]
    keeps_output = True


@dataclass(frozen=True)
class SiLU(Activation):
    """y = x sigmoid(x), also called swish, see `functional.silu`.

    Slope s (1 + x (1 - s)) with s = sigmoid(x).

    Examples
    --------
    >>> from glassnet.network import Network
    >>> Network([SiLU()], 3).predict(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[-0.269,  0.   ,  1.762]], dtype=float32)

    References
    ----------
    Elfwing, Uchibe and Doya, "Sigmoid-weighted linear units", Neural Networks 107 (2018).
    """

    f = staticmethod(functional.silu)
    df = staticmethod(functional.silu_derivative)
    scratch = functional.SCRATCH["silu"]
    keeps_input = True


@dataclass(frozen=True)
class GELU(Activation):
    """y = x Phi(x), see `functional.gelu`.

    Phi is the distribution function of the standard normal. Slope Phi(x) + x exp(-x^2/2) / sqrt(2 pi). The exact form,
    the default of PyTorch and Keras, not the tanh approximation.

    Examples
    --------
    >>> from glassnet.network import Network
    >>> Network([GELU()], 3).predict(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[-0.159,  0.   ,  1.954]], dtype=float32)

    References
    ----------
    Hendrycks and Gimpel, "Gaussian error linear units" (2016).
    """

    f = staticmethod(functional.gelu)
    df = staticmethod(functional.gelu_derivative)
    scratch = functional.SCRATCH["gelu"]
    keeps_input = True


@dataclass(frozen=True)
class Softmax(Layer):
    """y_c = exp(x_c) / sum_k exp(x_k): probabilities of classes that exclude one another, see `functional.softmax`.

    As the output of a network it is fused with `SoftmaxCrossEntropy`, and its own derivative, dL/dx = y (dL/dy - sum_k
    dL/dy_k y_k), is not needed.

    Examples
    --------
    >>> from glassnet.network import Network
    >>> Network([Softmax()], 3).predict(np.array([[-1.0, 0.0, 2.0]])).round(3)
    array([[0.042, 0.114, 0.844]], dtype=float32)

    References
    ----------
    Bridle, "Probabilistic interpretation of feedforward classification network outputs" (1990).
    """

    keeps_output = True

    def output_shape(self, in_shape: Shape) -> Shape:
        """Return the shape of the input, which must be one row with at least two classes."""
        if len(in_shape) != 1 or in_shape[0] < 2:
            raise ConfigError(f"Softmax needs a row of at least 2 classes a sample, not shape {in_shape}.")
        return in_shape

    def buffers(self, in_shape: Shape, n: int, train: bool) -> dict[str, Buffer]:
        """Return y, dx, the transposed y, and one number a row."""
        shape = (n, *in_shape)
        forward = {"y": Buffer(shape, over="x"), "columns": Buffer(shape[::-1]), "row": Buffer((n,))}
        return forward | {"dx": Buffer(shape)} if train else forward

    def forward(self, p: Views, x: Array, ws: LayerSpace) -> Array:
        """Return y = softmax(x)."""
        return functional.softmax(x, ws.y, ws.columns, ws.row)

    def backward(self, p: Views, g: Views, dy: Array, ws: LayerSpace) -> Array:
        """dL/dx = y (dy - sum_k dy_k y_k)."""
        return functional.softmax_backward(ws.y, dy, ws.dx, ws.row[:, np.newaxis])


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
