"""A model: a network together with what it takes to read raw data and to name what it sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from glassnet import metrics
from glassnet.data import Preprocessing, Samples
from glassnet.errors import ConfigError
from glassnet.layers import Sigmoid, Softmax
from glassnet.losses import Loss, SigmoidCrossEntropy, SoftmaxCrossEntropy, dense_targets
from glassnet.network import Network, Workspace

Array = NDArray[Any]

EVALUATION_BATCH = 1000
"""Samples that are evaluated at a time."""

Task: TypeAlias = Literal["classification", "multi-label", "regression"]
"""What a model is asked: for one class out of C, for a yes or no to each of C labels, or for numbers."""


def task_of(loss: Loss, targets: Array) -> Task:
    """Return what targets (N,) or (N, O) ask of a network that is trained with `loss`.

    Labels (N,) ask for one class, whatever the loss. Dense targets ask for one class with softmax cross-entropy; with
    sigmoid cross-entropy for labels if all of them are 0 or 1, as in scikit-learn's label matrices, even where each
    sample has just one: hand in labels (N,) if the classes exclude each other. All others ask for numbers.

    Examples
    --------
    >>> task_of(SigmoidCrossEntropy(), np.array([[1.0, 1.0], [0.0, 1.0]]))
    'multi-label'
    >>> task_of(SigmoidCrossEntropy(), np.array([0, 1]))
    'classification'
    """
    if targets.ndim == 1 or isinstance(loss, SoftmaxCrossEntropy):
        return "classification"
    if isinstance(loss, SigmoidCrossEntropy) and ((targets == 0) | (targets == 1)).all():
        return "multi-label"
    return "regression"


@dataclass(frozen=True)
class Evaluation:
    """How well a network does on some samples.

    Attributes
    ----------
    loss : mean loss a sample, whatever the reduction in training, and without label smoothing
    accuracy : what the task of the model makes of it, whatever the targets are. Classification: share of the samples
        put into their class, 0 to 1; with dense targets, into a class whose target is the sample's largest.
        Multi-label: of those with every label right, where a target above 0.5 is a yes. None for a regression
    """

    loss: float
    accuracy: float | None


@dataclass(frozen=True)
class Model:
    """A network that takes raw data.

    Parameters
    ----------
    network : the trained network
    preprocessing : what raw features go through before it
    class_names : what the outputs stand for; None if nobody said
    loss : what it was trained with
    task : {"classification", "multi-label", "regression"}
        What `predict` answers with. By default a classification if the classes have names or the loss is softmax
        cross-entropy, else a regression.

    Raises
    ------
    ConfigError
        If there is no such task, or the last layer of a multi-label model is no Sigmoid.

    Examples
    --------
    >>> from glassnet.layers import Dense
    >>> from glassnet.losses import SoftmaxCrossEntropy
    >>> network = Network([Dense(10), Softmax()], input_shape=4)
    >>> model = Model(network, Preprocessing(scale=1 / 255), tuple("0123456789"), SoftmaxCrossEntropy())
    >>> model.predict_proba(np.zeros((2, 4), np.uint8)).shape
    (2, 10)

    Two questions about a point, each with a yes or no of its own:

    >>> from glassnet.data import from_arrays
    >>> from glassnet.optim import Adam
    >>> from glassnet.fitting import fit
    >>> x = np.random.default_rng(0).normal(size=(400, 2))
    >>> data = from_arrays(x, np.stack([x[:, 0] > 0, x.sum(axis=1) > 0], axis=1), class_names=["right", "above"])
    >>> model = fit(Network([Dense(2), Sigmoid()], 2), data, Adam(0.1), batch_size=20, epochs=10).model
    >>> model.predict(np.array([[1.0, 1.0], [1.0, -3.0], [-1.0, 3.0], [-1.0, -1.0]])).tolist()
    [[1, 1], [1, 0], [0, 1], [0, 0]]
    >>> model.evaluate(data.validation).accuracy > 0.9  # both answers right
    True
    """

    network: Network
    preprocessing: Preprocessing
    class_names: tuple[str, ...] | None
    loss: Loss
    task: Task | None = None

    def __post_init__(self) -> None:
        if self.task is None:
            classes = self.class_names is not None or isinstance(self.loss, SoftmaxCrossEntropy)
            object.__setattr__(self, "task", "classification" if classes else "regression")
        if self.task not in get_args(Task):
            raise ConfigError(f"the task of a model is one of {', '.join(get_args(Task))}, not {self.task!r:.80}.")
        if self.task == "multi-label" and not isinstance(self.network.layers[-1], Sigmoid):
            last = type(self.network.layers[-1]).__name__
            raise ConfigError(f"the last layer of a multi-label model must be Sigmoid(), not {last}.")

    def outputs(self, features: Array) -> Array:
        """Return the network's outputs (N, O) for raw features (N, ...); what is empty gives an empty result.

        Raises
        ------
        ConfigError
            If the features do not have the network's input shape.
        """
        features = np.asarray(features)
        self._check_shape(features)
        with np.errstate(all="ignore"):  # what a network that diverged answers, shows
            parts = [
                self.network.predict(
                    self.preprocessing.apply(features[k : k + EVALUATION_BATCH], dtype=self.network.dtype)
                )
                for k in range(0, len(features), EVALUATION_BATCH)
            ]
        return np.concatenate(parts) if parts else np.empty((0, *self.network.output_shape), self.network.dtype)

    def _check_shape(self, features: Array) -> None:
        shape = self.network.input_shape
        if features.shape[1:] != shape:
            raise ConfigError(
                f"this model reads samples of shape {shape}, that is an array of shape (N, "
                f"{', '.join(map(str, shape))}), not {features.shape}."
            )

    def predict_proba(self, features: Array) -> Array:
        """Return the probability of each class (N, C); with one output unit (N, 1), that of the second class.

        Those of a multi-label model are of a yes to each label by itself, and do not sum to one.

        Raises
        ------
        ConfigError
            If the network's outputs are no probabilities, or the features do not fit.
        """
        if not isinstance(self.network.layers[-1], Softmax | Sigmoid):
            last = type(self.network.layers[-1]).__name__
            raise ConfigError(f"the outputs of a {last} layer are no probabilities: use outputs().")
        return self.outputs(features)

    def predict(self, features: Array) -> Array:
        """Return the class of each sample (N,), 0 or 1 for each label (N, C), or the outputs (N, O) of a regression."""
        outputs = self.outputs(features)
        if self.task == "regression":
            return outputs
        return metrics.predicted_labels(outputs) if self.task == "multi-label" else metrics.predicted_class(outputs)

    def _check_targets(self, targets: Array) -> None:
        outputs = self.network.output_shape[0]
        if targets.ndim > 1:
            if targets.shape[1] != outputs:
                raise ConfigError(f"this model has {outputs} outputs, and the samples {targets.shape[1]} targets each.")
        elif targets.dtype.kind in "iu" and len(targets) and targets.max() >= max(outputs, 2):
            classes = max(outputs, 2)
            raise ConfigError(
                f"this model tells {classes} classes apart, 0 to {classes - 1}, and a sample is of {targets.max()}."
            )

    def evaluate(self, samples: Samples, out: Array | None = None) -> Evaluation:
        """Return mean loss and accuracy on samples with raw features; sample weights count in the loss.

        The loss is that of the targets as they are: label smoothing belongs to training alone.

        Parameters
        ----------
        samples : what to evaluate on
        out : (N, O) where to leave the outputs, which are computed anyway; those of `outputs`

        Raises
        ------
        ConfigError
            If there are no samples, or they do not have the network's input shape, or not its classes or outputs.
        """
        self._check_shape(samples.features)
        self._check_targets(samples.targets)
        return evaluate(self, samples, Workspace(self.network, _evaluation_batch(samples), train=False), out)


def _evaluation_batch(samples: Samples) -> int:
    if not len(samples):
        raise ConfigError("there are no samples to evaluate on.")
    return min(EVALUATION_BATCH, len(samples))


TALLY_BYTES = 12 * 1024
"""Scores and dense targets that a `Tally` judges at a time: judging takes about three times that for intermediate
values."""

TALLY_BLOCKS = 16
"""Blocks of so many bytes that a `Tally` collects before it judges them one after another, with code and targets at
hand: doing so between the steps takes three times as long."""


class Tally:
    """Adds up losses, without label smoothing, and right answers over batches.

    Scores are kept until some blocks of them are together, so that a step costs one copy, and judged block by block, so
    that no step needs much memory.

    Parameters
    ----------
    loss : how a score is judged
    samples : where targets and weights come from
    outputs : number of outputs O
    dtype : of the scores
    task : what a right answer is, see `Evaluation`
    """

    def __init__(self, loss: Loss, samples: Samples, outputs: int, dtype: Any, task: Task | None) -> None:
        self._loss, self._samples = loss.unsmoothed(), samples
        row = outputs * (np.dtype(dtype).itemsize + (samples.targets.itemsize if samples.targets.ndim > 1 else 0))
        self._block = max(1, TALLY_BYTES // row)
        self._room = self._block * TALLY_BLOCKS
        self._scores = np.empty((outputs, self._room), dtype).T  # (room, O); sums over the units run along the samples
        self._index = np.empty(self._room, np.intp)
        self._filled = 0
        self._threshold = 0.0 if loss.fused_with else 0.5
        self._task = task
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._filled = 0
        self._correct = self._count = 0.0
        self._loss_sum = self._weight_sum = 0.0

    def add(self, scores: Array, index: Array | slice) -> None:
        """Take in the scores (n, O) of the samples at `index`."""
        n, room = len(scores), self._room
        if n > room:
            for start in range(0, n, room):
                self.add(scores[start : start + room], _part(index, start, min(start + room, n)))
            return
        if n > room - self._filled:
            self._flush()
        end = self._filled + n
        self._scores[self._filled : end] = scores
        self._index[self._filled : end] = np.arange(index.start, index.stop) if isinstance(index, slice) else index
        self._filled = end

    def _flush(self) -> None:
        with np.errstate(all="ignore"):  # what overflows shows in the loss
            for start in range(0, self._filled, self._block):
                part = slice(start, min(start + self._block, self._filled))
                self._judge(self._scores[part].copy("F"), self._index[part])  # contiguous: judged without buffers
        self._filled = 0

    def finite(self) -> bool:
        """Return whether the sum of all losses is a finite number so far."""
        self._flush()
        return math.isfinite(self._loss_sum)

    def sums(self) -> list[float]:
        """Return what was added up: losses, weights, right answers, samples."""
        self._flush()
        return [self._loss_sum, self._weight_sum, self._correct, self._count]

    def set(self, sums: Sequence[float]) -> None:
        """Replace what was added up."""
        self._filled = 0
        self._loss_sum, self._weight_sum, self._correct, self._count = sums

    def _judge(self, scores: Array, index: Array) -> None:
        t = self._samples.targets[index]
        weights = None if self._samples.weights is None else self._samples.weights[index]
        self._loss_sum += self._loss.value(scores, t, weights, 1.0)
        self._weight_sum += len(scores) if weights is None else float(weights.sum(dtype=np.float64))
        self._count += len(scores)
        if self._task == "multi-label":
            labels = dense_targets(t, scores.shape[1]) if t.ndim == 1 else t
            self._correct += metrics.correct_rows(scores, labels, self._threshold)
        elif self._task == "classification":
            among = metrics.correct if t.ndim == 1 else metrics.correct_among
            self._correct += among(scores, t, self._threshold)

    def so_far(self) -> Evaluation:
        """Return what `result` does, and leave the sums alone, whose last bits depend on when they are taken."""
        before = self._loss_sum, self._weight_sum, self._correct, self._count, self._filled
        result = self.result()
        self._loss_sum, self._weight_sum, self._correct, self._count, self._filled = before
        return result

    def result(self) -> Evaluation:
        """Return the mean loss and the accuracy of what was added since the last `reset`."""
        self._flush()
        loss = self._loss_sum / self._weight_sum if self._weight_sum else float("nan")
        return Evaluation(loss, self._correct / self._count if self._task != "regression" and self._count else None)


def _part(index: Array | slice, start: int, stop: int) -> Array | slice:
    return slice(index.start + start, index.start + stop) if isinstance(index, slice) else index[start:stop]


def evaluate(model: Model, samples: Samples, ws: Workspace, out: Array | None = None) -> Evaluation:
    """Evaluate in a workspace that is at hand, see `Model.evaluate`."""
    network = model.network
    tally = Tally(model.loss, samples, network.output_shape[0], network.dtype, model.task)
    with np.errstate(all="ignore"):
        for start in range(0, len(samples), ws.batch_size):
            part = slice(start, min(start + ws.batch_size, len(samples)))
            outputs = network.forward(model.preprocessing.apply(samples.features[part], dtype=network.dtype), ws)
            tally.add(ws.scores if model.loss.fused_with else outputs, part)
            if out is not None:
                out[part] = outputs
        return tally.result()
