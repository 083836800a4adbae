"""Which figures a report shows, from its statistics, and what each of them says in words and numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glassnet import plots
from glassnet.plots import QUANTITIES
from glassnet.studies.cells import TARGETS, CellSummary
from glassnet.studies.summary import Summary, matches
from glassnet.studies.wording import (
    NAMED,
    counted,
    heading,
    label,
    listed,
    named,
    number,
    percent,
    seconds,
    spoken,
    times,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE = 30.0
"""Ratio of the largest to the smallest from which on a scale is logarithmic."""

SIGNALS = {
    "activation_deviation": ("standard deviation of the activations", "begin", ""),
    "activation_mean": ("mean of the activations", "begin", ""),
    "gradient_rms": ("gradient that reaches the layer, root mean square", "begin", ""),
    "dead": ("share of dead units", "end", "Dead: the slope of the activation is below 1e-6 for every sample."),
    "saturated": (
        "share of saturated units",
        "end",
        "Saturated, without the dead: the slope of the activation is below 5 % of its largest for 9 of 10 samples.",
    ),
}
"""What a figure of the layers can show: what its axis says, when in the run it is taken, and what it means."""


@dataclass(frozen=True)
class Drawing:
    """A figure to be drawn.

    Attributes
    ----------
    name : of its file, without the ending
    caption : what it shows
    describe : what it says in numbers, for those who can not see it
    make : draws it
    """

    name: str
    caption: str
    describe: str
    make: Callable[[], Figure]


def drawings_of(summary: Summary) -> list[Drawing]:
    """Return the figures that the study's ``[report] plots`` ask for; none of what there are no numbers for."""
    kinds = [table["kind"] for table in summary.study.plots]
    found = []
    for i, table in enumerate(summary.study.plots):
        name = table["kind"]
        if kinds.count(name) > 1:
            name += f"-{kinds[: i + 1].count(name)}"
        drawing = _KINDS[table["kind"]](summary, table, name)
        found += [drawing] if drawing else []
    return found


def _panel(cell: CellSummary, axis: str | None) -> str:
    return "" if axis is None else named(axis, cell.cell.label[axis])


def _line(cell: CellSummary, first: str | None, *without: str | None) -> str:
    """Return what a line is called: its value of the first axis, then those of all others but some."""
    values = {axis: value for axis, value in cell.cell.label.items() if axis not in without}
    axes = sorted(values, key=lambda axis: axis != first)
    return ", ".join(named(axis, values[axis]) for axis in axes)


def _chosen(summary: Summary, table: Mapping[str, Any]) -> list[CellSummary]:
    return [cell for cell in summary.cells if cell.runs and matches(cell.cell, table.get("where") or {})]


def _where(table: Mapping[str, Any]) -> str:
    where = table.get("where") or {}
    return f", {listed([named(axis, value) for axis, value in where.items()])}" if where else ""


def _accuracies(cells: Iterable[CellSummary], most: int = 6) -> str:
    """Say the test accuracies of cells in words: all of a few, the first and the last of many."""
    told = sorted((cell for cell in cells if cell.mean is not None), key=lambda cell: -(cell.mean or 0.0))
    if not told:
        return "no run has finished."
    texts = [f"{cell.name} {cell.figure}" for cell in told]
    if len(texts) > most:
        return f"best {listed(texts[:3])}; worst {listed(texts[-2:])}."
    return f"{listed(texts)}."


