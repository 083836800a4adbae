"""Losses, and the one gradient that the three share.

With the matching output activation, each loss has the same gradient at the last pre-activation (McCullagh and Nelder,
"Generalized Linear Models", canonical links; Bishop, "Pattern Recognition and Machine Learning", section 4.3.6):

    dL/dz = (o - t) w / norm

Softmax and sigmoid are fused with their cross-entropy: training takes this gradient past the output activation in
one step, and the value is computed from the scores z, where no logarithm of a rounded zero can occur.

Symbols: z (N, O) scores, o (N, O) outputs, t targets, w (N,) sample weights, norm the one number that the weighted sum
of losses is divided by: whoever splits a batch passes the same norm for every part, and the parts add up.
Integer targets (N,) count the true unit; dense targets are (N, O).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from glassnet import functional
from glassnet.errors import ConfigError

Array = NDArray[Any]


def dense_targets(t: Array, outputs: int, dtype: Any = np.float32) -> Array:
    """Return targets as an (N, O) array: integers become rows with a single one.

    With one output unit, integers 0 and 1 are the two classes of a binary target.

    Raises
    ------
    ConfigError
        If the shape does not fit, or an integer names a unit that does not exist.

    Examples
    --------
    >>> dense_targets(np.array([1, 0]), 3)
    array([[0., 1., 0.],
           [1., 0., 0.]], dtype=float32)
    """
    if not np.issubdtype(t.dtype, np.integer):
        if t.ndim != 2 or t.shape[1] != outputs:
            raise ConfigError(
                f"dense targets of shape {t.shape} do not fit {outputs} outputs: hand in the shape (N, {outputs})."
            )
        return np.ascontiguousarray(t, dtype)
    units = max(outputs, 2)
    if t.ndim != 1 or (t.size and not 0 <= int(t.min()) <= int(t.max()) < units):
        raise ConfigError(
            f"integer targets must be one number a sample from 0 to {units - 1}, since the network has {outputs} "
            f"outputs; these have shape {t.shape}" + (f" and go from {t.min()} to {t.max()}." if t.size else ".")
        )
    if outputs == 1:
        return t[:, np.newaxis].astype(dtype)
    dense = np.zeros((len(t), outputs), dtype)
    dense[np.arange(len(t)), t] = 1.0
    return dense


def _check_shape(o: Array, t: Array) -> None:
    if t.shape != o.shape and t.shape != o.shape[:1]:
        raise ConfigError(f"targets of shape {t.shape} do not fit outputs of shape {o.shape}.")


def _refuse_rows(wrong: Array, why: str) -> None:
    if wrong.any():
        raise ConfigError(f"the dense targets of row {int(np.argmax(wrong))} (from 0) {why}.")


@dataclass(frozen=True)
class Loss(ABC):
    """Base of the losses: a value, a gradient, and how samples are put together.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Over the samples of a batch: "mean" divides by their number (where there are weights: by their sum), "sum" does
        not divide.

    Notes
    -----
    Whoever trains in small batches with weights should pass the norm n w, with w the mean weight of all samples:
    dividing each batch by its own weights would cancel them, in a batch of one entirely. Training does so.
    """

    reduction: Literal["mean", "sum"] = "mean"

    name: ClassVar[str] = "loss"
    fused_with: ClassVar[str | None] = None
    """Output activation whose derivative the gradient already contains; None: the gradient is dL/do."""
    refuses: ClassVar[dict[str, str]] = {}
    """Output activations that make no sense with this loss, and why."""

    def __post_init__(self) -> None:
        if self.reduction not in ("mean", "sum"):
            raise ConfigError(f"the loss reduction is 'mean' or 'sum', not {self.reduction!r}.")

    def check_output(self, activation: str) -> None:
        """Refuse an output activation that makes no sense with this loss.

        Parameters
        ----------
        activation : class name of the network's last layer

        Raises
        ------
        ConfigError
            With the reason.

        Examples
        --------
        >>> MeanSquaredError().check_output("Softmax")
        Traceback (most recent call last):
        glassnet.errors.ConfigError: mse does not go with Softmax as the last layer: its gradient vanishes where \
