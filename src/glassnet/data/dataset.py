"""A data set: samples to train, to validate and to test, and what is known about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glassnet.data.checks import as_class_names, as_class_weights, as_features, as_targets, as_weights
from glassnet.data.columns import LitColumns, lit_columns
from glassnet.data.preprocessing import Preprocessing
from glassnet.errors import ConfigError, DataError


@dataclass(frozen=True, eq=False)
class Samples:
    """Features and targets of N samples, in the same order.

    Parameters
    ----------
    features : numpy.ndarray, shape (N, ...)
        Raw features of any real type.
    targets : numpy.ndarray
        Classes, int64 of shape (N,), or dense targets, floats of shape (N, D).
    weights : numpy.ndarray of floats, shape (N,), optional
        How much each sample counts. None: all the same.

    Raises
    ------
    DataError
        When lengths, shapes or types do not fit.

    Examples
    --------
    >>> samples = Samples(np.zeros((3, 28, 28), np.uint8), np.array([5, 0, 4]))
    >>> len(samples), len(samples.rows(1, 3)), samples.rows(1, 3).targets.tolist()
    (3, 2, [0, 4])
    """

    features: NDArray[Any]
    targets: NDArray[Any]
    weights: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        features, targets, weights = self.features, self.targets, self.weights
        labels = targets.ndim == 1 and targets.dtype == np.int64
        if not labels and not (targets.ndim == 2 and targets.dtype.kind == "f"):
            raise DataError(
                f"targets have the shape {targets.shape} and type {targets.dtype}; give int64 labels (N,) "
                "or floats (N, D)"
            )
        if features.ndim < 2 or len(features) != len(targets):
            raise DataError(
                f"features have the shape {features.shape} and targets {targets.shape}; "
                "give both for the same samples, samples first"
            )
        if weights is not None and (weights.shape != (len(targets),) or weights.dtype.kind != "f"):
            raise DataError(
                f"weights have the shape {weights.shape} and type {weights.dtype}; give one float for each "
                f"of the {len(targets)} samples"
            )

    def __len__(self) -> int:
        return len(self.targets)

    def rows(self, start: int, stop: int) -> Samples:
        """Take consecutive samples, as views.

        Parameters
        ----------
        start, stop : int
            The first row and the row after the last, as in a slice.

        Returns
        -------
        Samples
            Views of the same memory.

        Examples
        --------
        >>> Samples(np.eye(4), np.arange(4)).rows(2, 4).features.shape
        (2, 4)
        """
        weights = None if self.weights is None else self.weights[start:stop]
        return Samples(self.features[start:stop], self.targets[start:stop], weights)


@dataclass(frozen=True, eq=False)
class DataSet:
    """Three splits of raw samples, their classes, and the preprocessing that makes them fit for a network.

    Parameters
    ----------
    name : str
        What to call it in reports.
    train, validation, test : Samples
        The splits; validation and test may be empty, never of another sample shape.
    class_names : tuple of str or None
        One name for each class, in the order of the labels. None only for dense targets.
    preprocessing : Preprocessing
        What makes network inputs of raw features.

    Raises
    ------
    DataError
        When the splits do not fit each other, or the preprocessing does not fit them.
    ConfigError
        When classes have no names.

    Examples
    --------
    >>> data = from_arrays(np.zeros((20, 2, 2)), np.arange(20) % 3)
    >>> data.input_shape, data.classes, len(data.train), len(data.validation), len(data.test)
    ((2, 2), 3, 18, 2, 0)
    """

    name: str
    train: Samples
    validation: Samples
    test: Samples
    class_names: tuple[str, ...] | None
    preprocessing: Preprocessing

    def __post_init__(self) -> None:
        for split, samples in (("validation", self.validation), ("test", self.test)):
            if samples.features.shape[1:] != self.input_shape:
                raise DataError(
                    f"{split} samples have the shape {samples.features.shape[1:]} and training samples "
                    f"{self.input_shape}; give both the same shape"
                )
            if samples.targets.shape[1:] != self.train.targets.shape[1:]:
                raise DataError(
                    f"{split} targets have the shape {samples.targets.shape} and training targets "
                    f"{self.train.targets.shape}; give both as labels, or both with the same number of "
                    "columns"
                )
        if self.class_names is None and self.train.targets.ndim == 1:
            raise ConfigError("class_names is None and the targets are labels; give each class a name")
        self.preprocessing.check_features(self.input_shape)

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{len(part)} to {verb}"
            for part, verb in ((self.train, "train"), (self.validation, "validate"), (self.test, "test"))
        )
        columns = self.train.targets.shape[1:]
        targets = f"{self.classes} classes" if self.classes else f"targets of {columns}"
        return f"<DataSet {self.name}: {counts}, samples of {self.input_shape}, {targets}>"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample, such as (28, 28).

        Examples
        --------
        >>> from_arrays(np.zeros((20, 7)), np.arange(20) % 3).input_shape
        (7,)
        """
        return self.train.features.shape[1:]

    @cached_property
    def lit_columns(self) -> LitColumns | None:
        """The training features sorted by how often a column is lit, found once; None where that would not help.

        From then on ``train.features`` is read-only, so that nobody changes what was sorted.

        Examples
        --------
        >>> data = from_arrays(np.eye(20, 40), np.arange(20) % 3)  # columns 18 to 39 are dark in all that trains
        >>> data.lit_columns.lit, data.lit_columns.features.shape
        (18, (18, 24))
        """
        columns = lit_columns(self.train.features, self.preprocessing)
        if columns is not None:
            self.train.features.flags.writeable = False
        return columns

    @property
    def classes(self) -> int | None:
        """Number of classes, or None for dense targets.

        Examples
        --------
        >>> from_arrays(np.zeros((20, 7)), np.zeros((20, 2))).classes is None
        True
        """
        if self.class_names is None or self.train.targets.ndim == 2:
            return None
        return len(self.class_names)


