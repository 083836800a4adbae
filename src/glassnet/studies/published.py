"""What a study says about published figures and the rule of 2019: which were reached, and what the shortcut costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from glassnet.studies.cells import CellSummary, accuracy_after_epochs
from glassnet.studies.evidence import Paired
from glassnet.studies.summary import Summary
from glassnet.studies.wording import (
    NAMED,
    counted,
    duration,
    interval,
    listed,
    named,
    percent,
    points,
    seconds,
    times,
)

NEAR = 0.003
"""How far below a published accuracy a mean may lie to count as reaching it, as a share."""


def reaches(cell: CellSummary) -> bool:
    """Return whether all runs of a cell finished, with a mean that reaches the published accuracy or comes near it."""
    return cell.whole and cell.gap is not None and cell.gap >= -NEAR - 1e-9


def judged(summary: Summary) -> list[CellSummary]:
    """Return the cells that have a published accuracy: of those with the rule of 2019 if there are any."""
    cells = [cell for cell in summary.cells if cell.published_accuracy is not None]
    return [cell for cell in cells if cell.cell.rule == "2019"] or cells


def short(summary: Summary) -> list[CellSummary]:
    """Return those of `judged` whose runs all finished, and did not reach the published accuracy; the worst first."""
    found = [cell for cell in judged(summary) if cell.whole and cell.gap is not None and not reaches(cell)]
    return sorted(found, key=lambda cell: cell.gap or 0.0)


def late_slope(history: Mapping[str, Any]) -> float | None:
    """Return how fast the accuracy rose over the last tenth of the epochs.

    The slope of the least-squares line through the last ceil(E / 10) of E epochs, but at least two; of the accuracy on
    validation samples or, if there are none, as met in training.

    Returns
    -------
    float or None
        Share per 100 epochs; None with fewer than two epochs.

    Examples
    --------
    >>> round(late_slope({"epoch": [1, 2, 3], "train_accuracy": [0.1, 0.90, 0.91]}), 6)
    1.0
    """
    accuracies = np.array(accuracy_after_epochs(history))
    some = max(2, math.ceil(len(accuracies) / 10))
    y, x = accuracies[-some:], np.array(history["epoch"][-some:], float)
    if len(y) < 2 or not np.isfinite(y).all():
        return None
    x = x - x.mean()
    return float(100 * (x @ y) / (x @ x))


def published(summary: Summary, table: Mapping[str, Any]) -> list[str]:
    """Say in how many settings the published accuracy is reached, which fall short of it, and how long it takes."""
    cells = judged(summary)
    if not summary.found:
        return []
    with_rule = bool(cells) and cells[0].cell.rule == "2019"
    without = "rule" if with_rule else None
    said = []
    if cells:
        rule = " with the rule of 2019" if with_rule else ""
        said.append(
            f"In {sum(map(reaches, cells))} of {counted(len(cells), 'setting')}{rule} the mean test accuracy reaches "
            f"the published one, to within {points(NEAR, sign=False)} points or better."
        )
    below = [
        f"{cell.name_without(without)} ({cell.figure} against {percent(cell.published_accuracy)}, "
        f"{points(cell.gap)} points)"
        for cell in short(summary)
    ]
    if below:
        said.append(f"Short of it {'falls' if len(below) == 1 else 'fall'} {listed(below)}.")
    failed = [
        f"{cell.name_without(without)} ({len(cell.finished)} of {len(cell.runs)}"
        + (f", {points(cell.gap)} points)" if cell.gap is not None else ")")
        for cell in cells
        if cell.failures
    ]
    if failed:
        said.append(f"Not counted as reaching it, for not every run finished: {listed(failed)}.")
    none = [cell.name_without(without) for cell in cells if not cell.failures and cell.gap is None]
    if none:
        said.append(f"There is no figure yet of {listed(none)}.")
    return said + _published_times(summary)


def _published_times(summary: Summary) -> list[str]:
    cells = [cell for cell in summary.cells if cell.published.get("seconds")]
    cells = [cell for cell in cells if cell.cell.rule == "2019"] or cells
    both = [(cell.seconds[0], cell.published["seconds"]) for cell in cells if cell.seconds[0]]
    if not both:
        return []
    here, there = (math.fsum(side) for side in zip(*both, strict=True))
    return [
        f"One run of each setting with a published time ({len(both)} of {len(cells)}) trains for {seconds(here)} here; "
        f"the published times, of another machine, add up to {seconds(there)}, {times(there / here)} times as long."
    ]


def rule(summary: Summary, table: Mapping[str, Any]) -> list[str]:
    """Say what the rule of 2019 costs or gains against the true gradient, on the same seeds, and how long both take."""
    every = [(i, j, one) for (i, j), one in zip(summary.rule_pairs, summary.compare(summary.rule_pairs), strict=True)]
    pairs = [(i, j, one) for i, j, one in every if one.difference is not None]
    if not summary.found or not every:
        return []
    axis = next((name for name in ("regime", "batch", "batch_size") if name in summary.study.axes), None)
    regimes: dict[str, list[tuple[int, Paired]]] = {}
    for i, _, one in pairs:
        name = "over all settings" if axis is None else named(axis, summary.cells[i].cell.label[axis])
        regimes.setdefault(name, []).append((i, one))
    costs, gains = (sum(one.real and sign * (one.difference or 0.0) > 0 for _, _, one in pairs) for sign in (-1, 1))
    rest = len(pairs) - costs - gains
    others = "the other" if rest == 1 else f"the other {rest}"
    other = f"; in {others} no difference can be told from chance" if rest else ""
    said = []
    if pairs:
        said.append(
            f"Against the true gradient, on the same seeds, the rule of 2019 costs accuracy in {costs} and gains it in "
            f"{gains} of {counted(len(pairs), 'setting')}{other}."
        )
    apart = [summary.cells[i].name_without("rule") for i, _, one in every if one.difference is None]
    if apart:
        could = f"{len(apart)} of {counted(len(every), 'setting')} could not be compared"
        said.append(f"{could}, for no seed finished with both: {listed(apart, NAMED)}.")
    said += [_regime(summary, axis, name, found) for name, found in regimes.items()]
    return said + _cost(summary)


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


def _cost(summary: Summary) -> list[str]:
    pairs = [(summary.cells[i].wall_seconds, summary.cells[j].wall_seconds) for i, j in summary.rule_pairs]
    both = [(then, now) for then, now in pairs if then is not None and now is not None]
    if not both:
        return []
    then, now = (math.fsum(side) for side in zip(*both, strict=True))
    settings = counted(len(pairs), "setting")
    every = "the setting" if len(pairs) == 1 else f"all {settings}"
    which = every if len(both) == len(pairs) else f"{len(both)} of {settings}"
    return [
        f"One seed of {which} takes {duration(then)} of one core with the rule of 2019 and {duration(now)} with the "
        f"gradient, with loading and evaluation."
    ]
