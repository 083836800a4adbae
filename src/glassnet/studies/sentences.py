"""The answer of a study in sentences, drawn from its statistics; nothing is said that they do not carry."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.studies.cells import TARGETS, CellSummary, Reach
from glassnet.studies.evidence import LEVEL, Paired, mean_of, paired
from glassnet.studies.summary import Search, Summary, matches
from glassnet.studies.wording import (
    counted,
    interval,
    label,
    listed,
    named,
    number,
    percent,
    points,
    probability,
    seconds,
    times,
)

NEAR = 0.003
"""How far below a published accuracy a mean may lie to count as reaching it, as a share."""

FORGIVEN = 0.01
"""How far below its best the validation accuracy may fall where a learning rate still counts as good, as a share."""

FEW = 5
"""Seeds below which a test has so little to go by that a report says so."""

NAMED = 5
"""How many cells a sentence names before it counts the others."""


def answers(summary: Summary) -> list[str]:
    """Return what the study's ``[report] answers`` ask for, in their order, as plain sentences.

    Parameters
    ----------
    summary : the statistics

    Returns
    -------
    list of str
        A paragraph each; none for a question on which there are no figures. No sentence comes twice.
    """
    said: dict[str, None] = {}
    found = []
    for table in summary.study.answers:
        sentences = [text for text in _KINDS[table["kind"]](summary, table) if text not in said]
        said |= dict.fromkeys(sentences)
        found += [" ".join(sentences)] if sentences else []
    return found


def figure_of(cell: CellSummary) -> str:
    """Return a cell's test accuracy with its spread.

    A cell that has failed runs says so: its mean is that of the others.
    """
    text = percent(cell.mean, cell.deviation)
    return (
        text
        if cell.whole or not cell.runs
        else f"{text} in the {len(cell.finished)} of {len(cell.runs)} runs that finished"
    )


def _best(summary: Summary, table: Mapping[str, Any]) -> list[str]:
    best, worst = summary.best, summary.worst
    if best is None or worst is None:
        return _failed(summary)
    first = summary.cells[best]
    said = [f"Best is {first.name}: {_on_tests(first)}."]
    if len(summary.ranked) > 1:
        said += _equals(summary, best)
    if worst != best:
        last = summary.cells[worst]
        said.append(f"Worst is {last.name} with {figure_of(last)}: {_below(summary.against(best)[worst].turned)}.")
    above = [i for i in summary.ranked if (summary.cells[i].mean or 0.0) > (first.mean or 0.0)]
    if above:
        names = listed([f"{summary.cells[i].name} ({figure_of(summary.cells[i])})" for i in above], NAMED)
        said.append(f"Higher, but not in every run, came {names}.")
    return said + _failed(summary)


def _on_tests(cell: CellSummary) -> str:
    how = f"mean and standard deviation of {counted(len(cell.accuracies), 'seed')}"
    how = "one seed, so nothing is known of the spread" if cell.deviation is None else how
    return f"{figure_of(cell)} of the test samples are read right ({how})"


def _equals(summary: Summary, best: int) -> list[str]:
    if all(one.p is None for one in summary.against(best).values()):
        return ["Without the spread of several seeds, no difference can be told from chance."]
    same = [summary.cells[i] for i in summary.equals(best)]
    if not same:
        return ["Every other falls short of it by a real difference (paired by seed, corrected p < 0.05)."]
    names = listed([f"{cell.name} ({percent(cell.mean, cell.deviation)})" for cell in same], NAMED)
    everything = " any of the others:" if 1 < len(same) == len(summary.ranked) - 1 else ""
    said = [f"It can not be told apart from{everything} {names}."]
    if len(same) > NAMED and summary.study.seeds < FEW:
        seeds, settings = counted(summary.study.seeds, "seed"), counted(len(summary.ranked), "setting")
        said.append(f"With {seeds} and {settings}, only differences show that are large against their spread.")
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
            if sum(cell.count(outcome) for cell in cells) == 1:
                words = words.replace("were", "was").replace("their", "its").replace("they", "it")
            said.append(f"Of {counted(summary.found, 'run')}, {summary.outcome(outcome)} {words}: {names}.")
    return said


def _published(summary: Summary, table: Mapping[str, Any]) -> list[str]:
    cells = [cell for cell in summary.cells if cell.published and cell.cell.rule == "2019"]
    with_rule = bool(cells)
    cells = cells or [cell for cell in summary.cells if cell.published]
    judged = [(cell, cell.gap) for cell in cells if cell.gap is not None]
    said = []
    if judged:
        short = sorted(((gap, cell) for cell, gap in judged if gap < -NEAR), key=lambda one: one[0])
        without = "rule" if with_rule else None
        rule = " with the rule of 2019" if with_rule else ""
        said.append(
            f"In {len(judged) - len(short)} of {counted(len(judged), 'setting')}{rule} the mean test accuracy reaches "
            f"the published one, to within {points(NEAR, sign=False)} points or better."
        )
        if short:
            names = [
                f"{cell.name_without(without)} ({_against_published(cell)}, {points(gap)} points)"
                for gap, cell in short
            ]
            said.append(f"Short of it {'falls' if len(short) == 1 else 'fall'} {listed(names)}.")
    timed = [(cell.seconds[0], cell.published["seconds"]) for cell in cells if cell.published.get("seconds")]
    both = [(here, there) for here, there in timed if here is not None]
    if both:
        here, there = (math.fsum(side) for side in zip(*both, strict=True))
        said.append(
            f"One run of each of the {counted(len(both), 'setting')} with a published time trains for {seconds(here)} "
            f"here; the published times, of another machine, add up to {seconds(there)}, {times(there / here)} times "
            f"as long."
        )
    return said


def _against_published(cell: CellSummary) -> str:
    return f"{figure_of(cell)} against {percent(cell.published_accuracy)}"


def _rule(summary: Summary, table: Mapping[str, Any]) -> list[str]:
    pairs = [(i, j, one) for (i, j), one in zip(summary.rule_pairs, summary.compare(summary.rule_pairs), strict=True)]
    pairs = [(i, j, one) for i, j, one in pairs if one.difference is not None]
    if not pairs:
        return []
    axis = next((name for name in ("regime", "batch", "batch_size") if name in summary.study.axes), None)
    regimes: dict[str, list[tuple[int, Paired]]] = {}
    for i, _, one in pairs:
        name = "over all settings" if axis is None else named(axis, summary.cells[i].cell.label[axis])
        regimes.setdefault(name, []).append((i, one))
    costs, gains = (sum(one.real and sign * (one.difference or 0.0) > 0 for _, _, one in pairs) for sign in (-1, 1))
    rest = len(pairs) - costs - gains
    other = f"; in the other {rest} no difference can be told from chance" if rest else ""
    said = [
        f"Against the true gradient, on the same seeds, the rule of 2019 costs accuracy in {costs} and gains it in "
        f"{gains} of {counted(len(pairs), 'setting')}{other}."
    ]
    return said + [_regime(summary, axis, name, found) for name, found in regimes.items()]


def _regime(summary: Summary, axis: str | None, name: str, found: Sequence[tuple[int, Paired]]) -> str:
    def told(place: int, one: Paired) -> str:
        text = f"with {summary.cells[place].name_without('rule', axis)}, {points(one.difference, sign=False)} points"
        return text if one.interval is None else f"{text} (95 % interval {interval(one.interval)})"

    real = [(place, one) for place, one in found if one.real]
    costs = [(place, one) for place, one in real if (one.difference or 0.0) < 0]
    gains = [(place, one) for place, one in real if (one.difference or 0.0) > 0]
    parts = []
    if costs:
        parts.append(f"costs most {told(*min(costs, key=lambda two: two[1].difference or 0.0))}")
    if gains:
        parts.append(f"gains most {told(*max(gains, key=lambda two: two[1].difference or 0.0))}")
    said = f"the rule of 2019 {' and '.join(parts)}" if parts else "no difference can be told from chance"
    return f"{name[:1].upper()}{name[1:]}: {said}."


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
    name = axis.replace("_", " ")

    def told(low: CellSummary, high: CellSummary) -> str:
        return f"from {figure_of(low)} with {low.name} to {figure_of(high)} with {high.name}"

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

    Returns
    -------
    tuple or None
        The factors, and True if the range reaches the end of the grid, so that it may be wider; None if no rate went
        through with all its runs.
    """
    means = np.where(np.isfinite(search.means), search.means, -np.inf)
    peak = int(means.argmax())
    if not np.isfinite(means[peak]):
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
        ratios = []
        for cell in cells:
            rms = cell.signals("gradient_rms")  # (S, L)
            if rms.shape[1] > 1:
                ratios += [first / last for first, last in rms[:, [0, -1]] if first > 0 and last > 0]
        if ratios:
            middle = math.exp(math.fsum(map(math.log, ratios)) / len(ratios))
            ends = times(min(ratios)), times(max(ratios))
            spread = f" ({ends[0]} to {ends[1]})" if ends[0] != ends[1] else ""
            told.append((middle, f"{times(middle)} with {label(value)}{spread}"))
    if not told:
        return []
    told.sort()
    also = listed([f"{name.replace('_', ' ')} {label(value)}" for name, value in where.items()])
    return [
        f"Before the first step{f', at {also},' if also else ''} the gradient that reaches the first hidden layer, "
        f"divided by that at the last, is {listed([text for _, text in told])} (geometric mean and range over the "
        f"runs; 1 means that nothing is lost on the way)."
    ]