the network is most wrong; use softmax-crossentropy.
        """
        reason = self.refuses.get(activation)
        if reason is None and self.fused_with not in (None, activation):
            reason = f"it needs probabilities; let the last layer be {self.fused_with}()"
        if reason is not None:
            raise ConfigError(f"{self.name} does not go with {activation} as the last layer: {reason}.")

    def check_targets(self, t: Array) -> None:
        """Refuse dense targets (N, O) for which the gradient o - t would not be that of the loss.

        Raises
        ------
        ConfigError
            Naming the first row at fault, from 0.
        """
        wrong: Array = ~np.all(np.isfinite(t), axis=1)
        _refuse_rows(wrong, "hold a NaN or an infinity")

    def normalizer(self, n: int, weights: Array | None = None) -> float:
        """Return what the sum over `n` samples is divided by; 1 where there is nothing to divide."""
        if self.reduction == "sum":
            return 1.0
        return float(n if weights is None else weights.sum(dtype=np.float64)) or 1.0

    @abstractmethod
    def per_sample(self, z: Array, t: Array) -> Array:
        """Return the loss of each sample, shape (N,), from scores (outputs, where the loss is not fused)."""

    def value(self, z: Array, t: Array, weights: Array | None = None, norm: float | None = None) -> float:
        """Return L = sum_n w_n L_n / norm, from scores (outputs, where the loss is not fused)."""
        _check_shape(z, t)
        each = self.per_sample(z, t)
        total = each.sum(dtype=np.float64) if weights is None else np.dot(each.astype(np.float64), weights)
        return float(total) / (self.normalizer(len(each), weights) if norm is None else norm)

    def gradient(
        self,
        o: Array,
        t: Array,
        weights: Array | None = None,
        norm: float | None = None,
        out: Array | None = None,
    ) -> Array:
        """Return (o - t) w / norm: dL/dz where the loss is fused with its output activation, else dL/do.

        Parameters
        ----------
        o : (N, O) outputs, after the output activation
        t : (N,) integers or (N, O)
        weights : (N,) or None
        norm : what to divide by; by default `normalizer` of this batch
        out : (N, O) room for the result, may be `o`
        """
        norm = self.normalizer(len(o), weights) if norm is None else norm
        _check_shape(o, t)
        if t.ndim == 1:
            t = dense_targets(t, o.shape[1], o.dtype)
        dy: Array = np.subtract(o, t, out=np.empty_like(o) if out is None else out)  # (N, O)
        if weights is not None:
            dy *= weights[:, np.newaxis]
        if norm != 1.0:
            dy *= 1.0 / norm
        return dy


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Loss):
    """Cross-entropy of softmax outputs: L_n = -sum_c t_nc log o_nc, o = softmax(z); for one class out of C.

    Computed as log sum_c exp(z_c) - sum_c t_c z_c for targets that sum to one. PyTorch's ``CrossEntropyLoss`` and
    Keras' ``CategoricalCrossentropy(from_logits=True)`` (integers: ``SparseCategoricalCrossentropy``).

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Over the samples of a batch, see `Loss`.

    Examples
    --------
    >>> round(SoftmaxCrossEntropy().value(np.zeros((1, 10)), np.array([3])), 6)  # log 10
    2.302585
    """

    name = "softmax-crossentropy"
    fused_with = "Softmax"
    refuses: ClassVar[dict[str, str]] = {
        "Sigmoid": "its outputs do not sum to one; use sigmoid-crossentropy, or a Softmax output"
    }

    def check_targets(self, t: Array) -> None:
        """Refuse rows that are no probabilities: o - t is the gradient only where they sum to one."""
        super().check_targets(t)
        wrong = (t < 0).any(axis=1) | (np.abs(t.sum(axis=1, dtype=np.float64) - 1.0) > 1e-3)
        _refuse_rows(wrong, "are no probabilities that sum to 1, as softmax-crossentropy needs them")

    def per_sample(self, z: Array, t: Array) -> Array:
        """Return log sum_c exp(z_c) - sum_c t_c z_c for each sample."""
        z = z - z.max(axis=1, keepdims=True)  # changes no probability
        log_sum = np.log(np.exp(z).sum(axis=1))
        if t.ndim == 1:
            chosen: Array = z[np.arange(len(z)), t]
            return np.asarray(log_sum - chosen)
        return np.asarray(log_sum * t.sum(axis=1) - (t * z).sum(axis=1))


@dataclass(frozen=True)
class SigmoidCrossEntropy(Loss):
    """Binary cross-entropy of sigmoid outputs, summed over the units; for yes-or-no targets.

    L_n = -sum_k [t_k log o_k + (1 - t_k) log(1 - o_k)] = sum_k [softplus(z_k) - t_k z_k],  o = sigmoid(z).
    PyTorch's ``BCEWithLogitsLoss`` and Keras' ``BinaryCrossentropy`` take the mean over the units, too: 1/O of this.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Over the samples of a batch, see `Loss`.

    Examples
    --------
    >>> round(SigmoidCrossEntropy().value(np.zeros((1, 3)), np.array([[1.0, 0.0, 1.0]])), 6)  # 3 log 2
    2.079442
    """

    name = "sigmoid-crossentropy"
    fused_with = "Sigmoid"
    refuses: ClassVar[dict[str, str]] = {
        "Softmax": "it asks each unit its own yes-or-no question, and a softmax couples them; "
        "use softmax-crossentropy, or a Sigmoid output"
    }

    def check_targets(self, t: Array) -> None:
        """Refuse what is not between no (0) and yes (1)."""
        super().check_targets(t)
        wrong: Array = np.any((t < 0) | (t > 1), axis=1)
        _refuse_rows(wrong, "are not between 0 and 1, as sigmoid-crossentropy needs them")

    def per_sample(self, z: Array, t: Array) -> Array:
        """Return sum_k softplus(z_k) - t_k z_k for each sample."""
        t = dense_targets(t, z.shape[1], z.dtype) if t.ndim == 1 else t
        return np.asarray((functional.softplus(z) - t * z).sum(axis=1))


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """Squared error in the form L_n = 1/2 sum_k (t_k - o_k)^2.

    PyTorch's ``MSELoss`` and Keras' ``MeanSquaredError`` leave out the 1/2 and divide by O as well: 2/O of this.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Over the samples of a batch, see `Loss`.

    Examples
    --------
    >>> MeanSquaredError().value(np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))
    2.5
    """

    name = "mse"
    refuses: ClassVar[dict[str, str]] = {
        "Softmax": "its gradient vanishes where the network is most wrong; use softmax-crossentropy"
    }

    def per_sample(self, z: Array, t: Array) -> Array:
        """Return 1/2 sum_k (t_k - o_k)^2 for each sample."""
        t = dense_targets(t, z.shape[1], z.dtype) if t.ndim == 1 else t
        return np.asarray(0.5 * np.square(t - z).sum(axis=1))


LOSSES: dict[str, type[Loss]] = {
    "softmax-crossentropy": SoftmaxCrossEntropy,
    "sigmoid-crossentropy": SigmoidCrossEntropy,
    "mse": MeanSquaredError,
}
"""The losses by the names that the command line uses."""


def default_loss(activation: str) -> Loss:
    """Return the loss that goes with an output activation: its cross-entropy, otherwise the squared error.

    Examples
    --------
    >>> default_loss("Softmax")
    SoftmaxCrossEntropy(reduction='mean')
    """
    return next((kind() for kind in LOSSES.values() if kind.fused_with == activation), MeanSquaredError())
