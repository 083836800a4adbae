"""What the figures of studies have in common: small panels that share their axes, means and spreads, limits."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glassnet.plots.style import GREY, INK, calm, heading, height_of_title, new_figure, plain, room_for_names, width_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats: TypeAlias = NDArray[np.float64]

MOST_POINTS = 400
"""A line of more points is thinned, so that vector files stay small."""
LARGEST = 1e100  # what is beyond it, matplotlib can not put on an axis

_FAR = 5.0  # a gap is wide from so many ranges of what lies beyond it on
_LEAST_RANGE = 0.01  # of the highest value: closer values count as that far apart


def drawable(values: ArrayLike) -> Floats:
    """Return numbers as they are, and nan, which leaves a gap, for those beyond 1e100 and for None."""
    found = np.asarray(values, float)
    return np.where(np.abs(found) <= LARGEST, found, np.nan)


def seeds(values: ArrayLike) -> Floats:
    """Return drawable values of one row, shape (S,)."""
    return drawable(values).reshape(-1)


def centre(values: ArrayLike, axis: int = 0) -> tuple[Floats, Floats]:
    """Return mean and sample standard deviation of what is finite: nan where nothing is, deviation 0 of one value.

    Examples
    --------
    >>> mean, deviation = centre([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
    >>> mean.tolist(), deviation.round(3).tolist()
    ([2.0, 5.0, nan], [1.414, 0.0, nan])
    """
    found = drawable(values)
    count = np.isfinite(found).sum(axis=axis)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        mean = np.nanmean(found, axis=axis)
        squares = np.nansum((found - np.expand_dims(mean, axis)) ** 2, axis=axis)
        deviation = np.where(count > 0, np.sqrt(squares / np.maximum(count - 1, 1)), np.nan)
    return np.asarray(mean), np.asarray(deviation)


def thin(length: int) -> NDArray[np.intp]:
    """Return the indices of at most 400 points of a line, first and last among them."""
    return np.unique(np.linspace(0, length - 1, min(length, MOST_POINTS)).round().astype(np.intp))


def floor_of(values: ArrayLike) -> float | None:
    """Return where an axis may end below so that values far below the rest do not hide how the rest differ.

    None where no values are far: a gap is wide that takes five times the range of what lies above it, of which there
    must be two, and a third of all values.

    Examples
    --------
    >>> floor_of([97.0, 97.5, 98.0]), floor_of([11.3, 97.0, 97.5, 98.0])
    (None, 96.75)
    """
    found = np.sort(seeds(values))
    found = found[np.isfinite(found)]
    if len(found) < 2:
        return None
    ranges = np.maximum(found[-1] - found[1:], _LEAST_RANGE * abs(found[-1] or found[0]))
    above = np.arange(len(found) - 1, 0, -1)
    far = np.flatnonzero((np.diff(found) > _FAR * ranges) & (above >= max(2.0, len(found) / 3)))
    if not len(far):
        return None
    return float(found[far[-1] + 1] - 0.25 * ranges[far[-1]])


def number(value: float, digits: int = 2) -> str:
    """Write a value with so many digits after the point, and a real minus; "-0.00" loses its sign.

    Examples
    --------
    >>> number(98.046), number(-0.5, 1), number(-0.001)
    ('98.05', '\N{MINUS SIGN}0.5', '0.00')
    """
    text = f"{value:.{digits}f}"
    if not text.strip("-0."):
        text = text.lstrip("-")
    return text.replace("-", "\N{MINUS SIGN}")


def digits_of(values: ArrayLike) -> int:
    """Return how many digits after the point values of that size are written with."""
    largest = float(np.nanmax(np.abs(seeds(values)), initial=0.0))
    return 2 if largest >= 10 or largest == 0 else 3 if largest >= 1 else 4


def small_multiples(
    headings: Sequence[str],
    *,
    title: str,
    names: Sequence[str] = (),
    most: int = 3,
    sizes: Sequence[tuple[float, float]] = ((5.6, 3.7), (4.2, 3.2), (3.4, 2.7)),
    xlabel: str = "",
    ylabel: str = "",
    reserve: float = 0.0,
    **share: Any,
) -> tuple[Figure, list[Axes]]:
    """Make a figure of one panel for each heading in rows, with room beside them for names.

    Parameters
    ----------
    headings : one a panel; a single empty one is not written
    title : above all
    names : of what is drawn
    most : columns of panels
    sizes : inches of a panel in a figure of one, two, ... columns
    xlabel, ylabel : of the outer panels
    reserve : inches beside the heading that something else needs
    share : for ``Figure.subplots``; all axes are shared by default
    """
    count = max(len(headings), 1)
    columns = 2 if count == 4 and most == 3 else min(most, count)
    rows = math.ceil(count / columns)
    wide, high = sizes[min(columns, len(sizes)) - 1]
    beside, least = room_for_names(names) if names else (0.0, 0.0)
    width = max(columns * wide, 3.4) + beside
    figure = new_figure(width, max(rows * high, least) + height_of_title(title, width), title)
    grid = figure.subplots(rows, columns, squeeze=False, **({"sharex": True, "sharey": True} | share))
    panels: list[Axes] = list(grid.flat)
    for axes in panels[count:]:
        axes.remove()
    for i, axes in enumerate(panels[:count]):
        calm(axes)
        if i % columns == 0 and rows == 1:
            axes.set_ylabel(plain(ylabel, 60), parse_math=False)
        if i + columns >= count:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel(plain(xlabel, 60), parse_math=False)
        if headings and (count > 1 or headings[0]):
            heading(axes, plain(headings[i], int((0.76 * wide - reserve) * 72 / width_of("n", 11))))
    if rows > 1 and ylabel:  # once: it may be longer than a panel is high
        figure.supylabel(plain(ylabel, 60), fontsize=10, color=INK, parse_math=False)
    return figure, panels[:count]


def log_axis(axes: Axes, which: Literal["x", "y"], most: int = 7) -> None:
    """Make an axis logarithmic, with numbers that are text, and wide enough for some of them.

    Numbers, about `most` of them, are at 1, 2 and 5 on short axes, at powers of ten on long ones.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    axis, limits = (axes.xaxis, axes.set_xlim) if which == "x" else (axes.yaxis, axes.set_ylim)
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    low, high = (float(end) for end in (axes.get_xlim() if which == "x" else axes.get_ylim()))
    if high < 4 * low:
        middle = math.sqrt(low * high)
        low, high = middle / 2, middle * 2
        limits(low, high)
    decades = math.log10(high / low)
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if 2.5 * decades < most else (1.0,), numticks=most))
    axis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axis.set_minor_formatter(NullFormatter())
    if decades > most:
        axis.set_minor_locator(NullLocator())


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def short(value: float) -> str:
    """Write the number of a tick: in full where that is short, otherwise as a power of ten.

    Examples
    --------
    >>> short(0.01), short(1e-05), short(60000), short(2e9)
    ('0.01', '10⁻⁵', '60,000', '2·10⁹')
    """
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        return f"{value:,.10g}"
    digits, _, power = f"{value:.6e}".partition("e")
    factor = f"{float(digits):g}"
    return ("" if factor == "1" else f"{factor}·") + "10" + str(int(power)).translate(_RAISED)


def no_value(axes: Axes) -> None:
    """Say in empty axes that there is nothing to see."""
    axes.text(0.5, 0.5, "no value", transform=axes.transAxes, ha="center", va="center", fontsize=9, color=GREY)
