"""Lines of studies: accuracy over epochs, over the learning rate, over any setting, and signals over the layers.

All functions take plain arrays and make a whole figure. What can not be drawn (NaN, infinity) is left out; where
nothing is left, the panel says so. Learning curves, searches of learning rates and signals of layers stand in small
panels that share their axes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from glassnet.plots.panels import (
    Floats,
    centre,
    drawable,
    floor_of,
    log_axis,
    no_value,
    number,
    seeds,
    short,
    small_multiples,
    thin,
)
from glassnet.plots.style import BLUE, GREY, INK, VERMILION, line_style, name_lines, plain

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Numbers: TypeAlias = Sequence[float | str]

_MARKED = 12  # points up to which each has a marker
_WIDE = 20.0  # ratio from which on an axis of settings is logarithmic


def bands_figure(
    panels: Mapping[str, Mapping[str, tuple[ArrayLike, ArrayLike]]],
    *,
    xlabel: str,
    ylabel: str,
    title: str = "",
    logy: bool = False,
    percent: bool = False,
    logx: bool = False,
) -> Figure:
    """Draw learning curves of several runs with several seeds: the mean as a line, plus and minus a deviation a band.

    Parameters
    ----------
    panels : for each panel, by the name of each line, x (E,) and the values of all seeds (S, E)
    xlabel, ylabel, title : texts
    logy, logx : logarithmic axes
    percent : the values are shares of 0 to 1 and are drawn in percent; the axis begins where the lines differ, and a
        note names those that end below it

    Returns
    -------
    matplotlib.figure.Figure
        Each name has the same colour and dashes in all panels; they stand beside them.

    Examples
    --------
    >>> lines = {"adam": ([1, 2], [[0.5, 0.9], [0.7, 0.9]])}
    >>> figure = bands_figure({"": lines}, xlabel="epoch", ylabel="accuracy in %", percent=True)
    >>> figure.axes[0].get_lines()[0].get_ydata().tolist()
    [60.0, 90.0]
    """
    names = _names(panels.values())
    figure, several = small_multiples(list(panels), title=title, names=names, xlabel=xlabel, ylabel=ylabel)
    handles: dict[str, Artist] = {}
    ends: dict[str, dict[str, float]] = {}
    means: list[Floats] = []
    for axes, (panel, lines) in zip(several, panels.items(), strict=False):
        for name, (x, ys) in lines.items():
            along = seeds(x)
            values = drawable(ys).reshape(-1, len(along) or 1) * (100.0 if percent else 1.0)
            if not values.size:
                continue
            mean, deviation = centre(values)
            finite = np.isfinite(mean) & np.isfinite(along) & ((mean > 0) | (not logy)) & ((along > 0) | (not logx))
            if not finite.any():
                continue
            mean = np.where(finite, mean, np.nan)
            means.append(mean)
            ends.setdefault(panel, {})[name] = float(mean[finite][-1])
            style = line_style(names.index(name))
            handles[name] = _band(axes, along, mean, deviation, style, least=_least(values) if logy else None)
        if not axes.get_lines():
            no_value(axes)
    if several and means:
        _scales(several[0], logx=logx, logy=logy, along=[x for lines in panels.values() for x, _ in lines.values()])
        if percent and not logy:
            _show_the_late(several, panels, ends, means)
        elif not logy:
            _leave_out_the_exploded(several[0], means)
    shown = [name for name in names if name in handles]
    if shown and (len(names) > 1 or names[0]):
        name_lines(figure, [handles[name] for name in shown], shown)
    return figure


def rates_figure(searches: Mapping[str, tuple[ArrayLike, ArrayLike, float | None]], title: str = "") -> Figure:
    """Draw what a search of learning rates found: for each name the validation accuracy over the rate.

    The mean over the seeds is a line, each seed a pale dot, the chosen rate a ring with its number. Rates at which all
    seeds diverged have a dark cross at the bottom, those at which some did a pale one; what lies below the axis is a
    small triangle at the bottom.

    Parameters
    ----------
    searches : by name, rates (R,), accuracies in percent of all rates and seeds (R, S), NaN where a run diverged, and
        the rate that was chosen, or None
    title : above all panels

    Returns
    -------
    matplotlib.figure.Figure
        One panel a name, four a row, with one scale.
    """
    figure, several = small_multiples(
        list(searches),
        title=title,
        most=4,
        sizes=((5.0, 3.4), (3.6, 2.7), (3.0, 2.3), (2.6, 2.0)),
        xlabel="learning rate",
        ylabel="validation accuracy in %",
        reserve=0.5,
    )
    found = [_search(*search) for search in searches.values()]
    every = np.concatenate([centre(values, 1)[0] for _, values, _ in found] or [np.empty(0)])
    best = [float(np.nanmax(values)) for _, values, _ in found if np.isfinite(values).any()]
    bottom, top = _around_the_best(every[np.isfinite(every)], np.array(best))
    for axes, (rates, values, chosen) in zip(several, found, strict=False):
        axes.set_ylim(bottom, top)
        _draw_search(axes, rates, values, chosen, bottom)
    rates = np.concatenate([rates for rates, _, _ in found] or [np.empty(0)])
    if len(rates):
        several[0].set_xlim(rates.min() / 1.8, rates.max() * 1.8)
        log_axis(several[0], "x", most=4 if len(searches) > 2 else 7)
    for axes in several if not len(rates) else ():
        no_value(axes)
    return figure


def layers_figure(
    panels: Mapping[str, Mapping[str, ArrayLike]], *, ylabel: str, title: str = "", logy: bool = True
) -> Figure:
    """Draw a quantity over the hidden layers, from the input on: how signals shrink or grow on their way.

    Parameters
    ----------
    panels : for each panel, by the name of each line, a number for each hidden layer (L,)
    ylabel, title : texts
    logy : logarithmic; what is not above 0 is then a small triangle at the bottom

    Returns
    -------
    matplotlib.figure.Figure
        Each name has the same colour, dashes and marker in all panels; they stand beside them.
    """
    from matplotlib.ticker import MaxNLocator

    names = _names(panels.values())
    figure, several = small_multiples(list(panels), title=title, names=names, xlabel="hidden layer", ylabel=ylabel)
    handles: dict[str, Artist] = {}
    deepest, drawn = 1, False
    for axes, lines in zip(several, panels.values(), strict=False):
        for name, quantity in lines.items():
            values = seeds(quantity)
            layers = np.arange(1, len(values) + 1)
            style = line_style(names.index(name))
            low = (values <= 0) & logy
            shown = np.where(low, np.nan, values)
            if np.isfinite(values).any():
                (handles[name],) = axes.plot(layers, shown, markersize=3.5, linewidth=1.3, **style)
                edge = axes.get_xaxis_transform()
                axes.plot(
                    layers[low], np.full(low.sum(), 0.03), "v", color=style["color"], markersize=4, transform=edge
                )
                deepest, drawn = max(deepest, len(values)), drawn or bool(np.isfinite(shown).any())
        if not axes.get_lines():
            no_value(axes)
    if several:
        several[0].set_xlim(0.6, deepest + 0.4)
        several[0].xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
        if logy and drawn:
            log_axis(several[0], "y")
    shown_names = [name for name in names if name in handles]
    if shown_names and (len(names) > 1 or names[0]):
        name_lines(figure, [handles[name] for name in shown_names], shown_names)
    return figure


def against_figure(
    lines: Mapping[str, tuple[Numbers, ArrayLike, ArrayLike]], *, xlabel: str, ylabel: str, title: str = ""
) -> Figure:
    """Draw means with their deviations over a setting.

    Parameters
    ----------
    lines : by name, the settings (K numbers, or words such as "full"), means (K,) and deviations (K,)
    xlabel, ylabel, title : texts

    Returns
    -------
    matplotlib.figure.Figure
        Numbers stand on an axis that is logarithmic if they span a factor of more than 20. If there is a word among
        them, all stand at equal distances: first the numbers from the smallest, then the words as they come.
    """
    names = list(lines)
    figure, (axes,) = small_multiples([""], title=title, names=names, xlabel=xlabel, ylabel=ylabel)
    settings = [_setting(value) for along, _, _ in lines.values() for value in along]
    words = list(dict.fromkeys(value for value in settings if isinstance(value, str)))
    numbers = sorted({value for value in settings if not isinstance(value, str)})
    steps: list[float | str] = [*numbers, *words]
    places = {value: float(i) if words else float(value) for i, value in enumerate(steps)}
    handles: dict[str, Artist] = {}
    for i, (name, (along, means, deviations)) in enumerate(lines.items()):
        x = np.array([places[_setting(value)] for value in along], float)
        y, spread = seeds(means), np.nan_to_num(seeds(deviations))
        order = np.argsort(x, kind="stable")
        if np.isfinite(y).any():
            style = line_style(i)
            colour = style["color"]
            axes.errorbar(x[order], y[order], spread[order], fmt="none", ecolor=colour, elinewidth=1.0, capsize=2.5)
            (handles[name],) = axes.plot(x[order], y[order], markersize=4.5, linewidth=1.4, **style)
    if not handles:
        no_value(axes)
        return figure
    if words:
        texts = [plain(value, 16) if isinstance(value, str) else short(value) for value in places]
        axes.set_xticks(list(places.values()), texts, parse_math=False)
        axes.set_xlim(-0.4, len(places) - 0.6)
    else:
        _number_axis(axes, np.array(numbers))
    if len(names) > 1 or names[0]:
        shown = [name for name in names if name in handles]
        name_lines(figure, [handles[name] for name in shown], shown)
    return figure


def _setting(value: object) -> float | str:
    """Return a number as a float, and anything else as a word."""
    return float(value) if isinstance(value, (int, float, np.integer)) and np.isfinite(value) else str(value)


def _names(panels: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of all lines, each once, in the order in which they come."""
    return list(dict.fromkeys(name for lines in panels for name in lines))


