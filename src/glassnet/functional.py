"""Activation functions in pairs: each f beside its derivative.

Every function takes NumPy arrays of one floating dtype and any shape, works element by element and writes into `out`,
which may be the input itself (a derivative's may not). ``scratch`` is room for intermediate values, of shape
``(k, *z.shape)`` with k as in `SCRATCH`; what is not handed in is allocated. A derivative is written in terms of what
is cheapest: the output y = f(z) where that is enough, otherwise the input z. All stay finite for z = +-1e4 in float32.

Symbols: z pre-activation, y = f(z) activation, f'(z) the slope that the backward pass multiplies with.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

_SQRT_2PI = math.sqrt(2.0 * math.pi)

SCRATCH = {
    "sigmoid": 0,
    "tanh": 0,
    "relu": 0,
    "leaky_relu": 1,
    "elu": 1,
    "softplus": 1,
    "silu": 1,
    "gelu": 4,
}
"""How many arrays of the input's shape each pair needs as scratch."""


def _room(z: Array, out: Array | None, scratch: Array | None = None, k: int = 0) -> tuple[Array, Array]:
    """Return `out` and `scratch`, allocated where they were not handed in."""
    return (
        np.empty_like(z) if out is None else out,
        np.empty((k, *z.shape), z.dtype) if scratch is None else scratch,
    )


def sigmoid(z: Array, out: Array | None = None, scratch: Array | None = None) -> Array:
    """Logistic sigmoid, y = 1 / (1 + exp(-z)).

    Computed as (1 + tanh(z/2)) / 2, the same function, which cannot overflow.

    Examples
    --------
    >>> sigmoid(np.array([-1e4, 0.0, 1e4]))
    array([0. , 0.5, 1. ])
    """
    y, _ = _room(z, out, scratch)
    np.multiply(z, 0.5, out=y)
    np.tanh(y, out=y)
    y += 1.0
    y *= 0.5  # y = (1 + tanh(z/2)) / 2
    return y


def sigmoid_derivative(y: Array, out: Array | None = None, scratch: Array | None = None) -> Array:
    """f'(z) = y (1 - y), from the output y."""
    slope, _ = _room(y, out, scratch)
    np.subtract(1.0, y, out=slope)
    slope *= y
    return slope


def tanh(z: Array, out: Array | None = None, scratch: Array | None = None) -> Array:
    """Hyperbolic tangent, y = tanh(z)."""
    y, _ = _room(z, out, scratch)
    return np.tanh(z, out=y)


def tanh_derivative(y: Array, out: Array | None = None, scratch: Array | None = None) -> Array:
    """f'(z) = 1 - y^2, from the output y."""
    slope, _ = _room(y, out, scratch)
    np.multiply(y, y, out=slope)
    return np.subtract(1.0, slope, out=slope)


def relu(z: Array, out: Array | None = None, scratch: Array | None = None, zeros: Array | float = 0.0) -> Array:
    """Rectified linear unit, y = max(0, z) (Nair and Hinton, 2010).

    ``zeros`` may be an array like z: NumPy compares two arrays in half the time of an array and a number, or less.
    """
    y, _ = _room(z, out, scratch)
    return np.maximum(z, zeros, out=y)


def relu_derivative(
    y: Array, out: Array | None = None, scratch: Array | None = None, zeros: Array | float = 0.0
) -> Array:
    """f'(z) = 1 where y > 0, else 0; at the kink z = 0 the slope is taken as 0."""
    slope, _ = _room(y, out, scratch)
    return np.greater(y, zeros, out=slope)


def leaky_relu(z: Array, alpha: float, out: Array | None = None, scratch: Array | None = None) -> Array:
    """Leaky rectifier, y = z for z > 0, alpha z otherwise, 0 <= alpha < 1 (Maas, Hannun and Ng, 2013)."""
    y, scratch = _room(z, out, scratch, SCRATCH["leaky_relu"])
    np.multiply(z, alpha, out=scratch[0])
    np.maximum(z, scratch[0], out=y)  # y = max(z, alpha z)
    return y


def leaky_relu_derivative(y: Array, alpha: float, out: Array | None = None, scratch: Array | None = None) -> Array:
    """f'(z) = 1 where y > 0, else alpha."""
    slope, _ = _room(y, out, scratch)
    np.greater(y, 0.0, out=slope)
    slope *= 1.0 - alpha
    slope += alpha  # (1 - alpha) [y > 0] + alpha
    return slope


