"""Figures from results. Nothing here trains, and nothing needs a display or touches matplotlib's global state.

One calm style for all: white ground, thin lines, direct labels, and the two colours blue and vermilion of Okabe and Ito
("Color universal design", 2008), which colour-blind people tell apart; validation is dashed besides.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

import numpy as np

from glassnet.errors import ConfigError
from glassnet.files import whole_file
from glassnet.training import History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, VERMILION, GREY = "#0072B2", "#D55E00", "#666666"
_SPLITS = (("train", BLUE, "-", "o", "training"), ("validation", VERMILION, "--", "s", "validation"))


def learning_curve(history: History, title: str = "") -> Figure:
    """Draw loss and accuracy over the epochs, of the training and the validation samples.

    Parameters
    ----------
    history : columns as in `training.COLUMNS`
    title : above both panels

    Returns
    -------
    matplotlib.figure.Figure
        Not bound to any window; ``figure.savefig`` or `save` writes it.

    Raises
    ------
    ConfigError
        If the history has no epoch.
    """
    from matplotlib.figure import Figure  # half a second, which only figures need to wait for

    if not history["epoch"]:
        raise ConfigError("there is no learning curve to draw: the history has no epoch.")
    figure = Figure(figsize=(9.0, 3.6), dpi=120, layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    draw_column(loss, history, "loss")
    draw_column(accuracy, history, "accuracy")
    if title:
        figure.suptitle(title, fontsize=10, color=GREY, parse_math=False)
    return figure


def draw_column(axes: Axes, history: History, quantity: str) -> Axes:
    """Draw one quantity of a history, "loss" or "accuracy" (in percent), into given axes, and return them."""
    epochs = np.array(history["epoch"])
    factor = 100.0 if quantity == "accuracy" else 1.0
    for split, colour, dashes, marker, label in _SPLITS:
        values = factor * np.array(history[f"{split}_{quantity}"], float)
        if np.isfinite(values).any():
            few = len(epochs) <= 30
            axes.plot(
                epochs,
                values,
                dashes,
                color=colour,
                marker=marker if few else None,
                markersize=4,
                linewidth=1.5,
                label=label,
            )
    axes.set_xlabel("epoch")
    axes.set_ylabel("accuracy in %" if quantity == "accuracy" else quantity)
    _calm(axes)
    if len(epochs) == 1:
        axes.set_xlim(epochs[0] - 1, epochs[0] + 1)
    if axes.get_lines():
        axes.legend(frameon=False, loc="lower right" if quantity == "accuracy" else "upper right")
    return axes


def _calm(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#E5E5E5", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure in the format of the path's ending, whole or not at all."""
    with whole_file(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # a name in another script is drawn as boxes
        figure.savefig(temporary)