def _least(values: Floats) -> float:
    return float(np.nanmin(np.where(values > 0, values, np.nan)))


def _band(
    axes: Axes, along: Floats, mean: Floats, deviation: Floats, style: dict[str, Any], least: float | None
) -> Artist:
    """Draw a mean and its spread; on a logarithmic scale the band ends at the least value."""
    some = thin(len(along))
    along, mean, deviation = along[some], mean[some], deviation[some]
    single = int(np.isfinite(mean).sum()) == 1
    (line,) = axes.plot(
        along,
        mean,
        color=style["color"],
        linestyle=style["linestyle"],
        marker=style["marker"] if len(along) <= _MARKED else None,
        markersize=3.5,
        linewidth=1.4,
    )
    below = mean - deviation if least is None else np.maximum(mean - deviation, least)
    if single and deviation[np.isfinite(mean)][0] > 0:
        axes.vlines(along, below, mean + deviation, color=style["color"], linewidth=1.2)
    elif np.nanmax(deviation) > 0:
        axes.fill_between(along, below, mean + deviation, color=style["color"], alpha=0.16, linewidth=0)
    return line


def _scales(axes: Axes, *, logx: bool, logy: bool, along: Sequence[ArrayLike]) -> None:
    from matplotlib.ticker import MaxNLocator

    if logy:
        log_axis(axes, "y")
    x = np.concatenate([seeds(one) for one in along])
    x = x[np.isfinite(x) & ((x > 0) | (not logx))]
    if logx:
        log_axis(axes, "x")
    elif (x == x.round()).all():
        axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1))
    if x.min() == x.max():
        axes.set_xlim((x[0] / 2, x[0] * 2) if logx else (x[0] - 1, x[0] + 1))