def _curves(summary: Summary, table: Mapping[str, Any], name: str) -> Drawing | None:
    quantity, over, axis = table.get("quantity", "validation_accuracy"), table.get("over", "epoch"), table.get("panel")
    cells = _chosen(summary, table)
    if quantity.startswith("validation") and not any(np.isfinite(cell.curve(quantity)).any() for cell in cells):
        quantity = quantity.replace("validation", "train")
    panels: dict[str, dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
    ends: list[tuple[float, str]] = []
    for cell in cells:
        ys = cell.curve(quantity)  # (S, E)
        if np.isfinite(ys).any():
            x = _mean_rows(cell.curve("train_seconds" if over == "seconds" else "epoch"))
            panels.setdefault(_panel(cell, axis), {})[cell.name_without(axis, *table.get("where", {}))] = (x, ys)
            last = _mean_rows(ys)
            ends.append((float(last[np.isfinite(last)][-1]), cell.name))
    if not panels:
        return None
    accuracy = quantity.endswith("accuracy")
    what = QUANTITIES[quantity].removesuffix(" in %")
    ends.sort(reverse=accuracy)
    texts = [f"{where} {percent(end) if accuracy else f'{end:.4g}'}" for end, where in ends]
    texts = [*texts[:3], *texts[-2:]] if len(texts) > 6 else texts
    every = [end for end, _ in ends if end > 0]
    spans = [x[np.isfinite(x) & (x > 0)] for lines in panels.values() for x, _ in lines.values()]
    along = np.concatenate(spans)
    beyond = f"over the {'seconds in training steps' if over == 'seconds' else 'epochs'}"
    return Drawing(
        name,
        f"{heading(what)} {beyond}{_where(table)}: mean and standard deviation over the seeds."
        f"{_left_out(cells, quantity)}{_after_failures(cells, quantity)}",
        f"Lines of the {what} {beyond}. At the end, mean over the seeds: {', '.join(texts)}.",
        lambda: plots.bands_figure(
            panels,
            xlabel="seconds in training steps" if over == "seconds" else "epoch",
            ylabel=QUANTITIES[quantity],
            title=table.get("title", ""),
            logy=not accuracy and bool(every) and max(every) > WIDE * min(every),
            percent=accuracy,
            logx=over == "seconds" and along.size > 0 and float(along.max()) > WIDE * float(along.min()),
        ),
    )


def _left_out(cells: Iterable[CellSummary], quantity: str) -> str:
    names = [cell.name for cell in cells if not np.isfinite(cell.curve(quantity)).any()]
    return f" Not drawn, for nothing was measured: {listed(names, NAMED)}." if names else ""


def _after_failures(cells: Iterable[CellSummary], quantity: str) -> str:
    """Say which lines are a mean of fewer seeds after a run has diverged."""
    drawn = [cell for cell in cells if cell.failures and np.isfinite(cell.curve(quantity)).any()]
    names = [f"{cell.name} ({len(cell.failures)} of {counted(len(cell.runs), 'run')})" for cell in drawn]
    if not names:
        return ""
    return f" Runs that did not finish are part of the mean up to where they broke off: {listed(names, NAMED)}."


def _mean_rows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean over the seeds of what was measured (E,); NaN where nothing was."""
    there = np.isfinite(values)
    count = there.sum(axis=0)
    total = np.where(there, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _accuracy(summary: Summary, table: Mapping[str, Any], name: str) -> Drawing | None:
    axis = table.get("panel")
    groups: dict[str, dict[str, list[float]]] = {}
    marks: dict[str, dict[str, float]] = {}
    cells = [cell for cell in summary.cells if cell.runs]
    for cell in cells:
        group, row = _panel(cell, axis), cell.name_without(axis)
        groups.setdefault(group, {})[row] = [100 * share for share in cell.accuracies.values()] or [math.nan]
        if cell.published_accuracy is not None:
            marks.setdefault(group, {})[row] = 100 * cell.published_accuracy
    if not any(cell.accuracies for cell in cells):
        return None
    published = " The open diamond is the published figure." if marks else ""
    return Drawing(
        name,
        f"Test accuracy of every seed, with mean and standard deviation.{published}{_without_failures(cells)}",
        f"Test accuracy of each cell: {_accuracies(cells)}",
        lambda: plots.dots_figure(
            groups[""] if axis is None else groups,
            marks=(marks.get("") if axis is None else marks) or None,
            mark_label="published",
            xlabel="test accuracy in %",
            title=table.get("title", ""),
        ),
    )


def _rates(summary: Summary, table: Mapping[str, Any], name: str) -> Drawing | None:
    found = {
        cell.name: search for cell, search in zip(summary.cells, summary.searches, strict=True) if search is not None
    }
    if not found:
        return None
    tuning = summary.study.tuning
    refined = " Rates midway between the best and its neighbours came last." if tuning and tuning.refine else ""
    chosen = [f"{key} {number(search.chosen)}" for key, search in found.items() if search.chosen is not None]
    return Drawing(
        name,
        "Accuracy on the validation samples at each learning rate that was tried, with other seeds than the final "
        f"runs. The chosen rate has a ring.{refined}",
        f"How the validation accuracy depends on the learning rate. Chosen rates: {', '.join(chosen) or 'none yet'}.",
        lambda: plots.rates_figure(
            {key: (search.rates, 100 * search.accuracies, search.chosen) for key, search in found.items()},
            title=table.get("title", ""),
        ),
    )


def _pairs(summary: Summary, table: Mapping[str, Any], name: str) -> Drawing | None:
    places = summary.ranked
    if len(places) < 2:
        return None
    k = len(places)
    differences, real = np.full((k, k), np.nan), np.zeros((k, k), bool)
    for a, i in enumerate(places):
        for b, j in enumerate(places):
            if i != j and (one := summary.pair(i, j)).difference is not None:
                differences[a, b], real[a, b] = 100 * one.difference, one.real
    first = summary.cells[places[0]].name
    largest = f"{np.nanmax(differences):.2f}" if np.isfinite(differences).any() else "no"
    return Drawing(
        name,
        "Mean difference of the test accuracy on the same seeds, row minus column, in points, best first. Framed: "
        f"real, by Student's t, p < 0.05 after Holm's correction over all {counted(k * (k - 1) // 2, 'pair')}. "
        "Tables and sentences that compare with one cell alone correct for fewer, so that their verdicts can differ.",
        f"{int(real.sum()) // 2} of {counted(k * (k - 1) // 2, 'pair')} differ by a real difference, by {largest} "
        f"points at most. Best is {first}.",
        lambda: plots.pairs_figure(
            [summary.cells[i].name for i in places], differences, real, title=table.get("title", "")
        ),
    )


def _heatmap(summary: Summary, table: Mapping[str, Any], name: str) -> Drawing | None:
    x, y, axis = table["x"], table["y"], table.get("panel")
    columns, rows = ([label(value) for value in summary.values(one)] for one in (x, y))
    found: dict[str, dict[tuple[str, str], list[float]]] = {}
    cells = [cell for cell in summary.cells if cell.mean is not None]
    for cell in cells:
        place = label(cell.cell.label[y]), label(cell.cell.label[x])
        found.setdefault(_panel(cell, axis), {}).setdefault(place, []).append(100 * (cell.mean or 0.0))
    if not found:
        return None
    panels = {
        panel: (rows, columns, np.array([[_mean(values.get((row, column))) for column in columns] for row in rows]))
        for panel, values in found.items()
    }
    failed = sum(len(cell.failures) for cell in summary.cells)
    without = f", without the {counted(failed, 'run')} that did not finish" if failed else ""
    empty = " Empty: no run finished." if any(np.isnan(values).any() for *_, values in panels.values()) else ""
    return Drawing(
        name,
        f"Mean test accuracy in percent{without}.{empty}",
        f"Mean test accuracy by {spoken(x)} and {spoken(y)}: {_accuracies(cells)}",
        lambda: plots.heatmap_figure(
            panels,
            title=table.get("title", ""),
            label="test accuracy in %",
            xlabel=spoken(x),
            ylabel=spoken(y),
        ),
    )


def _mean(values: Sequence[float] | None) -> float:
    return math.nan if not values else math.fsum(values) / len(values)


def _signals(summary: Summary, table: Mapping[str, Any], name: str) -> Drawing | None:
    axis, line, quantity = table.get("panel"), table["line"], table["quantity"]
    order = {value: i for i, value in enumerate(map(label, summary.values(line)))}
    cells = sorted(_chosen(summary, table), key=lambda cell: order[label(cell.cell.label[line])])
    what, when, meaning = SIGNALS[quantity]
    logarithmic = quantity == "gradient_rms"
    panels: dict[str, dict[str, NDArray[np.float64]]] = {}
    told = []
    for cell in cells:
        values = cell.signals(quantity, when)  # (S, L)
        if not values.size:
            continue
        middle = _geometric_mean(values) if logarithmic else _mean_rows(values)
        if not np.isfinite(middle[[0, -1]]).all():
            continue
        panels.setdefault(_panel(cell, axis), {})[_line(cell, line, axis, *table.get("where", {}))] = middle
        told.append((float(middle[0]), float(middle[-1]), cell.name))
    if not panels:
        return None
    told.sort(key=lambda one: one[0])
    few = [*told[:3], *told[-3:]] if len(told) > 6 else told
    texts = [
        f"{where} {times(first)} in the first hidden layer, {times(last)} in the last" for first, last, where in few
    ]
    moment = "before the first step" if when == "begin" else "after the last step"
    every = np.concatenate([values for lines in panels.values() for values in lines.values()])
    every = every[np.isfinite(every) & (every > 0)]
    return Drawing(
        name,
        f"{heading(what)}, layer by layer, {moment}{_where(table)}; "
        f"{'geometric mean' if logarithmic else 'mean'} over the seeds.{meaning and ' ' + meaning}"
        f"{_without_failures(cells) if when == 'end' else ''}",
        f"{heading(what)}, {moment}: {'; '.join(texts)}.",
        lambda: plots.layers_figure(
            panels,
            ylabel=what,
            title=table.get("title", ""),
            logy=bool(every.size) and float(every.max()) > WIDE * float(every.min()) and quantity != "dead",
        ),
    )


def _without_failures(cells: Iterable[CellSummary]) -> str:
    names = [
        f"{cell.name} ({len(cell.failures)} of {counted(len(cell.runs), 'run')})" for cell in cells if cell.failures
    ]
    return f" Without runs that did not finish: {listed(names, NAMED)}." if names else ""


def _geometric_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the geometric mean over the seeds (L,), 0 where any of them is."""
    logarithms = np.log(np.where(values > 0, values, np.nan))
    return np.where((values == 0).any(axis=0), 0.0, np.exp(_mean_rows(logarithms)))


def _against(summary: Summary, table: Mapping[str, Any], name: str) -> Drawing | None:
    x = table["x"]
    lines: dict[str, tuple[list[float | str], list[float], list[float]]] = {}

    def add(line: str, cell: CellSummary, figures: tuple[float | None, float | None]) -> None:
        if figures[0] is not None:
            xs, means, deviations = lines.setdefault(line, ([], [], []))
            xs.append(_along(cell.cell.label[x]))
            means.append(100 * figures[0])
            deviations.append(math.nan if figures[1] is None else 100 * figures[1])

    some = []
    for cell in summary.cells:
        line = _line(cell, table.get("line"), x)
        add(line or ("test, at the end" if summary.early else "test"), cell, (cell.mean, cell.deviation))
        for place in summary.early:
            reach, when = cell.accuracy_at(place.column, place.limit), f"{place.name[0].lower()}{place.name[1:]}"
            measured = f"{'validation' if cell.validated else 'training'}, {when}"
            add(f"{line}, {measured}" if line else measured, cell, (reach.mean, reach.deviation))
            some += [f"{cell.name} {when}{reach.some}"] if reach.some else []
        some += [f"{cell.name} at the end ({len(cell.finished)} of {len(cell.runs)})"] if cell.failures else []
    if not lines:
        return None
    said = spoken(x)
    fewer = f" Not of all runs: {listed(some, NAMED)}." if some else ""
    texts = [
        f"{line}: {', '.join(f'{label(at)} {mean:.2f} %' for at, mean in zip(xs, means, strict=True))}"
        for line, (xs, means, _) in lines.items()
    ]
    return Drawing(
        name,
        f"Accuracy over the {said}: mean and standard deviation over the seeds.{fewer}",
        f"Accuracy over the {said}. {'; '.join(texts)}.",
        lambda: plots.against_figure(lines, xlabel=said, ylabel="accuracy in %", title=table.get("title", "")),
    )


def _along(value: Any) -> float | str:
    """Return a number as it is, and anything else as a word."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else label(value)


def _speed(summary: Summary, table: Mapping[str, Any], name: str) -> Drawing | None:
    rows: dict[str, dict[str, float | None]] = {}
    told = []
    for cell in [cell for cell in summary.cells if cell.runs]:
        reaches = {f"{100 * target:g} %": cell.time_to(target) for target in TARGETS}
        whole = {goal: reach.mean if reach.always else None for goal, reach in reaches.items()}
        rows[cell.name] = whole
        there = [f"{goal} after {seconds(time)}" for goal, time in whole.items() if time is not None]
        told.append(f"{cell.name} {there[-1] if there else 'none'}")
    if not any(time is not None for row in rows.values() for time in row.values()):
        return None
    return Drawing(
        name,
        "Mean seconds in training steps until an accuracy was reached, at the end of the first epoch that was so "
        f"accurate on {summary.measured_on}; only where every seed got there.",
        f"Time to an accuracy; of each the highest that every seed reaches: {', '.join(told)}.",
        lambda: plots.speed_figure(rows, table.get("title", "")),
    )


_KINDS: dict[str, Callable[[Summary, Mapping[str, Any], str], Drawing | None]] = {
    "curves": _curves,
    "accuracy": _accuracy,
    "learning-rates": _rates,
    "pairs": _pairs,
    "heatmap": _heatmap,
    "signals": _signals,
    "against": _against,
    "speed": _speed,
}
