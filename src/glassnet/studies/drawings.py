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
from glassnet.studies.sentences import figure_of
from glassnet.studies.study import value_name
from glassnet.studies.summary import Summary, matches
from glassnet.studies.tables import early_columns
from glassnet.studies.wording import counted, heading, listed, named, number, percent, seconds, times

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE = 30.0
"""Ratio of the largest to the smallest from which on a scale is logarithmic."""

SIGNALS = {
    "activation_deviation": ("standard deviation of the activations", "begin"),
    "activation_mean": ("mean of the activations", "begin"),
    "gradient_rms": ("gradient that reaches the layer, root mean square", "begin"),
    "dead": ("share of units that are never active", "end"),
    "saturated": ("share of units that are saturated", "end"),
}
"""What a figure of the layers can show: what its axis says, and when in the run it is taken."""


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


def _fixed(table: Mapping[str, Any]) -> list[str]:
    """Return the axes that a figure does not tell its lines apart by, for it shows one value of them."""
    return list(table.get("where") or {})


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
    texts = [f"{cell.name} {figure_of(cell)}" for cell in told]
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
            panels.setdefault(_panel(cell, axis), {})[cell.name_without(axis, *_fixed(table))] = (x, ys)
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
        f"{_left_out(cells, quantity)}",
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
    return f" Not drawn, for nothing was measured: {listed(names, 5)}." if names else ""


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
        f"Test accuracy of every seed, with mean and standard deviation.{published}",
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
    chosen = [f"{key} {number(search.chosen)}" for key, search in found.items() if search.chosen is not None]
    return Drawing(
        name,
        "Accuracy on the validation samples at each learning rate that was tried, with other seeds than the final "
        "runs. The chosen rate has a ring.",
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
        "real, by Student's t, p < 0.05 after Holm's correction over all pairs.",
        f"{int(real.sum()) // 2} of {counted(k * (k - 1) // 2, 'pair')} differ by a real difference, by {largest} "
        f"points at most. Best is {first}.",
        lambda: plots.pairs_figure(
            [summary.cells[i].name for i in places], differences, real, title=table.get("title", "")
        ),
    )


def _heatmap(summary: Summary, table: Mapping[str, Any], name: str) -> Drawing | None:
    x, y, axis = table["x"], table["y"], table.get("panel")
    columns, rows = ([value_name(value) for value in summary.values(one)] for one in (x, y))
    found: dict[str, dict[tuple[str, str], list[float]]] = {}
    cells = [cell for cell in summary.cells if cell.mean is not None]
    for cell in cells:
        place = value_name(cell.cell.label[y]), value_name(cell.cell.label[x])
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
        f"Mean test accuracy by {x.replace('_', ' ')} and {y.replace('_', ' ')}: {_accuracies(cells)}",
        lambda: plots.heatmap_figure(
            panels,
            title=table.get("title", ""),
            label="test accuracy in %",
            xlabel=x.replace("_", " "),
            ylabel=y.replace("_", " "),
        ),
    )


def _mean(values: Sequence[float] | None) -> float:
    return math.nan if not values else math.fsum(values) / len(values)


def _signals(summary: Summary, table: Mapping[str, Any], name: str) -> Drawing | None:
    axis, quantity = table.get("panel"), table["quantity"]
    label, when = SIGNALS[quantity]
    logarithmic = quantity == "gradient_rms"
    panels: dict[str, dict[str, NDArray[np.float64]]] = {}
    told = []
    for cell in _chosen(summary, table):
        values = cell.signals(quantity, when)  # (S, L)
        if not values.size:
            continue
        middle = _geometric_mean(values) if logarithmic else _mean_rows(values)
        if not np.isfinite(middle[[0, -1]]).all():
            continue
        panels.setdefault(_panel(cell, axis), {})[cell.name_without(axis, *_fixed(table))] = middle
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
        f"{heading(label)}, layer by layer, {moment}{_where(table)}; "
        f"{'geometric mean' if logarithmic else 'mean'} over the seeds.",
        f"{heading(label)}, {moment}: {'; '.join(texts)}.",
        lambda: plots.layers_figure(
            panels,
            ylabel=label,
            title=table.get("title", ""),
            logy=bool(every.size) and float(every.max()) > WIDE * float(every.min()) and quantity != "dead",
        ),
    )


def _geometric_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the geometric mean over the seeds (L,), 0 where any of them is."""
    logarithms = np.log(np.where(values > 0, values, np.nan))
    return np.where((values == 0).any(axis=0), 0.0, np.exp(_mean_rows(logarithms)))


def _against(summary: Summary, table: Mapping[str, Any], name: str) -> Drawing | None:
    x, axis = table["x"], table.get("line")
    lines: dict[str, tuple[list[Any], list[float], list[float]]] = {}

    def add(line: str, cell: CellSummary, figures: tuple[float | None, float | None]) -> None:
        if figures[0] is not None:
            xs, means, deviations = lines.setdefault(line, ([], [], []))
            xs.append(cell.cell.label[x])
            means.append(100 * figures[0])
            deviations.append(math.nan if figures[1] is None else 100 * figures[1])

    for cell in summary.cells:
        line = _panel(cell, axis) if axis else ""
        early = early_columns(summary)
        add(line or ("test, at the end" if early else "test"), cell, (cell.mean, cell.deviation))
        for when, column, limit in early:
            measured = f"validation, {when[0].lower()}{when[1:]}"
            add(f"{line}, {measured}" if line else measured, cell, cell.accuracy_at(column, limit))
    if not lines:
        return None
    said = f"{x.replace('_', ' ')}"
    texts = [
        f"{line}: {', '.join(f'{value_name(at)} {mean:.2f} %' for at, mean in zip(xs, means, strict=True))}"
        for line, (xs, means, _) in lines.items()
    ]
    return Drawing(
        name,
        f"Accuracy over the {said}: mean and standard deviation over the seeds.",
        f"Accuracy over the {said}. {'; '.join(texts)}.",
        lambda: plots.against_figure(lines, xlabel=said, ylabel="accuracy in %", title=table.get("title", "")),
    )


def _speed(summary: Summary, table: Mapping[str, Any], name: str) -> Drawing | None:
    rows: dict[str, dict[str, float | None]] = {}
    told = []
    for cell in [cell for cell in summary.cells if cell.runs]:
        reaches = {f"{100 * target:g} %": cell.time_to(target) for target in TARGETS}
        whole = {goal: reach.mean if reach.reached == reach.runs else None for goal, reach in reaches.items()}
        rows[cell.name] = whole
        there = [f"{goal} after {seconds(time)}" for goal, time in whole.items() if time is not None]
        told.append(f"{cell.name} {there[-1] if there else 'none'}")
    if not any(time is not None for row in rows.values() for time in row.values()):
        return None
    return Drawing(
        name,
        "Mean seconds in training steps until an accuracy was reached, at the end of the first epoch that was so "
        "accurate; only where every seed got there.",
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