def balanced_class_weights(samples: Samples, classes: int) -> NDArray[np.float64]:
    """Return the class weights with which every class counts the same, w_c = N / (C n_c).

    N is the number of samples, n_c that of class c, and C the number of classes that have any, so that all weights
    together stay N. A sample weight counts like as many repetitions: where there are any, N and n_c are sums of them. A
    class without samples has weight 0, which reaches nothing.

    Parameters
    ----------
    samples : Samples
        With labels 0 to `classes` - 1.
    classes : int
        How many weights to return.

    Returns
    -------
    numpy.ndarray, shape (classes,)
        The weights.

    Examples
    --------
    >>> balanced_class_weights(Samples(np.zeros((4, 1)), np.array([0, 0, 1, 0])), 2).tolist()  # 4 / (2 3), 4 / (2 1)
    [0.6666666666666666, 2.0]

    References
    ----------
    G. King, L. Zeng (2001), "Logistic regression in rare events data", section 4.2, with equal shares as those wanted.
    scikit-learn's ``compute_class_weight("balanced", ...)`` is the same, with its ``sample_weight`` as well.
    """
    counts = np.bincount(samples.targets, samples.weights, classes).astype(np.float64)  # (C,)
    there = counts > 0
    weights = np.zeros(classes)
    weights[there] = counts.sum() / (np.count_nonzero(there) * counts[there])
    return weights


def weighted_by_class(data: DataSet, class_weights: str | ArrayLike) -> Samples:
    """Return the training samples with each weight multiplied by that of its class, w_n = w_n w_c(n).

    As in Keras' ``fit(class_weight=...)``, the other splits have nothing to do with it.

    Parameters
    ----------
    data : DataSet
        With labels as targets.
    class_weights : "balanced" or array_like, shape (C,)
        See `balanced_class_weights`, or one number for each class in the order of the labels.

    Returns
    -------
    Samples
        Views of the same features and targets, with weights.

    Raises
    ------
    ConfigError
        When the targets are dense, the weights are none, or no training sample has a weight that is left.

    Examples
    --------
    >>> data = from_arrays(np.zeros((4, 1)), [0, 0, 1, 0], weights=[1, 1, 1, 3], validation=0)
    >>> weighted_by_class(data, [0.5, 2]).weights
    array([0.5, 0.5, 2. , 1.5])
    """
    samples, classes = data.train, data.classes
    if classes is None:
        raise ConfigError(
            f"class_weights need labels, and the targets of {data.name} are dense; weigh the samples instead, "
            "with from_arrays(..., weights=...)."
        )
    if isinstance(class_weights, str) and class_weights == "balanced":
        by_class = balanced_class_weights(samples, classes)
    else:
        by_class = as_class_weights(class_weights, classes)
    weights = by_class[samples.targets]  # (N,)
    if samples.weights is not None:
        weights = weights * samples.weights
    if not weights.any():
        raise ConfigError(
            f"the class weights leave no training sample of {data.name} a weight above 0; give a positive one to a "
            "class that has samples."
        )
    return Samples(samples.features, samples.targets, weights)