def _speed(summary: Summary, table: Mapping[str, Any]) -> list[str]:
    times_to = {target: [cell.time_to(target) for cell in summary.cells] for target in TARGETS}
    reached = [target for target in TARGETS if any(reach.reached for reach in times_to[target])]
    if not reached:
        return [f"No run reaches {100 * TARGETS[0]:g} %."] if summary.found else []
    target = TARGETS[2] if TARGETS[2] in reached else reached[-1]
    there = [(reach, cell) for reach, cell in zip(times_to[target], summary.cells, strict=True) if reach.reached]
    always = sorted(
        ((reach, cell) for reach, cell in there if reach.reached == reach.runs), key=lambda one: one[0].mean or 0.0
    )
    goal = f"{100 * target:g} %"
    said = []
    if always:
        (first, cell), *rest = always
        said.append(f"The first to reach {goal} with every seed {_took(first, cell)}{_next(cell, rest, target)}.")
    else:
        names = [f"{cell.name} ({reach.reached} of {counted(reach.runs, 'run')})" for reach, cell in there]
        said.append(f"No setting reaches {goal} with every seed; some runs do of {listed(names, NAMED)}.")
    never = [cell.name for cell, reach in zip(summary.cells, times_to[target], strict=True) if not reach.reached]
    if never:
        said.append(
            f"{len(never)} of {counted(len(summary.cells), 'setting')} never get there: {listed(never, NAMED)}."
        )
    how = mean_of(reach.runs for reach, _ in there) or 0.0
    said.append(
        f"The times are seconds in training steps at the end of the first epoch that is so accurate"
        f"{', mean and standard deviation over the seeds' if how > 1 else ''}."
    )
    return said


def _next(first: CellSummary, rest: Sequence[tuple[Reach, CellSummary]], target: float) -> str:
    """Say who comes second, and whether that is certain."""
    if not rest:
        return ""
    reach, cell = rest[0]
    one = paired(first.times_to(target), cell.times_to(target))
    sure = "" if one.p is not None and one.p < LEVEL else ": too close to tell the two apart"
    return f"; next {_took(reach, cell)}{sure}"


def _took(reach: Reach, cell: CellSummary) -> str:
    return f"is {cell.name}, after {seconds(reach.mean, reach.deviation)}"


_KINDS: dict[str, Callable[[Summary, Mapping[str, Any]], list[str]]] = {
    "best": _best,
    "published": _published,
    "rule": _rule,
    "pair": _pair,
    "spread": _spread,
    "sensitivity": _sensitivity,
    "vanishing": _vanishing,
    "speed": _speed,
}