def _show_the_late(
    several: Sequence[Axes],
    panels: Mapping[str, Mapping[str, Any]],
    ends: Mapping[str, Mapping[str, float]],
    means: Sequence[Floats],
) -> None:
    """Begin the axis where the lines differ in their second half, and name those that end below."""
    last = [end for lines in ends.values() for end in lines.values()]
    floor = floor_of(last)
    kept = [mean for mean, end in zip(means, last, strict=True) if floor is None or end >= floor]
    late = np.concatenate([mean[len(mean) // 2 :] for mean in kept])
    low, top = float(np.nanquantile(late, 0.05)), max(float(np.nanmax(mean)) for mean in kept)
    low = min(low, min(float(mean[np.isfinite(mean)][-1]) for mean in kept))
    room = max(top - low, 0.4)
    bottom = max(low - 0.45 * room, min(float(np.nanmin(mean)) for mean in means) - 0.2 * room, -0.05 * room)
    several[0].set_ylim(bottom, top + 0.12 * room)
    for axes, panel in zip(several, panels, strict=False):
        under = {name: end for name, end in ends.get(panel, {}).items() if end < bottom}
        parts = [f"{plain(name, 24)} {number(end, 1)}" for name, end in list(under.items())[:3]]
        if len(under) > len(parts):
            parts.append(f"{len(under) - len(parts)} more")
        for k, line in enumerate(reversed(["below, at the end:", *parts] if parts else [])):
            axes.annotate(
                line,
                (1.0, 0.0),
                (-3, 4 + 10 * k),
                xycoords="axes fraction",
                textcoords="offset points",
                ha="right",
                fontsize=8,
                color=GREY,
                parse_math=False,
            )


def _leave_out_the_exploded(axes: Axes, means: Sequence[Floats]) -> None:
    """End the axis above where only lines that exploded go on."""
    highest = -np.array([np.nanmax(mean) for mean in means])
    floor = floor_of(highest)
    if floor is not None:
        kept = [mean for mean, high in zip(means, highest, strict=True) if high >= floor]
        low, top = min(float(np.nanmin(mean)) for mean in kept), -floor
        axes.set_ylim(low - 0.06 * (top - low), top + 0.01 * (top - low))


def _search(rates: ArrayLike, accuracies: ArrayLike, chosen: float | None) -> tuple[Floats, Floats, float | None]:
    x = seeds(rates)
    values = drawable(accuracies).reshape(len(x), -1) if len(x) else np.empty((0, 1))
    if not values.shape[1]:
        values = np.full((len(x), 1), np.nan)
    order = np.argsort(x, kind="stable")
    order = order[x[order] > 0]
    return x[order], values[order], None if chosen is None or not 0 < chosen < np.inf else float(chosen)


def _around_the_best(means: Floats, best: Floats) -> tuple[float, float]:
    """Return limits that show how the best values of all panels differ, and as much of the fall beside them."""
    if not len(best):
        return 0.0, 100.0
    floor = floor_of(best)
    low, top = float(best.min() if floor is None else best[best >= floor].min()), float(best.max())
    room = max(4.0 * (top - low), 0.06 * abs(top))
    bottom = max(top - room, float(means.min()) - 0.05 * room) if len(means) else top - room
    return bottom, top + 0.12 * (top - bottom or 1.0)


def _draw_search(axes: Axes, rates: Floats, values: Floats, chosen: float | None, bottom: float) -> None:
    mean, _ = centre(values, 1)
    if values.shape[1] > 1:
        every = np.repeat(rates, values.shape[1])
        axes.plot(every, values.ravel(), "o", color=BLUE, alpha=0.38, markersize=3, markeredgewidth=0)
    axes.plot(rates, mean, "-", color=BLUE, linewidth=1.4, marker="o", markersize=3.5)
    edge = axes.get_xaxis_transform()
    low = mean < bottom
    axes.plot(rates[low], np.full(low.sum(), 0.04), "v", color=BLUE, markersize=4, transform=edge)
    lost = ~np.isfinite(values)
    for of, colour in ((lost.all(axis=1), INK), (lost.any(axis=1) & ~lost.all(axis=1), "#AAAAAA")):
        axes.plot(rates[of], np.full(of.sum(), 0.04), "x", color=colour, markersize=5, transform=edge)
    if chosen is not None:
        axes.axvline(chosen, color=VERMILION, linestyle=(0, (3, 2)), linewidth=1.0, zorder=1)
        axes.set_title(f"{chosen:.3g}", loc="right", fontsize=9, color=VERMILION)
        at = np.flatnonzero(np.isclose(rates, chosen, rtol=1e-9) & np.isfinite(mean) & ~low)
        axes.plot(rates[at], mean[at], "o", markersize=8, color=VERMILION, fillstyle="none", markeredgewidth=1.5)


def _number_axis(axes: Axes, numbers: Floats) -> None:
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    if numbers[0] > 0 and numbers[-1] > _WIDE * numbers[0]:
        log_axis(axes, "x")
        apart = np.diff(np.log10(numbers)).min() / np.log10(numbers[-1] / numbers[0])
        if len(numbers) <= 12 and apart > 0.06:
            axes.xaxis.set_major_locator(FixedLocator(numbers.tolist()))
            axes.xaxis.set_major_formatter(FixedFormatter([short(value) for value in numbers]))
            axes.xaxis.set_minor_locator(NullLocator())
    elif len(numbers) == 1:
        axes.set_xlim(numbers[0] - 1, numbers[0] + 1)
        axes.set_xticks(numbers)