def from_arrays(
    features: ArrayLike,
    targets: ArrayLike,
    *,
    test: tuple[ArrayLike, ArrayLike] | None = None,
    validation: int | None = None,
    weights: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    preprocessing: Preprocessing | None = None,
    name: str = "arrays",
) -> DataSet:
    """Make a data set of arrays; every check is here, and nothing is shuffled or copied without need.

    Parameters
    ----------
    features : array_like, shape (N, ...)
        Raw features, samples first.
    targets : array_like, shape (N,) or (N, D)
        Labels 0 to C-1 for classes, or D numbers for each sample.
    test : pair of array_like, optional
        Features and targets of the test split. None: an empty split.
    validation : int, optional
        How many samples validate; they are the last ones. Default: a tenth of N, at most 5000.
    weights : array_like, shape (N,), optional
        How much each sample counts, 0 or more; those that train must not all be 0.
    class_names : list or tuple of str, optional
        One name for each class. Default: the numbers "0" to the largest label of any split.
    preprocessing : Preprocessing, optional
        Default: uint8 features, taken for pixels, are scaled by 1/255, all others are left as they are.
    name : str
        What to call the data set.

    Returns
    -------
    DataSet
        The splits are views of the arrays that were given.

    Raises
    ------
    DataError
        When an array is not what it should be, naming it and the row.
    ConfigError
        When `validation` leaves nothing to train, or the class names are none.

    Examples
    --------
    >>> features = np.arange(40.0).reshape(10, 4)
    >>> data = from_arrays(features, [0, 1] * 5, validation=2, class_names=["even", "odd"])
    >>> len(data.train), data.validation.targets.tolist(), data.classes
    (8, [0, 1], 2)
    >>> np.shares_memory(data.train.features, features)
    True
    """
    x, t = as_features(features, "features"), as_targets(targets, "targets")
    if len(x) != len(t):
        raise DataError(f"there are {len(x)} features and {len(t)} targets; give one target for each sample")
    if not len(x):
        raise DataError("there are no samples to train on; give at least one")
    samples = Samples(x, t, None if weights is None else as_weights(weights, len(t)))
    train_count = len(samples) - _validation_count(validation, len(samples))
    train = samples.rows(0, train_count)
    if train.weights is not None and not train.weights.any():
        raise DataError("the weights of the training samples are all 0; give some of them a positive weight")
    tested = samples.rows(0, 0) if test is None else _test_samples(test, samples)
    if preprocessing is None:
        preprocessing = Preprocessing(scale=1 / 255 if x.dtype == np.uint8 else 1.0)
    return DataSet(
        name=name,
        train=train,
        validation=samples.rows(train_count, len(samples)),
        test=tested,
        class_names=_class_names(class_names, samples, tested),
        preprocessing=preprocessing,
    )


def _validation_count(validation: int | None, count: int) -> int:
    if validation is None:
        return min(5000, count // 10)
    if isinstance(validation, bool) or not isinstance(validation, (int, np.integer)) or not 0 <= validation < count:
        raise ConfigError(
            f"validation is {validation!r}; give how many of the {count} samples validate, 0 to {count - 1}"
        )
    return int(validation)


def _test_samples(test: tuple[ArrayLike, ArrayLike], samples: Samples) -> Samples:
    try:
        features, targets = test
    except (TypeError, ValueError):
        raise ConfigError("test is not a pair; give (features, targets)") from None
    x, t = as_features(features, "test features"), as_targets(targets, "test targets")
    if len(x) != len(t):
        raise DataError(f"there are {len(x)} test features and {len(t)} test targets; give one target for each")
    if (x.dtype.kind == "f") != (samples.features.dtype.kind == "f"):
        raise DataError(
            f"features are {samples.features.dtype} and test features {x.dtype}, which are different scales "
            "of numbers as a rule; convert both to the same type"
        )
    return Samples(x, t)


def _class_names(names: Sequence[str] | None, samples: Samples, tested: Samples) -> tuple[str, ...] | None:
    checked = None if names is None else as_class_names(names)
    if samples.targets.ndim == 2:
        if checked is not None and len(checked) != samples.targets.shape[1]:
            raise ConfigError(
                f"there are {len(checked)} class_names and {samples.targets.shape[1]} columns of targets; "
                "give one name for each column, or none"
            )
        return checked
    labels = {"targets": samples.targets}
    if tested.targets.ndim == 1:  # DataSet refuses the other case
        labels["test targets"] = tested.targets
    if checked is None:
        return tuple(str(label) for label in range(1 + max(int(t.max(initial=0)) for t in labels.values())))
    for what, t in labels.items():
        if t.max(initial=0) >= len(checked):
            row = int(np.argmax(t >= len(checked)))
            raise DataError(
                f"{what} hold the label {t[row]} in row {row} (from 0), and there are names for "
                f"{len(checked)} classes, 0 to {len(checked) - 1}; name every class, or correct the label"
            )
    return checked
