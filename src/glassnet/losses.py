"""Losses, and the one gradient that the three share.

With the matching output activation, each loss has the same gradient at the last pre-activation (McCullagh and Nelder,
"Generalized Linear Models", canonical links; Bishop, "Pattern Recognition and Machine Learning", section 4.3.6):

    dL/dz = (o - t) w / norm

Softmax and sigmoid are fused with their cross-entropy: training takes this gradient past the output activation in
one step, and the value is computed from the scores z, where no logarithm of a rounded zero can occur.

Symbols: z (N, O) scores, o (N, O) outputs, t targets, w (N,) sample weights, norm the one number that the weighted sum
of losses is divided by: whoever splits a batch passes the same norm for every part, and the parts add up.
Integer targets (N,) count the true unit; dense targets are (N, O).

With label smoothing s, value and gradient see t' = (1 - s) t + s u in place of t: u is 1/2 where each unit answers yes
or no, and 1/O where the units share one answer. It acts on training steps alone: what training and evaluation report is
the loss of the targets as they were given, that of `Loss.unsmoothed`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from glassnet import functional
from glassnet.checks import check_number
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

    def smooth(self, t: Array) -> Array:
        """Return the dense targets t' that value and gradient see in place of t (N, O); `t` itself without smoothing.

        Examples
        --------
        >>> SoftmaxCrossEntropy(label_smoothing=0.3).smooth(np.array([[1.0, 0.0, 0.0]]))
        array([[0.8, 0.1, 0.1]])
        """
        return t

    def unsmoothed(self) -> Loss:
        """Return this loss without label smoothing: the one that is reported."""
        return self

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

        With label smoothing, t' takes the place of t: whoever takes many steps hands `smooth` (t) to the gradient of
        `unsmoothed` (), as training does.

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
        t = self.smooth(t)
        dy: Array = np.subtract(o, t, out=np.empty_like(o) if out is None else out)  # (N, O)
        if weights is not None:
            dy *= weights[:, np.newaxis]
        if norm != 1.0:
            dy *= 1.0 / norm
        return dy


@dataclass(frozen=True)
class _Smoothed(Loss):
    """What the losses with label smoothing share; where each unit answers yes or no, u is 1/2."""

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        share = check_number("label_smoothing", self.label_smoothing, least=0, below=1)
        object.__setattr__(self, "label_smoothing", share)  # a Python float, which leaves float32 as it is

    def _unknown(self, outputs: int) -> float:
        """Return u, the target where nothing is known."""
        return 0.5

    def smooth(self, t: Array) -> Array:
        """Return t' = (1 - s) t + s u; `t` itself where s is 0."""
        s = self.label_smoothing
        return (1.0 - s) * t + s * self._unknown(t.shape[1]) if s else t

    def unsmoothed(self) -> Loss:
        """Return this loss without label smoothing: the one that is reported."""
        return replace(self, label_smoothing=0.0) if self.label_smoothing else self

    def _check_answers(self, t: Array, whose: str) -> None:
        """Refuse what is not between no (0) and yes (1)."""
        wrong: Array = np.any((t < 0) | (t > 1), axis=1)
        _refuse_rows(wrong, f"are not between 0 and 1, as {whose} needs them")


