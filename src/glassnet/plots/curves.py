"""Curves: loss and accuracy over the epochs, of one run or of several, and loss over the learning rate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glassnet.errors import ConfigError
from glassnet.history import History
from glassnet.plots.style import (
    BLUE,
    GREY,
    INK,
    VERMILION,
    calm,
    line_style,
    new_figure,
    plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

QUANTITIES = {
    "train_loss": "training loss",
    "train_accuracy": "training accuracy in %",
    "validation_loss": "validation loss",
    "validation_accuracy": "validation accuracy in %",
    "learning_rate": "learning rate",
    "train_seconds": "seconds in training steps",
}
"""What `compare` can draw, and what the axis calls it."""

_SPLITS = (("train", BLUE, "-", "o", "training"), ("validation", VERMILION, "--", "s", "validation"))
_MARKED = 30  # epochs up to which each has a marker
_LARGEST = 1e100  # what is beyond it, matplotlib can not put on an axis
_WIDE = 30.0  # ratio of the losses from which on their scale is logarithmic


def learning_curve(history: History, title: str = "") -> Figure:
    """Draw loss and accuracy over the epochs, of the training and the validation samples.

    Parameters
    ----------
    history : columns as in `history.COLUMNS`
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
    if not history["epoch"]:
        raise ConfigError("there is no learning curve to draw: the history has no epoch.")
    figure = new_figure(9.0, 3.6, title)
    loss, accuracy = figure.subplots(1, 2)
    draw_column(loss, history, "loss")
    draw_column(accuracy, history, "accuracy")
    return figure


def draw_column(axes: Axes, history: History, quantity: str) -> Axes:
    """Draw one quantity of a history, "loss" or "accuracy" (in percent), into given axes, and return them."""
    epochs = np.array(history["epoch"])
    for split, colour, dashes, marker, label in _SPLITS:
        values = _values(history, f"{split}_{quantity}")
        if np.isfinite(values).any():
            axes.plot(
                epochs,
                values,
                dashes,
                color=colour,
                marker=marker if len(epochs) <= _MARKED else None,
                markersize=4,
                linewidth=1.5,
                label=label,
            )
    axes.set_ylabel("accuracy in %" if quantity == "accuracy" else quantity)
    _over_epochs(axes, epochs)
    if axes.get_lines():
        axes.legend(frameon=False, labelcolor=INK, loc="lower right" if quantity == "accuracy" else "upper right")
    return axes


def compare(
    axes: Axes, histories: Mapping[str, History], quantity: str = "validation_loss", *, legend: bool = True
) -> Axes:
    """Draw one quantity of several runs over the epochs.

    Runs differ by colour, dashes and marker (up to 30 epochs), so that the first 35 are told apart without colour, too.
    Losses that differ by a factor of 30 or more are drawn on a logarithmic scale.

    Parameters
    ----------
    axes : where to draw
    histories : the runs by their names, as the legend shall show them
    quantity : a name of `QUANTITIES`; runs that did not measure it are left out
    legend : put the names of the runs beside the axes

    Returns
    -------
    matplotlib.axes.Axes
        The same axes.

    Raises
    ------
    ConfigError
        If there is no such quantity.
    """
    lines = _draw(axes, histories, quantity)
    if legend and lines:
        _legend(axes, list(lines.values()), bbox_to_anchor=(1.0, 1.0), loc="upper left")
    return axes


def comparison_figure(
    histories: Mapping[str, History],
    title: str = "",
    quantities: Sequence[str] = ("validation_loss", "validation_accuracy"),
) -> Figure:
    """Make a figure that compares runs: one panel for each quantity, and the names of the runs beside them.

    Parameters
    ----------
    histories : the runs by their names
    title : above the panels
    quantities : names of `QUANTITIES`; panels stand in rows of two

    Returns
    -------
    matplotlib.figure.Figure
        For `save`.

    Raises
    ------
    ConfigError
        If there is nothing to draw, or no such quantity.

    Examples
    --------
    >>> from glassnet.history import COLUMNS
    >>> histories = {name: {column: [1.0, 2.0] for column in COLUMNS} for name in ("sgd", "adam")}
    >>> [axes.get_ylabel() for axes in comparison_figure(histories).axes]
    ['validation loss', 'validation accuracy in %']
    """
    if not histories or not quantities or not any(history["epoch"] for history in histories.values()):
        raise ConfigError("there is nothing to compare: no run has an epoch.")
    columns, rows = min(2, len(quantities)), math.ceil(len(quantities) / 2)
    names = [plain(name) for name in histories]
    beside = min(4.5, 0.55 + 0.085 * max(map(len, names))) * _columns_of(len(names))  # inches
    height = max(3.6 * rows, 0.6 + 0.19 * math.ceil(len(names) / _columns_of(len(names))))
    figure = new_figure(4.5 * columns + beside, height, title)
    panels = figure.subplots(rows, columns, squeeze=False).flat
    lines: dict[str, Line2D] = {}
    for axes, quantity in zip(panels, quantities, strict=False):
        lines |= _draw(axes, histories, quantity)
    for axes in panels[len(quantities) :]:
        axes.remove()
    if lines:
        _legend(figure, [lines[name] for name in histories if name in lines], loc="outside right upper")
    return figure


