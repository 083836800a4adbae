"""Matrices of studies: every pair compared, and one value for each pair of settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glassnet.errors import ConfigError
from glassnet.plots.panels import Floats, digits_of, drawable, floor_of, no_value, number
from glassnet.plots.style import GREY, INK, PALE, bare, colours, heading, height_of_title, new_figure, plain, width_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

NUMBERED = 20
"""Names up to which the cells of `pairs_figure` have numbers."""

_DIVERGING = ("#8A3800", "#D55E00", "#F2B48C", "#FFFFFF", "#8FC1E3", "#0072B2", "#003F66")
_RISING = ("#F1EEE4", "#BFD9E8", "#56A5D3", "#0072B2", "#06304D")
_UNDER = "#D9D9D9"
_QUIETER = 0.45
_ON_PALE, _QUIET, _ON_DARK = "#222222", "#767676", "#FFFFFF"  # no page may change these: the cells stay as they are


def pairs_figure(names: Sequence[str], differences: ArrayLike, real: ArrayLike, title: str = "") -> Figure:
    """Draw the differences of all pairs, row minus column: blue where the row is better, white where none is.

    Differences that are real stand in bold and have a frame; the others are pale. Colours end at the third quartile of
    the differences twice over, so that one that fell far behind does not take them all.

    Parameters
    ----------
    names : K names
    differences : (K, K) mean differences, in points
    real : (K, K) whether they are more than chance
    title : above all

    Returns
    -------
    matplotlib.figure.Figure
        With numbers in the cells for up to 20 names.

    Raises
    ------
    ConfigError
        If the matrices are not (K, K).
    """
    values, sure = drawable(differences), np.asarray(real, bool)
    count = len(names)
    if not count:
        values, sure = np.empty((0, 0)), np.empty((0, 0), bool)
    if values.shape != (count, count) or sure.shape != (count, count):
        raise ConfigError(f"pairs of {count} names need matrices ({count}, {count}), not {values.shape}, {sure.shape}.")
    cell = 0.5 if count <= NUMBERED else max(9.0 / count, 0.16)
    size = 9.0 if cell > 0.2 else 7.0
    room = max((width_of(plain(name, 24), size) for name in names), default=30.0) / 72
    side = max(cell * count, 1.2)
    wide = side + room + 1.3
    figure = new_figure(wide, max(side, 2.0) + 0.75 * room + 0.75 + height_of_title(title, wide), title)
    axes = figure.subplots()
    bare(axes)
    apart = ~np.eye(count, dtype=bool)
    found = np.abs(values[apart & np.isfinite(values)])
    if not len(found):
        no_value(axes)
        return figure
    most = float(min(2 * np.quantile(found, 0.75), found.max())) or 1.0
    scale = colours("differences", *_DIVERGING)
    shown = np.where(apart, values, np.nan)
    _cells(axes, shown, scale, -most, most, framed=sure)
    if count <= NUMBERED:
        for i, j in np.argwhere(np.isfinite(shown)):
            text = _signed(shown[i, j])
            dark = sure[i, j] and abs(shown[i, j]) > 0.55 * most
            axes.text(
                j,
                i,
                text,
                ha="center",
                va="center",
                fontsize=min(8.0, 8.0 * 0.86 * 72 * cell / width_of(text, 8.0)),
                fontweight="bold" if sure[i, j] else "normal",
                color=_ON_DARK if dark else _ON_PALE if sure[i, j] else _QUIET,
            )
    _name_sides(axes, [plain(name, 24) for name in names], [plain(name, 24) for name in names], size)
    _bar(figure, [axes], scale, -most, most, "row minus column, in points", high=side, extend=bool(found.max() > most))
    axes.annotate(
        "bold with a frame: more than chance" if sure.any() else "no difference is more than chance",
        (0, 0),
        (0, -5),
        xycoords="axes fraction",
        textcoords="offset points",
        va="top",
        fontsize=8,
        color=GREY,
    )
    return figure


def heatmap_figure(
    panels: Mapping[str, tuple[Sequence[str], Sequence[str], ArrayLike]],
    *,
    title: str = "",
    label: str = "mean test accuracy in %",
    xlabel: str = "",
    ylabel: str = "",
) -> Figure:
    """Draw one value for each pair of two settings: the darker, the higher. Values far below the rest are grey.

    Parameters
    ----------
    panels : by name, R names of rows, C names of columns and the values (R, C), NaN where there is none
    title, label, xlabel, ylabel : texts; the label is that of the colours

    Returns
    -------
    matplotlib.figure.Figure
        All panels have one scale of colours.

    Raises
    ------
    ConfigError
        If values and names do not fit.
    """
    tables = {name: (list(r), list(c), _table(r, c, values)) for name, (r, c, values) in panels.items()}
    every = np.concatenate([values.ravel() for _, _, values in tables.values()] or [np.empty(0)])
    found = every[np.isfinite(every)]
    most_rows = max((len(rows) for rows, _, _ in tables.values()), default=1)
    most_columns = max((len(columns) for _, columns, _ in tables.values()), default=1)
    numbered = most_columns <= 24
    cell, high = (0.52, 0.3) if numbered else (max(10.0 / most_columns, 0.1), 0.22)
    left = max((width_of(plain(name, 28), 9) for rows, _, _ in tables.values() for name in rows), default=0.0) / 72
    above = max((width_of(plain(name, 28), 9) for _, names, _ in tables.values() for name in names), default=0.0) / 72
    slanted = above > 0.9 * cell
    wide, tall = cell * most_columns + left + 0.3, high * most_rows + (0.72 * above if slanted else 0.2) + 0.6
    across = max(1, min(len(tables), int(10.5 // wide)))
    down = math.ceil(max(len(tables), 1) / across)
    width = max(across * wide + 1.0, 3.4)
    figure = new_figure(width, max(down * tall, 1.8) + 0.2 + height_of_title(title, width), title)
    grid: list[Axes] = list(figure.subplots(down, across, squeeze=False).flat)
    for axes in grid[max(len(tables), 1) :]:
        axes.remove()
    grid = grid[: max(len(tables), 1)]
    if not len(found):
        for axes in grid:
            bare(axes)
            no_value(axes)
        return figure
    floor = floor_of(found)
    low = float(found.min() if floor is None else found[found >= floor].min())
    top = float(found.max())
    low, top = (low, top) if top > low else (low - 0.5, top + 0.5)
    scale = colours("values", *_RISING).with_extremes(under=_UNDER)
    digits = max(digits_of(found) - 1, 1) if top - low > 3 else digits_of(found)
    for axes, (name, (rows, columns, values)) in zip(grid, tables.items(), strict=False):
        bare(axes)
        if not values.size:
            no_value(axes)
            continue
        _cells(axes, values, scale, low, top)
        if len(tables) > 1 or name:
            heading(axes, plain(name, int(max(wide - left, 1.2) * 11)))
        for i, j in np.argwhere(np.isfinite(values)) if numbered else ():
            text = number(values[i, j], digits)
            dark = values[i, j] > low + 0.5 * (top - low)
            size = min(8.0, 8.0 * 0.9 * 72 * cell / width_of(text, 8.0))
            axes.text(j, i, text, ha="center", va="center", fontsize=size, color=_ON_DARK if dark else _ON_PALE)
        names = [plain(column, 28) for column in columns]
        _name_sides(axes, [plain(row, 28) for row in rows], names, 9.0, slanted=slanted, below=True)
        axes.set_xlabel(plain(xlabel, int(max(wide - left, 1.2) * 12)), color=GREY, parse_math=False)
        axes.set_ylabel(plain(ylabel, int(max(tall, 1.2) * 12)), color=GREY, parse_math=False)
    _bar(figure, grid, scale, low, top, label, high=down * tall, extend=floor is not None)
    return figure


def _table(rows: Sequence[str], columns: Sequence[str], values: ArrayLike) -> Floats:
    found = drawable(values)
    if not len(rows) or not len(columns):
        return np.empty((len(rows), len(columns)))
    if found.shape != (len(rows), len(columns)):
        raise ConfigError(f"{len(rows)} rows and {len(columns)} columns do not fit values of shape {found.shape}.")
    return found


def _signed(value: float) -> str:
    text = number(value, 1 if abs(value) >= 9.95 else 2)
    return text if value < 0 or not text.strip("0.") else f"+{text}"


def _cells(
    axes: Axes, values: Floats, scale: Colormap, low: float, top: float, framed: NDArray[np.bool_] | None = None
) -> None:
    """Draw a rectangle for each number: few enough to stay vectors, and none where there is nothing.

    Where some are framed, the others are mixed with white.
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgba

    where = np.argwhere(np.isfinite(values))
    corners = np.array([(-0.46, -0.46), (0.46, -0.46), (0.46, 0.46), (-0.46, 0.46)])
    fills = scale((values[tuple(where.T)] - low) / (top - low))  # (K, 4)
    edges: Any = "none"
    if framed is not None:
        sure = framed[tuple(where.T)]
        fills[~sure] = 1.0 - _QUIETER * (1.0 - fills[~sure])  # alpha stays 1
        edges = np.where(sure[:, None], to_rgba(INK), fills)
    cells = where[:, None, ::-1] + corners  # x is the column, y the row
    axes.add_collection(PolyCollection(cells, facecolors=fills, edgecolors=edges, linewidths=1.0))
    rows, columns = values.shape
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5))


