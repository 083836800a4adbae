"""Which figures a model and its test samples can have, and these figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glassnet.data import Samples
from glassnet.layers import Dense, Dropout, Flatten, Sigmoid, Softmax
from glassnet.metrics import confusion_matrix, predicted_class
from glassnet.model import Model
from glassnet.network import Network
from glassnet.plots.pictures import mistakes_figure, picture_shape, weights_figure
from glassnet.plots.tables import confusion_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FIGURES = {name: f"{name}.png" for name in ("learning-curve", "confusion", "mistakes", "weights")}
"""The figures that a run can leave, the learning curve and those of `figures_of`, and the files they are kept in."""

MOST_CLASSES = 200
"""Classes up to which a confusion matrix is drawn."""


def figures_of(
    model: Model, samples: Samples | None = None, outputs: NDArray[Any] | None = None, title: str = ""
) -> Iterator[tuple[str, Figure]]:
    """Make the figures that make sense, one after the other, each with its name.

    - "confusion" where samples belong to one class each, up to 200 classes;
    - "mistakes" where the samples are pictures besides, and the outputs probabilities;
    - "weights" where the first layer with weights is dense and reads the pixels of pictures.

    Parameters
    ----------
    model : the trained model
    samples : the test samples; None or empty: only "weights"
    outputs : ``model.outputs(samples.features)`` where they are at hand; else they are computed
    title : above each figure

    Yields
    ------
    name : "confusion", "mistakes" or "weights"
    figure : matplotlib.figure.Figure

    Examples
    --------
    >>> from glassnet.data import from_arrays
    >>> x = np.random.default_rng(0).random((20, 5, 5))
    >>> data = from_arrays(x, np.arange(20) % 2)
    >>> model = Model(Network([Flatten(), Dense(2), Softmax()], (5, 5)), data.preprocessing, data.class_names, None)
    >>> [name for name, figure in figures_of(model, data.train)]
    ['confusion', 'mistakes', 'weights']
    """
    for name, make in figure_makers(model, samples, outputs, title).items():
        yield name, make()


def figure_makers(
    model: Model, samples: Samples | None = None, outputs: NDArray[Any] | None = None, title: str = ""
) -> dict[str, Callable[[], Figure]]:
    """Return what makes each of the figures of `figures_of`, by its name; the outputs are computed before."""
    makers: dict[str, Callable[[], Figure]] = {}
    names = model.class_names
    if samples is not None and len(samples) and names is not None and 2 <= len(names) <= MOST_CLASSES:
        labels = _labels(samples.targets) if model.task == "classification" else None
        if labels is not None:
            outputs = model.outputs(samples.features) if outputs is None else outputs
            matrix = confusion_matrix(labels, predicted_class(outputs), len(names))
            makers["confusion"] = partial(confusion_figure, matrix, names, title)
            if picture_shape(samples.features.shape[1:]) and isinstance(model.network.layers[-1], Sigmoid | Softmax):
                makers["mistakes"] = partial(mistakes_figure, samples.features, labels, outputs, names, title)
    shape, W = picture_shape(model.network.input_shape), first_weights(model.network)
    if shape is not None and W is not None:
        makers["weights"] = partial(weights_figure, W, shape, title)
    return makers


def first_weights(network: Network) -> NDArray[Any] | None:
    """Return the weights (I, O) of the first layer if it is dense and reads the inputs themselves, else None."""
    for i, layer in enumerate(network.layers):
        if isinstance(layer, Dense):
            return np.asarray(network.params[i].W)
        if not isinstance(layer, Flatten | Dropout):
            break
    return None


def _labels(targets: NDArray[Any]) -> NDArray[np.int64] | None:
    """Return classes (N,) from classes or from one-hot rows (N, C); None for anything else."""
    if targets.ndim == 1:
        return targets
    one_hot = ((targets == 0) | (targets == 1)).all() and (targets.sum(axis=1) == 1).all()
    return targets.argmax(axis=1).astype(np.int64) if one_hot else None
