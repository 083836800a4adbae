"""The answer of a study in sentences, drawn from its statistics; nothing is said that they do not carry."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.studies.cells import CellSummary
from glassnet.studies.evidence import Paired
from glassnet.studies.pace import early, speed
from glassnet.studies.published import published, rule
from glassnet.studies.summary import Search, Summary, matches
from glassnet.studies.wording import (
    NAMED,
    counted,
    interval,
    label,
    listed,
    named,
    number,
    points,
    probability,
    spoken,
    times,
)

FORGIVEN = 0.01
"""How far below its best the validation accuracy may fall where a learning rate still counts as good, as a share."""

FEW = 5
"""Seeds below which a test has so little to go by that a report says so."""


def answers(summary: Summary) -> list[str]:
    """Return what the study's ``[report] answers`` ask for, in their order, as plain sentences.

    Parameters
    ----------
    summary : the statistics

    Returns
    -------
    list of str
        A paragraph each; none for a question on which there are no figures. No sentence comes twice. The last says
        which runs failed, if any did, whatever the study asks for.
    """
    said: dict[str, None] = {}
    found = []
    for table in summary.study.answers:
        sentences = [text for text in _KINDS[table["kind"]](summary, table) if text not in said]
        said |= dict.fromkeys(sentences)
        found += [" ".join(sentences)] if sentences else []
    return found + ([" ".join(failed)] if (failed := _failed(summary)) else [])


def _best(summary: Summary, table: Mapping[str, Any]) -> list[str]:
    best, worst = summary.best, summary.worst
    if best is None or worst is None:
        return []
    first = summary.cells[best]
    said = [f"Best is {first.name}: {_on_tests(first)}."]
    if len(summary.ranked) > 1:
        said += _others(summary, best)
    if worst != best:
        last = summary.cells[worst]
        said.append(f"Worst is {last.name} with {last.figure}: {_below(summary.against(best)[worst].turned)}.")
    above = [i for i in summary.ranked if (summary.cells[i].mean or 0.0) > (first.mean or 0.0)]
    if above:
        names = listed([f"{summary.cells[i].name} ({summary.cells[i].figure})" for i in above], NAMED)
        said.append(f"Higher, but not in every run, came {names}.")
    return said


def _on_tests(cell: CellSummary) -> str:
    how = f"mean and standard deviation of {counted(len(cell.accuracies), 'seed')}"
    how = "one seed, so nothing is known of the spread" if cell.deviation is None else how
    return f"{cell.figure} of the test samples are read right ({how})"


def _others(summary: Summary, best: int) -> list[str]:
    """Say which of the other cells the best can be told apart from, and what there is to say about the rest."""
    against = summary.against(best)
    if all(len(cell.accuracies) < 2 for cell in summary.cells):
        return ["Without the spread of several seeds, no difference can be told from chance."]
    said = []
    same = [summary.cells[i] for i in summary.equals(best)]
    if same:
        names = listed([f"{cell.name} ({cell.figure})" for cell in same], NAMED)
        everything = " any of the others:" if 1 < len(same) == len(against) else ""
        said.append(f"It can not be told apart from{everything} {names}.")
    if same and summary.study.seeds < FEW:
        seeds, settings = counted(summary.study.seeds, "seed"), counted(len(summary.ranked), "setting")
        said.append(f"With {seeds} and {settings}, only differences show that are large against their spread.")
    alike = [i for i, one in against.items() if one.count > 1 and one.p is None]
    if alike:
        gaps = [f"{summary.cells[i].name} ({points(against[i].difference)} points)" for i in alike]
        said.append(
            f"The difference is the same with every seed, so that there is no spread to judge it by, for "
            f"{listed(gaps, NAMED)}."
        )
    apart = [summary.cells[i].name for i, one in against.items() if one.count < 2]
    if apart:
        said.append(f"There are too few runs with the same seeds to compare it with {listed(apart, NAMED)}.")
    below = sum(one.real and (one.difference or 0.0) < 0 for one in against.values())
    if below:
        every = "Every other" if all(cell.mean is not None for cell in summary.cells) else "Every other with a result"
        rest = every if below == len(against) else "The other" if below == 1 else f"The other {below}"
        falls = "falls" if below in (1, len(against)) else "fall"
        said.append(
            f"{rest} {falls} short of it by a real difference (paired by seed, p < 0.05 after Bonferroni's correction)."
        )
    missing = [cell.name for cell in summary.cells if not cell.runs]
    if missing:
        said.append(f"There is no run yet with {listed(missing, NAMED)}.")
    return said


def _below(pair: Paired) -> str:
    if pair.difference is None:
        return "the two have no seed in common"
    text = f"{points(pair.difference, sign=False)} points below"
    if pair.interval is None:
        return text
    ends = f"{points(pair.interval[0], sign=False)} to {points(pair.interval[1], sign=False)}"
    if not pair.real:
        return f"{text}, which chance alone might do"
    return f"{text} (95 % interval {ends})"


def _failed(summary: Summary) -> list[str]:
    said = []
    for outcome, words in (("diverged", "diverged"), ("lost", "were lost, for their process ended before they did")):
        cells = [cell for cell in summary.cells if cell.count(outcome)]
        if cells:
            names = listed([f"{cell.count(outcome)} of {len(cell.runs)} with {cell.name}" for cell in cells], NAMED)
            if summary.outcome(outcome) == 1:
                words = words.replace("were", "was").replace("their", "its").replace("they", "it")
            said.append(f"Of {counted(summary.found, 'run')}, {summary.outcome(outcome)} {words}: {names}.")
    return said


def _pair(summary: Summary, table: Mapping[str, Any]) -> list[str]:
    first, second = table["of"]
    one, runs = summary.between(table["axis"], first, second)
    a, b, d = named(table["axis"], first), named(table["axis"], second), one.difference
    if d is None:
        return []
    if one.interval is None:
        return [f"{a} differs from {b} by {points(d)} points, in {counted(runs, 'pair')} of runs: too few to judge."]
    many = counted(one.count, "seed") + ("" if runs == one.count else f", {counted(runs, 'pair')} of runs")
    how = f"95 % interval {interval(one.interval)}; {many}"
    if not one.real:
        return [f"{a} and {b} can not be told apart: the mean difference is {points(d)} points ({how})."]
    better, worse, one = (a, b, one) if d > 0 else (b, a, one.turned)
    how = f"95 % interval {interval(one.interval)}; {many}"
    p = probability(one.p)
    return [
        f"{better} is {points(one.difference, sign=False)} points more accurate than {worse} on the same seeds "
        f"({how}; p {p if p.startswith('<') else '= ' + p})."
    ]


def _spread(summary: Summary, table: Mapping[str, Any]) -> list[str]:
    axis = table["axis"]
    found = []
    for group in summary.settings(axis):
        cells = [summary.cells[i] for i in group.values() if summary.cells[i].mean is not None]
        if len(cells) > 1:
            low, high = (choose(cells, key=lambda cell: cell.mean or 0.0) for choose in (min, max))
            found.append(((high.mean or 0.0) - (low.mean or 0.0), low, high))
    if not found:
        return []
    found.sort(key=lambda one: one[0])
    name = spoken(axis)

    def told(low: CellSummary, high: CellSummary) -> str:
        return f"from {low.figure} with {low.name} to {high.figure} with {high.name}"

    gap, low, high = found[-1]
    if len(found) == 1:
        said = [
            f"The choice of the {name} moves the mean accuracy by {points(gap, sign=False)} points, {told(low, high)}."
        ]
    else:
        said = [
            f"Within one setting of the rest, the choice of the {name} moves the mean accuracy by "
            f"{points(found[0][0], sign=False)} to {points(gap, sign=False)} points "
            f"(median {points(float(np.median([one[0] for one in found])), sign=False)}): "
            f"most {told(low, high)}; least {told(*found[0][1:])}."
        ]
    spreads = [cell.deviation for cell in summary.cells if cell.deviation is not None]
    if spreads:
        said.append(
            f"The seed alone moves it by a standard deviation of {points(float(np.median(spreads)), sign=False)} "
            f"points (median over all settings)."
        )
    return said


def breadth(search: Search) -> tuple[float, bool] | None:
    """Return over how many factors of ten of the learning rate the accuracy stays near its best, and whether it ends.

        log10(highest / lowest rate), around the best one, with mean accuracy >= best - FORGIVEN

    As in the choice of the rate, a run that diverged counts as 0.

    Returns
    -------
    tuple or None
        The factors, and True if the range reaches the end of the grid, so that it may be wider; None while the search
        goes on, and if no run of it finished.
    """
    means = search.means
    peak = int(means.argmax())
    if search.chosen is None or not means[peak] > 0:
        return None
    good = means >= means[peak] - FORGIVEN
    low = peak
    while low > 0 and good[low - 1]:
        low -= 1
    high = peak
    while high < len(means) - 1 and good[high + 1]:
        high += 1
    return float(np.log10(search.rates[high] / search.rates[low])), low == 0 or high == len(means) - 1


def _sensitivity(summary: Summary, table: Mapping[str, Any]) -> list[str]:
    found = [
        (wide, cell, search)
        for cell, search in zip(summary.cells, summary.searches, strict=True)
        if search is not None and (wide := breadth(search)) is not None
    ]
    if not found:
        return []
    found.sort(key=lambda one: one[0][0])

    def told(wide: tuple[float, bool], cell: CellSummary, search: Search) -> str:
        at_least = "at least " if wide[1] else ""
        return f"{cell.name} ({at_least}{wide[0]:.1f})"

    if len(_ends(found)) == 1 and len(found) > NAMED:
        at_least = "at least " if any(wide[1] for wide, _, _ in found) else ""
        who = f"for each of the {len(found)}, {at_least}{found[0][0][0]:.1f}"
    else:
        groups = [[told(*one) for one in found if round(one[0][0], 1) == width] for width in _ends(found)]
        names = [listed(group, NAMED) for group in groups]
        who = f"the most with {names[-1]}" + (f", the fewest with {names[0]}" if len(names) > 1 else "")
    said = [
        f"The learning rates at which the mean validation accuracy stays within {100 * FORGIVEN:g} point of its best "
        f"span so many factors of ten: {who}."
    ]
    seeds = max(search.accuracies.shape[1] for _, _, search in found)
    tuning = summary.study.tuning
    grid = np.diff(np.log10(tuning.learning_rates if tuning else found[0][2].rates))
    step = f"in steps of a factor of {times(10 ** float(grid.min()))}, " if len(grid) else ""
    finer = "finer around the best, " if tuning and tuning.refine else ""
    said.append(f"That was measured {step}{finer}with {counted(seeds, 'seed')} at each rate.")
    edge = [f"{cell.name} ({number(search.chosen)})" for _, cell, search in found if search.at_edge]
    if edge:
        said.append(f"The best rate lies on the edge of what was tried for {listed(edge, NAMED)}.")
    return said


def _ends(found: Sequence[tuple[tuple[float, bool], CellSummary, Search]]) -> list[float]:
    widths = [round(one[0][0], 1) for one in found]
    return sorted({widths[0], widths[-1]})


def _vanishing(summary: Summary, table: Mapping[str, Any]) -> list[str]:
    where = table.get("where") or {}
    told = []
    for value in summary.values(table["axis"]):
        cells = [cell for cell in summary.cells if matches(cell.cell, {**where, table["axis"]: value})]
        rows = [cell.signals("gradient_rms") for cell in cells]  # (S, L) each
        ends = [(first, last) for rms in rows if rms.shape[1] > 1 for first, last in rms[:, [0, -1]]]
        if ends:
            told.append(_ratio(label(value), ends))
    if not told:
        return []
    told.sort()
    also = listed([f"{spoken(name)} {label(value)}" for name, value in where.items()])
    return [
        f"Before the first step{f', at {also},' if also else ''} the gradient that reaches the first hidden layer, "
        f"divided by that at the last, is {listed([text for _, text in told])} (geometric mean and range over the "
        f"runs in which it is not 0; 1 means that nothing is lost on the way)."
    ]


def _ratio(name: str, ends: Sequence[tuple[float, float]]) -> tuple[float, str]:
    """Return the mean ratio of the gradient in the first and the last layer, to sort by, and what to say of it."""
    ratios = [first / last for first, last in ends if first > 0 and last > 0]
    none = sum(first == 0 for first, _ in ends)
    odd = len(ends) - len(ratios) - none
    notes = [f"0 in {none} of {counted(len(ends), 'run')}"] if none else []
    notes += [f"no number in {odd} of {counted(len(ends), 'run')}"] if odd else []
    if not ratios:
        return (0.0 if none else math.inf), f"{listed(notes)} with {name}"
    middle = math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
    low, high = times(min(ratios)), times(max(ratios))
    notes = ([f"{low} to {high}"] if low != high else []) + notes
    spread = f" ({'; '.join(notes)})" if notes else ""
    return (0.0 if none else middle), f"{times(middle)} with {name}{spread}"


_KINDS: dict[str, Callable[[Summary, Mapping[str, Any]], list[str]]] = {
    "best": _best,
    "early": early,
    "pair": _pair,
    "published": published,
    "rule": rule,
    "sensitivity": _sensitivity,
    "speed": speed,
    "spread": _spread,
    "vanishing": _vanishing,
}