def elu(z: Array, alpha: float, out: Array | None = None, scratch: Array | None = None) -> Array:
    """Exponential linear unit, y = z for z > 0, alpha (exp(z) - 1) otherwise (Clevert et al., 2016, eq. 15)."""
    y, scratch = _room(z, out, scratch, SCRATCH["elu"])
    below = scratch[0]
    np.minimum(z, 0.0, out=below)
    np.expm1(below, out=below)
    below *= alpha  # alpha (exp(min(z, 0)) - 1)
    np.maximum(z, 0.0, out=y)
    y += below
    return y


def elu_derivative(y: Array, alpha: float, out: Array | None = None, scratch: Array | None = None) -> Array:
    """f'(z) = 1 where y > 0, else y + alpha (which is alpha exp(z))."""
    slope, scratch = _room(y, out, scratch, SCRATCH["elu"])
    positive = scratch[0]
    np.greater(y, 0.0, out=positive)
    positive *= 1.0 - alpha
    np.minimum(y, 0.0, out=slope)
    slope += alpha
    slope += positive  # min(y, 0) + alpha + (1 - alpha) [y > 0]
    return slope


def softplus(z: Array, out: Array | None = None, scratch: Array | None = None) -> Array:
    """Softplus, y = log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|)) (Dugas et al., 2001)."""
    y, scratch = _room(z, out, scratch, SCRATCH["softplus"])
    tail = scratch[0]
    np.abs(z, out=tail)
    np.negative(tail, out=tail)
    np.exp(tail, out=tail)
    np.log1p(tail, out=tail)
    np.maximum(z, 0.0, out=y)
    y += tail
    return y


def softplus_derivative(y: Array, out: Array | None = None, scratch: Array | None = None) -> Array:
    """f'(z) = sigmoid(z) = 1 - exp(-y), from the output y."""
    slope, _ = _room(y, out, scratch)
    np.negative(y, out=slope)
    np.expm1(slope, out=slope)
    return np.negative(slope, out=slope)


def silu(z: Array, out: Array | None = None, scratch: Array | None = None) -> Array:
    """Sigmoid-weighted linear unit (swish), y = z sigmoid(z) (Elfwing, Uchibe and Doya, 2018)."""
    y, scratch = _room(z, out, scratch, SCRATCH["silu"])
    return np.multiply(z, sigmoid(z, out=scratch[0]), out=y)


def silu_derivative(z: Array, out: Array | None = None, scratch: Array | None = None) -> Array:
    """f'(z) = s (1 + z (1 - s)) with s = sigmoid(z), from the input z."""
    slope, scratch = _room(z, out, scratch, SCRATCH["silu"])
    rest = scratch[0]
    sigmoid(z, out=slope)
    np.subtract(1.0, slope, out=rest)
    rest *= z
    rest += 1.0
    slope *= rest
    return slope


# P of `normal_tail`, highest power first; made by tests/data/make_normal_tail.py.
_TAIL_FLOAT32 = (
    1.25685467e-5, -5.809123526e-5, -8.455401787e-5, 0.0006649886921, -0.0002912674952, -0.00498771425,
    0.01793769594, -0.03220116289, 0.02860016814, 0.01399991367, -0.09670347043, 0.4720532027,
)  # fmt: skip
_TAIL_FLOAT64 = (
    1.78735452218526567e-10, -6.76326721056245388e-10, -2.61803487312554461e-9, 5.47470863204868944e-9,
    2.02576671368615866e-8, -1.79321219166424145e-8, -1.14468507127580798e-7, -1.23715336699219701e-9,
    5.5483404622077898e-7, 4.06717301251544479e-7, -2.61441017065961507e-6, -3.43337221685327538e-6,
    0.0000136273952853526749, 0.0000212504468562083747, -0.000087853303947977457, -0.0000944303394415222288,
    0.000694897121907316619, -0.000285623086809394133, -0.00500237859251149427, 0.0179360974788685885,
    -0.0321978374280220249, 0.0286003640535774896, 0.0139996347244243327, -0.096703477326526068,
    0.472053206509844684,
)  # fmt: skip