@dataclass(frozen=True)
class SoftmaxCrossEntropy(_Smoothed):
    """Cross-entropy of softmax outputs: L_n = -sum_c t_nc log o_nc, o = softmax(z); for one class out of C.

    Computed as log sum_c exp(z_c) - sum_c t_c z_c for targets that sum to one. PyTorch's ``CrossEntropyLoss`` and
    Keras' ``CategoricalCrossentropy(from_logits=True)`` (integers: ``SparseCategoricalCrossentropy``).

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Over the samples of a batch, see `Loss`.
    label_smoothing : float
        The share s, 0 <= s < 1, of each target that goes to all C classes alike: t' = (1 - s) t + s / C. Outputs of
        exactly 0 and 1 need scores without bound; outputs of s / C and 1 - s + s / C do not.

    Notes
    -----
    PyTorch's ``CrossEntropyLoss(label_smoothing=s)`` has the same value. There, and in Keras, the validation loss is
    smoothed as well; here it is not, and neither is the training loss that is reported: they are cross-entropies of the
    true targets, which can be compared between runs of different s, and whose best is 0. The training loss may rise a
    little towards the end then, while the smoothed one that the steps follow still falls.

    Examples
    --------
    >>> round(SoftmaxCrossEntropy().value(np.zeros((1, 10)), np.array([3])), 6)  # log 10
    2.302585
    >>> smoothed = SoftmaxCrossEntropy(label_smoothing=0.3)
    >>> smoothed.gradient(np.array([[0.5, 0.25, 0.25]]), np.array([0])).round(6)  # o - (0.8, 0.1, 0.1)
    array([[-0.3 ,  0.15,  0.15]])

    References
    ----------
    C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens, Z. Wojna (2016), "Rethinking the Inception architecture for computer
    vision", section 7.
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

    def _unknown(self, outputs: int) -> float:
        return 1.0 / outputs

    def per_sample(self, z: Array, t: Array) -> Array:
        """Return log sum_c exp(z_c) - sum_c t_c z_c for each sample."""
        z = z - z.max(axis=1, keepdims=True)  # changes no probability
        log_sum = np.log(np.exp(z).sum(axis=1))
        if t.ndim == 1:
            s = self.label_smoothing
            chosen: Array = z[np.arange(len(z)), t]
            return np.asarray(log_sum - ((1.0 - s) * chosen + s * z.mean(axis=1) if s else chosen))
        t = self.smooth(t)
        return np.asarray(log_sum * t.sum(axis=1) - (t * z).sum(axis=1))


@dataclass(frozen=True)
class SigmoidCrossEntropy(_Smoothed):
    """Binary cross-entropy of sigmoid outputs, summed over the units; for yes-or-no targets, one or several a sample.

    L_n = -sum_k [t_k log o_k + (1 - t_k) log(1 - o_k)] = sum_k [softplus(z_k) - t_k z_k],  o = sigmoid(z).
    PyTorch's ``BCEWithLogitsLoss`` and Keras' ``BinaryCrossentropy`` take the mean over the units, too: 1/O of this.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Over the samples of a batch, see `Loss`.
    label_smoothing : float
        The share s, 0 <= s < 1, by which each target moves towards "not known": t' = (1 - s) t + s / 2, as in Keras'
        ``BinaryCrossentropy``; PyTorch has none here. Losses that are reported are not smoothed, see
        `SoftmaxCrossEntropy`.

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
        self._check_answers(t, self.name)

    def per_sample(self, z: Array, t: Array) -> Array:
        """Return sum_k softplus(z_k) - t_k z_k for each sample."""
        t = self.smooth(dense_targets(t, z.shape[1], z.dtype) if t.ndim == 1 else t)
        return np.asarray((functional.softplus(z) - t * z).sum(axis=1))


@dataclass(frozen=True)
class MeanSquaredError(_Smoothed):
    """Squared error in the form L_n = 1/2 sum_k (t_k - o_k)^2.

    PyTorch's ``MSELoss`` and Keras' ``MeanSquaredError`` leave out the 1/2 and divide by O as well: 2/O of this.

    Parameters
    ----------
    reduction : {"mean", "sum"}
        Over the samples of a batch, see `Loss`.
    label_smoothing : float
        For classes, the share s, 0 <= s < 1, by which each target moves towards "not known": t' = (1 - s) t + s / 2. No
        finite score gives a sigmoid of exactly 0 or 1; with s = 0.02 the targets are 0.01 and 0.99. Dense targets must
        lie between 0 and 1 then. Losses that are reported are not smoothed, see `SoftmaxCrossEntropy`; PyTorch and
        Keras have no smoothing here.

    Examples
    --------
    >>> MeanSquaredError().value(np.array([[1.0, 3.0]]), np.array([[0.0, 1.0]]))
    2.5
    >>> MeanSquaredError(label_smoothing=0.02).smooth(np.array([[0.0, 1.0]]))
    array([[0.01, 0.99]])

    References
    ----------
    Y. LeCun, L. Bottou, G. Orr, K.-R. Müller (1998), "Efficient BackProp", section 4.5: why targets should not be where
    the sigmoid saturates.
    """

    name = "mse"
    refuses: ClassVar[dict[str, str]] = {
        "Softmax": "its gradient vanishes where the network is most wrong; use softmax-crossentropy"
    }

    def check_targets(self, t: Array) -> None:
        """Refuse what is no number, and with label smoothing what is not between no (0) and yes (1)."""
        super().check_targets(t)
        if self.label_smoothing:
            self._check_answers(t, f"the label smoothing of {self.name}")

    def per_sample(self, z: Array, t: Array) -> Array:
        """Return 1/2 sum_k (t_k - o_k)^2 for each sample."""
        t = self.smooth(dense_targets(t, z.shape[1], z.dtype) if t.ndim == 1 else t)
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
    SoftmaxCrossEntropy(reduction='mean', label_smoothing=0.0)
    """
    return next((kind() for kind in LOSSES.values() if kind.fused_with == activation), MeanSquaredError())
