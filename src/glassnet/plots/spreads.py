"""Rows of studies: the accuracy of every seed with mean and deviation, and the time to reach an accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike

from glassnet.plots.panels import Floats, centre, digits_of, floor_of, log_axis, no_value, number, seeds
from glassnet.plots.style import (
    BLUE,
    GREY,
    INK,
    LINE,
    PALE,
    VERMILION,
    calm,
    height_of_title,
    name_lines,
    new_figure,
    plain,
    width_of,
)

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows: TypeAlias = Mapping[str, ArrayLike] | Mapping[str, Mapping[str, ArrayLike]]
Marks: TypeAlias = Mapping[str, float | None] | Mapping[str, Mapping[str, float | None]]

_ROW = 0.25  # inches
_LEVELS = ("#56B4E9", "#0072B2", "#CC79A7", "#D55E00", "#E69F00", "#009E73")
_LEVEL_MARKERS = ("o", "s", "^", "D", "v", "P")


def dots_figure(
    rows: Rows, *, marks: Marks | None = None, mark_label: str = "", xlabel: str = "", title: str = ""
) -> Figure:
    """Draw the values of all seeds in one row a name: pale dots, their mean as a strong one, the deviation as a bar.

    Mean and sample standard deviation stand in numbers at the right. If some values lie far below the rest, the axis
    ends before them, and an arrow at its edge has their numbers.

    Parameters
    ----------
    rows : by name, the values of all seeds (S,), NaN where there is none; or such rows by the name of their group
    marks : a value to compare with, by the names of `rows`: an open diamond
    mark_label : what the marks are
    xlabel, title : texts

    Returns
    -------
    matplotlib.figure.Figure
        As high as the rows need.

    Examples
    --------
    >>> figure = dots_figure({"adam": [98.0, 98.1], "sgd": [97.0, 97.0]}, xlabel="test accuracy in %")
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['98.05 ± 0.07', '97.00 ± 0.00']
    """
    groups = _groups(rows)
    entries = [(name, seeds(values), _mark(marks, group, name)) for group, name, values in _flat(groups)]
    values = np.concatenate([row for _, row, _ in entries] or [np.empty(0)])
    given = np.array([mark for _, _, mark in entries if mark is not None])
    floor = floor_of(np.concatenate([values, given]))
    labels = [name for name, _, _ in entries]
    figure, axes, places = _row_axes(groups, labels, title, beside=1.3)
    digits = digits_of(values)
    for y, (_, row, mark) in zip(places, entries, strict=True):
        _draw_row(axes, y, row, mark, floor, digits)
    if not entries or not np.isfinite(values).any():
        no_value(axes)
    _limits(axes, np.concatenate([values, given]), floor)
    axes.set_xlabel(plain(xlabel, 80), parse_math=False)
    _explain(figure, mark_label if len(given) else None)
    return figure


def speed_figure(
    rows: Mapping[str, Mapping[str, float | None]], title: str = "", *, xlabel: str = "seconds in training steps"
) -> Figure:
    """Draw how long each took to reach one accuracy after another.

    Parameters
    ----------
    rows : by name, for each level such as "97 %" the seconds, NaN or None where it was not reached
    title : above all
    xlabel : of the logarithmic axis

    Returns
    -------
    matplotlib.figure.Figure
        A marker for each level; what was not reached stands at the right.
    """
    levels = list(dict.fromkeys(level for row in rows.values() for level in row))
    missing = {name: _missing(row) for name, row in rows.items()}
    beside = max((width_of(text, 8) / 72 for text in missing.values()), default=0.0) + 0.2
    figure, axes, places = _row_axes({"": dict(rows)}, list(rows), title, beside=beside)
    handles: dict[str, Artist] = {}
    every: list[float] = []
    edge = axes.get_yaxis_transform()
    for y, (name, row) in zip(places, rows.items(), strict=True):
        seconds = {level: _seconds(value) for level, value in row.items()}
        reached = [value for value in seconds.values() if value > 0]
        if len(reached) > 1:
            axes.plot([min(reached), max(reached)], [y, y], color=LINE, linewidth=1.2, zorder=2)
        for level, value in seconds.items():
            if value > 0:
                i = levels.index(level)
                (handles[level],) = axes.plot(
                    [value],
                    [y],
                    _LEVEL_MARKERS[i % 6],
                    color=_LEVELS[i % 6],
                    markersize=6.5,
                    zorder=3 + i,
                )
        every += reached
        if missing[name]:
            axes.text(1.015, y, missing[name], transform=edge, va="center", fontsize=8, color=GREY, parse_math=False)
    if not every:
        no_value(axes)
    else:
        room = max((max(every) / min(every)) ** 0.05, 1.15)
        axes.set_xlim(min(every) / room, max(every) * room)
        log_axis(axes, "x")
        shown = [level for level in levels if level in handles]
        name_lines(figure, [handles[level] for level in shown], shown, loc="outside lower center", ncols=6)
    axes.set_xlabel(xlabel)
    return figure


def _groups(rows: Rows) -> dict[str, dict[str, Any]]:
    """Return rows by their group: all in one without a name where they are in none."""
    if rows and all(isinstance(values, Mapping) for values in rows.values()):
        return {group: dict(cast("Mapping[str, Any]", values)) for group, values in rows.items()}
    return {"": dict(rows)}


def _flat(groups: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str, Any]]:
    return [(group, name, values) for group, rows in groups.items() for name, values in rows.items()]


def _mark(marks: Marks | None, group: str, name: str) -> float | None:
    found: Any = (marks or {}).get(group) if isinstance((marks or {}).get(group), Mapping) else marks
    value = (found or {}).get(name)
    return None if value is None or isinstance(value, Mapping) or not np.isfinite(value) else float(value)


def _row_axes(
    groups: Mapping[str, Mapping[str, Any]], labels: Sequence[str], title: str, *, beside: float
) -> tuple[Figure, Axes, list[float]]:
    """Make axes with one line a row from the top, and return them and the height of each row."""
    places: list[float] = []
    headings: dict[float, str] = {}
    y = 0.0
    for group, rows in groups.items():
        if group:
            y += 0.35 if places else 0.0
            headings[y] = group
            y += 1.0
        for _ in rows:
            places.append(y)
            y += 1.0
    names = max((width_of(plain(label), 9) for label in labels), default=0.0) / 72
    lines = max(y, 1.0)
    width = min(names + 4.6 + beside, 11.0)
    figure = new_figure(width, _ROW * lines + 1.05 + height_of_title(title, width), title)
    axes = figure.subplots()
    calm(axes)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=PALE, linewidth=0.8)
    axes.grid(axis="y", visible=False)
    axes.set_ylim(lines - 0.4, -0.6)
    axes.set_yticks(places, [plain(label) for label in labels], parse_math=False)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    edge = axes.get_yaxis_transform()
    for place, text in headings.items():
        at: dict[str, Any] = {
            "xycoords": edge,
            "textcoords": "offset points",
            "ha": "right",
            "va": "center",
            "fontsize": 9,
        }
        axes.annotate(plain(text), (0.0, place), (-4, -1), color=GREY, style="italic", parse_math=False, **at)
    return figure, axes, places


def _draw_row(axes: Axes, y: float, row: Floats, mark: float | None, floor: float | None, digits: int) -> None:
    found = row[np.isfinite(row)]
    edge = axes.get_yaxis_transform()
    least = -np.inf if floor is None else floor
    mean, deviation = (float(value) for value in centre(found if len(found) else np.array([np.nan])))
    if len(found) > 1:
        near = found[found >= least]
        axes.plot(near, np.full(len(near), y), "o", color=BLUE, alpha=0.38, markersize=5, markeredgewidth=0, zorder=3)
        if deviation > 0 and mean >= least:
            axes.plot([max(mean - deviation, least), mean + deviation], [y, y], color=BLUE, linewidth=1.6, zorder=3)
    if mean >= least:
        axes.plot([mean], [y], "o", color=BLUE, markersize=6, zorder=4)
    if mark is not None and mark >= least:
        axes.plot([mark], [y], "D", color=VERMILION, fillstyle="none", markersize=6, markeredgewidth=1.4, zorder=5)
    far = found[found < least]
    x = 0.012
    if len(far):
        axes.plot([x], [y], "<", color=BLUE, markersize=5, transform=edge, zorder=4)
        text = number(float(far.min()), digits)
        if number(float(far.max()), digits) != text:
            text += f" to {number(float(far.max()), digits)}"
        if len(far) < len(found):
            text += f" ({len(far)} of {len(found)})"
        label: dict[str, Any] = {"transform": edge, "va": "center", "fontsize": 8, "color": GREY}
        axes.text(x + 0.02, y, text, **label)
        x += 0.05 + width_of(text, 8) / 330
    if mark is not None and mark < least:
        axes.plot([x], [y], "<", color=VERMILION, markersize=5, fillstyle="none", transform=edge, zorder=4)
        axes.text(x + 0.02, y, number(mark, digits), transform=edge, va="center", fontsize=8, color=VERMILION)
    if not len(found):
        axes.text(1.015, y, "no value", transform=edge, va="center", fontsize=9, color=GREY)
        return
    text = number(mean, digits)
    if len(found) > 1:
        text += f" ± {number(deviation, digits)}"
    if len(found) < len(row):
        text += f"  ({len(found)} of {len(row)})"
    axes.text(1.015, y, text, transform=edge, va="center", fontsize=9, color=INK)


def _limits(axes: Axes, values: Floats, floor: float | None) -> None:
    found = values[np.isfinite(values)]
    if not len(found):
        axes.set_xticks([])
        return
    low, high = float(found.min()), float(found.max())
    if floor is not None:
        low = floor - 0.3 * (high - floor)  # room for arrows and their numbers
    room = 0.04 * (high - low) or 0.01 * abs(high) or 1.0
    axes.set_xlim(low - (room if floor is None else 0.0), high + room)


def _explain(figure: Figure, mark_label: str | None) -> None:
    """Say above the rows what dots, bars and diamonds are."""
    from matplotlib.lines import Line2D

    handles: list[Artist] = [
        Line2D([], [], color=BLUE, marker="o", linestyle="none", alpha=0.38, markersize=5, markeredgewidth=0),
        Line2D([], [], color=BLUE, marker="o", linewidth=1.6, markersize=6),
    ]
    names = ["one seed", "mean ± deviation"]
    if mark_label:
        handles.append(
            Line2D([], [], color=VERMILION, marker="D", linestyle="none", fillstyle="none", markeredgewidth=1.4)
        )
        names.append(mark_label)
    name_lines(figure, handles, names, loc="outside lower center", ncols=3, handlelength=1.8)


def _seconds(value: float | None) -> float:
    return float(value) if value is not None and np.isfinite(value) else 0.0


def _missing(row: Mapping[str, float | None]) -> str:
    levels = [level for level, value in row.items() if _seconds(value) <= 0]
    return f"not {plain(', '.join(levels))}" if levels else ""