def normal_tail(a: Array, out: Array | None = None, scratch: Array | None = None) -> Array:
    """Upper tail of the normal distribution, Q(a) = 1 - Phi(a), for a >= 0.

    Q(a) = exp(-a^2/2) P(u) / (1 + a),  u = (a - 4) / (a + 4), with a polynomial P of degree 24 in float64 (11 in
    float32): NumPy has no error function. The absolute error is below 1e-15 (2e-7).

    References
    ----------
    Shepherd and Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x", Math. Comp. 36 (1981).

    Examples
    --------
    >>> normal_tail(np.array([0.0, 1.0])).round(6)
    array([0.5     , 0.158655])
    """
    tail, scratch = _room(a, out, scratch, 2)
    u, p = scratch[0], scratch[1]
    np.add(a, 4.0, out=p)
    np.subtract(a, 4.0, out=u)
    u /= p
    coefficients = _TAIL_FLOAT32 if a.dtype == np.float32 else _TAIL_FLOAT64
    p.fill(coefficients[0])
    for c in coefficients[1:]:
        p *= u
        p += c  # Horner's rule
    np.multiply(a, a, out=u)
    u *= -0.5
    np.exp(u, out=u)
    p *= u
    np.add(a, 1.0, out=u)
    np.divide(p, u, out=tail)
    return tail


def gelu(z: Array, out: Array | None = None, scratch: Array | None = None) -> Array:
    """Gaussian error linear unit, y = z Phi(z) = max(z, 0) - |z| Q(|z|) (Hendrycks and Gimpel, 2016).

    The exact form, as in PyTorch and Keras by default; not the tanh approximation.
    """
    y, scratch = _room(z, out, scratch, SCRATCH["gelu"])
    size, tail = scratch[0], scratch[1]
    np.abs(z, out=size)
    normal_tail(size, out=tail, scratch=scratch[2:4])
    tail *= size  # |z| Q(|z|)
    np.maximum(z, 0.0, out=y)
    y -= tail
    return y


def gelu_derivative(z: Array, out: Array | None = None, scratch: Array | None = None) -> Array:
    """f'(z) = Phi(z) + z exp(-z^2/2) / sqrt(2 pi), from the input z; Phi(z) = 1/2 + sign(z) (1/2 - Q(|z|))."""
    slope, scratch = _room(z, out, scratch, SCRATCH["gelu"])
    density, tail = scratch[0], scratch[1]
    np.abs(z, out=density)
    normal_tail(density, out=tail, scratch=scratch[2:4])
    np.subtract(0.5, tail, out=tail)
    np.copysign(tail, z, out=tail)
    tail += 0.5  # Phi(z)
    np.multiply(z, z, out=density)
    density *= -0.5
    np.exp(density, out=density)
    density *= 1.0 / _SQRT_2PI
    np.multiply(density, z, out=slope)  # z phi(z)
    slope += tail
    return slope


def softmax(z: Array, out: Array | None = None, columns: Array | None = None, row: Array | None = None) -> Array:
    """Softmax of each row, y_c = exp(z_c) / sum_k exp(z_k), shifted by the row's maximum so that nothing overflows.

    Computed with the samples side by side: over N numbers at a time NumPy finds maxima and sums several times as fast
    as over the few classes of one sample.

    Parameters
    ----------
    z : (N, C) scores
    out : (N, C) room for the result, may be `z`
    columns : (C, N) room for the transposed scores
    row : (N,) room for one number a sample

    Examples
    --------
    >>> softmax(np.array([[0.0, 0.0], [1e4, 0.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """
    y = np.empty_like(z) if out is None else out
    columns = np.empty(z.shape[::-1], z.dtype) if columns is None else columns
    row = np.empty(len(z), z.dtype) if row is None else row
    columns[:] = z.T
    np.maximum.reduce(columns, axis=0, out=row)
    columns -= row  # (C, N) - (N,)
    np.exp(columns, out=columns)
    np.add.reduce(columns, axis=0, out=row)
    columns /= row  # exp(z_c - max z) / sum_k exp(z_k - max z)
    y[:] = columns.T
    return y


def softmax_backward(y: Array, dy: Array, out: Array | None = None, row: Array | None = None) -> Array:
    """dL/dz_c = y_c (dL/dy_c - sum_k dL/dy_k y_k), the Jacobian of softmax applied to dL/dy; out must be neither."""
    dz = np.empty_like(y) if out is None else out
    row = np.empty((len(y), 1), y.dtype) if row is None else row
    np.multiply(dy, y, out=dz)
    np.add.reduce(dz, axis=1, keepdims=True, out=row)
    np.subtract(dy, row, out=dz)
    return np.multiply(dz, y, out=dz)