def learning_rate_range(
    axes: Axes, rates: ArrayLike, losses: ArrayLike, smoothed: ArrayLike, suggestion: float | None = None
) -> Axes:
    """Draw what a test of learning rates met: the loss over the rate, as it was (pale) and smoothed (strong).

    Where the loss explodes it leaves the picture at the top, so that the fall before it is seen.

    Parameters
    ----------
    axes : where to draw
    rates : (K,) learning rates, above 0
    losses, smoothed : (K,) loss of each batch, and without its noise
    suggestion : the rate to mark; None marks nothing

    Returns
    -------
    matplotlib.axes.Axes
        The same axes.

    Raises
    ------
    ConfigError
        If the arrays are empty or do not belong together, or a rate is not above 0.
    """
    x, raw, strong = np.asarray(rates, float), _drawable(losses), _drawable(smoothed)
    if x.ndim != 1 or not len(x) or not x.shape == raw.shape == strong.shape:
        raise ConfigError(
            f"rates, losses and smoothed must be of one length, not {x.shape}, {raw.shape}, {strong.shape}."
        )
    if not (x > 0).all():
        raise ConfigError("learning rates must be above 0 to be drawn on a logarithmic axis.")
    axes.set_xscale("log")
    axes.set_xlim(x.min() / 1.3, x.max() * 1.3)
    axes.plot(x, raw, color=BLUE, alpha=0.3, linewidth=0.8, label="loss of each batch")
    axes.plot(x, strong, color=BLUE, linewidth=2.0, label="smoothed")
    if suggestion is not None:
        axes.axvline(suggestion, color=VERMILION, linestyle="--", linewidth=1.2, label=f"suggested: {suggestion:.2g}")
        finite = np.isfinite(strong)
        if finite.any():
            at = np.interp(np.log(suggestion), np.log(x[finite]), strong[finite])
            axes.plot([suggestion], [at], "o", color=VERMILION, markersize=6)
    finite = strong[np.isfinite(strong)]
    if len(finite):
        low, start = finite.min(), finite[: max(1, len(finite) // 10)].max()
        room = start - low if start - low > 1e-9 * abs(low) else abs(low) or 1.0
        axes.set_ylim(low - 0.15 * room, start + 0.35 * room)
    axes.set(xlabel="learning rate", ylabel="training loss")
    calm(axes)
    axes.legend(frameon=False, labelcolor=INK, fontsize=9, loc="lower left")
    return axes


def learning_rate_range_figure(
    rates: ArrayLike, losses: ArrayLike, smoothed: ArrayLike, suggestion: float | None = None, title: str = ""
) -> Figure:
    """Make a figure of `learning_rate_range`."""
    figure = new_figure(6.0, 3.8, title)
    learning_rate_range(figure.subplots(), rates, losses, smoothed, suggestion)
    return figure


def _draw(axes: Axes, histories: Mapping[str, History], quantity: str) -> dict[str, Line2D]:
    """Draw one quantity of several runs, and return the line of each that measured it."""
    if quantity not in QUANTITIES:
        raise ConfigError(f"there is no quantity {quantity!r:.80} to draw; choose from {', '.join(QUANTITIES)}.")
    lines: dict[str, Line2D] = {}
    measured: list[NDArray[np.float64]] = []
    for i, (name, history) in enumerate(histories.items()):
        values = _values(history, quantity)
        finite = values[np.isfinite(values)]
        if len(finite):
            measured.append(finite)
            style = line_style(i) if len(values) <= _MARKED else line_style(i) | {"marker": None}
            (lines[name],) = axes.plot(
                np.array(history["epoch"]),
                values,
                **style,
                markersize=4,
                linewidth=1.5 if len(histories) <= 12 else 1.0,
                label=plain(name),
            )
    if not measured:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=GREY)
    elif quantity.endswith(("loss", "rate")):
        every = np.concatenate(measured)
        if every.min() > 0 and every.max() >= _WIDE * every.min():
            axes.set_yscale("log")
    axes.set_ylabel(QUANTITIES[quantity])
    _over_epochs(axes, np.concatenate([np.array(history["epoch"]) for history in histories.values()] or [np.empty(0)]))
    return lines


def _values(history: History, quantity: str) -> NDArray[np.float64]:
    factor = 100.0 if quantity.endswith("accuracy") else 1.0
    return factor * _drawable(history[quantity])


def _drawable(values: ArrayLike) -> NDArray[np.float64]:
    """Return numbers as they are, and nan, which leaves a gap, for those beyond 1e100."""
    found = np.asarray(values, float)
    return np.where(np.abs(found) <= _LARGEST, found, np.nan)


def _over_epochs(axes: Axes, epochs: NDArray[np.float64]) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.set_xlabel("epoch")
    calm(axes)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if len(epochs) and epochs.min() == epochs.max():
        axes.set_xlim(epochs[0] - 1, epochs[0] + 1)


def _columns_of(entries: int) -> int:
    return 1 + (entries - 1) // 40


def _legend(where: Axes | Figure, lines: Sequence[Line2D], **place: Any) -> None:
    """Name lines by their labels, which may begin with an underscore or hold dollars."""
    legend = where.legend(
        lines,
        [str(i) for i in range(len(lines))],
        frameon=False,
        labelcolor=INK,
        fontsize=9,
        handlelength=3.0,
        ncols=_columns_of(len(lines)),
        **place,
    )
    for text, line in zip(legend.get_texts(), lines, strict=True):
        text.set(text=line.get_label(), parse_math=False)