def _name_sides(
    axes: Axes, rows: Sequence[str], columns: Sequence[str], size: float, *, slanted: bool = True, below: bool = False
) -> None:
    slant: dict[str, Any] = {}
    if slanted:
        slant = {"rotation": 45, "ha": "right" if below else "left", "rotation_mode": "anchor"}
    if not below:
        axes.xaxis.tick_top()
    axes.set_xticks(range(len(columns)), columns, fontsize=size, color=INK, parse_math=False, **slant)
    axes.set_yticks(range(len(rows)), rows, fontsize=size, color=INK, parse_math=False)
    axes.tick_params(length=0)


def _bar(
    figure: Figure, axes: list[Axes], scale: Colormap, low: float, top: float, label: str, *, high: float, extend: bool
) -> None:
    """Say what the colours mean, in few enough steps for a vector file."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.ticker import MaxNLocator

    shown = ScalarMappable(Normalize(low, top), scale.resampled(48))
    ends = ("both" if low < 0 < top and low == -top else "min") if extend else "neither"
    bar = figure.colorbar(
        shown, ax=axes, shrink=min(1.0, 2.4 / high), aspect=14, extend=ends, ticks=MaxNLocator(5), pad=0.02
    )
    bar.set_label(plain(label, max(int(12 * high), 30)), color=INK, parse_math=False)
    bar.outline.set_visible(False)
    if bar.solids is not None:
        bar.solids.set_edgecolor("face")  # no gaps between the steps
    bar.ax.tick_params(color=PALE, labelcolor=GREY, labelsize=9)
