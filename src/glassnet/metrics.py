"""What a network's outputs are worth."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def predicted_class(outputs: NDArray[Any], threshold: float = 0.5) -> NDArray[np.intp]:
    """Return the class of each sample: the largest output or, with one output unit, whether it exceeds `threshold`.

    Parameters
    ----------
    outputs : (N, C) or (N, 1)
    threshold : 0.5 for probabilities, 0 for the scores before a sigmoid

    Examples
    --------
    >>> predicted_class(np.array([[0.1, 0.9], [0.8, 0.2]]))
    array([1, 0])
    """
    if outputs.shape[1] == 1:
        return (outputs[:, 0] > threshold).astype(np.intp)
    return np.asarray(outputs.argmax(axis=1))


def correct(outputs: NDArray[Any], labels: NDArray[Any], threshold: float = 0.5) -> int:
    """Return how many samples are put into their class (N,)."""
    return int(np.count_nonzero(predicted_class(outputs, threshold) == labels))


def accuracy(outputs: NDArray[Any], labels: NDArray[Any], threshold: float = 0.5) -> float:
    """Return the share of samples that are put into their class, 0 to 1.

    Examples
    --------
    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    0.5
    """
    return correct(outputs, labels, threshold) / len(labels)
