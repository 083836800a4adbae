"""Initial parameters: what a weight or a bias is before training.

An initializer is a frozen spec; called with a random generator, a shape and the layer's fans it returns an array:
``initializer(rng, shape, Fans(n_in, n_out))``. Fans belong to the layer, so a bias may be drawn like its weights.
The deviation of each rule keeps the size of activations (n_in) or gradients (n_out) the same from layer to layer.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from glassnet.checks import check_number


class Fans(NamedTuple):
    """How many inputs feed one unit of a layer (n_in), and how many units one input feeds (n_out)."""

    n_in: int
    n_out: int


@dataclass(frozen=True)
class Initializer(ABC):
    """Base of all initializers."""

    @abstractmethod
    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...], fans: Fans) -> NDArray[Any]:
        """Draw an array of `shape` in float64."""


@dataclass(frozen=True)
class Zeros(Initializer):
    """All zeros: for biases. Weights of zero never learn, since all units of a layer stay equal."""

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...], fans: Fans) -> NDArray[Any]:
        """Return zeros."""
        return np.zeros(shape)


@dataclass(frozen=True)
class Normal(Initializer):
    """Normal distribution of mean 0 and a given standard deviation.

    Examples
    --------
    >>> Normal(0.5)(np.random.default_rng(0), (2,), Fans(1, 2)).round(3)
    array([ 0.063, -0.066])
    """

    deviation: float = 0.01

    def __post_init__(self) -> None:
        check_number("Normal: deviation", self.deviation, least=0)

    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...], fans: Fans) -> NDArray[Any]:
        """Draw from N(0, deviation^2)."""
        return rng.normal(0.0, self.deviation, shape)


@dataclass(frozen=True)
class _ScaledNormal(Initializer):
    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...], fans: Fans) -> NDArray[Any]:
        """Draw from a normal distribution with the rule's deviation."""
        return rng.normal(0.0, self.deviation(fans), shape)

    @staticmethod
    @abstractmethod
    def deviation(fans: Fans) -> float:
        """Return the standard deviation for these fans."""


@dataclass(frozen=True)
class _ScaledUniform(_ScaledNormal):
    def __call__(self, rng: np.random.Generator, shape: tuple[int, ...], fans: Fans) -> NDArray[Any]:
        """Draw uniformly from (-limit, limit), limit = sqrt(3) deviation."""
        limit = math.sqrt(3.0) * self.deviation(fans)
        return rng.uniform(-limit, limit, shape)


@dataclass(frozen=True)
class LeCunNormal(_ScaledNormal):
    """Normal of deviation sqrt(1 / n_in): a sum over n_in inputs keeps the size of one.

    Examples
    --------
    >>> LeCunNormal()(np.random.default_rng(0), (2, 2), Fans(2, 2)).round(3).tolist()
    [[0.089, -0.093], [0.453, 0.074]]

    References
    ----------
    LeCun, Bottou, Orr and Müller, "Efficient BackProp" (1998), equation 16.
    """

    @staticmethod
    def deviation(fans: Fans) -> float:
        """Return sqrt(1 / n_in)."""
        return math.sqrt(1.0 / fans.n_in)


@dataclass(frozen=True)
class LeCunUniform(_ScaledUniform):
    """Uniform of deviation sqrt(1 / n_in), see `LeCunNormal`."""

    deviation = staticmethod(LeCunNormal.deviation)


@dataclass(frozen=True)
class GlorotNormal(_ScaledNormal):
    """Normal of deviation sqrt(2 / (n_in + n_out)) (Glorot and Bengio, 2010, eq. 12).

    Not truncated; Keras cuts its normal initializers at two deviations.
    """

    @staticmethod
    def deviation(fans: Fans) -> float:
        """Return sqrt(2 / (n_in + n_out))."""
        return math.sqrt(2.0 / (fans.n_in + fans.n_out))


@dataclass(frozen=True)
class GlorotUniform(_ScaledUniform):
    """Uniform on +-sqrt(6 / (n_in + n_out)); the default of Keras for Dense.

    PyTorch's default for ``nn.Linear``, weights and biases, is uniform on +-sqrt(1 / n_in).

    Examples
    --------
    >>> GlorotUniform()(np.random.default_rng(0), (2, 2), Fans(2, 2)).round(3).tolist()
    [[0.335, -0.564], [-1.124, -1.184]]

    References
    ----------
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010,
    equation 16.
    """

    deviation = staticmethod(GlorotNormal.deviation)


@dataclass(frozen=True)
class HeNormal(_ScaledNormal):
    """Normal of deviation sqrt(2 / n_in), made for ReLU, which lets half of a signal through.

    Examples
    --------
    >>> HeNormal()(np.random.default_rng(0), (2, 2), Fans(2, 2)).round(3).tolist()
    [[0.126, -0.132], [0.64, 0.105]]

    References
    ----------
    He, Zhang, Ren and Sun, "Delving deep into rectifiers", ICCV 2015, equation 10. Not truncated; Keras cuts its normal
    initializers at two deviations.
    """

    @staticmethod
    def deviation(fans: Fans) -> float:
        """Return sqrt(2 / n_in)."""
        return math.sqrt(2.0 / fans.n_in)


@dataclass(frozen=True)
class HeUniform(_ScaledUniform):
    """Uniform of deviation sqrt(2 / n_in), see `HeNormal`."""

    deviation = staticmethod(HeNormal.deviation)


@dataclass(frozen=True)
class FanOutNormal(_ScaledNormal):
    """Normal of deviation n_out^-1/2.

    The rule of the 2019 scripts that glassnet grew from, which drew weights and biases with it; for both write
    ``Dense(100, FanOutNormal(), FanOutNormal())``.

    Examples
    --------
    >>> FanOutNormal()(np.random.default_rng(0), (2, 2), Fans(2, 2)).round(3).tolist()
    [[0.089, -0.093], [0.453, 0.074]]
    """

    @staticmethod
    def deviation(fans: Fans) -> float:
        """Return n_out^-1/2."""
        return math.sqrt(1.0 / fans.n_out)


INITIALIZERS: dict[str, type[Initializer]] = {
    "zeros": Zeros,
    "normal": Normal,
    "lecun-normal": LeCunNormal,
    "lecun-uniform": LeCunUniform,
    "glorot-normal": GlorotNormal,
    "glorot-uniform": GlorotUniform,
    "he-normal": HeNormal,
    "he-uniform": HeUniform,
    "fan-out-normal": FanOutNormal,
}
"""The initializers by the names that the command line uses."""
