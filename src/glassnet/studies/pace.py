"""What a study says about the way to the end: who gets to an accuracy first, and who leads at a place before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glassnet.studies.cells import TARGETS, CellSummary, Reach
from glassnet.studies.evidence import Paired, bonferroni, corrected, paired
from glassnet.studies.summary import Place, Summary
from glassnet.studies.wording import NAMED, counted, interval, listed, percent, points, seconds


def speed(summary: Summary, table: Mapping[str, Any]) -> list[str]:
    """Say who gets to a high accuracy first; no difference of times is called certain."""
    cells = [cell for cell in summary.cells if len(cell.runs) > cell.count("lost")]
    if not summary.targets:
        return [f"No run reaches {100 * TARGETS[0]:g} % on {summary.measured_on}."] if cells else []
    target = TARGETS[2] if TARGETS[2] in summary.targets else summary.targets[-1]
    every = [(cell.time_to(target), cell) for cell in cells]
    there = [(reach, cell) for reach, cell in every if reach.reached]
    always = sorted(((reach, cell) for reach, cell in there if reach.always), key=lambda one: one[0].mean or 0.0)
    goal = f"{100 * target:g} %"
    said = []
    if always:
        (first, cell), *rest = always
        then = f"; next {_took(*rest[0])}" if rest else ""
        said.append(f"The first to reach {goal} with every seed {_took(first, cell)}{then}.")
    else:
        names = [f"{cell.name} ({reach.reached} of {counted(reach.runs, 'run')})" for reach, cell in there]
        said.append(f"No setting reaches {goal} with every seed; some runs do of {listed(names, NAMED)}.")
    never = [cell.name for reach, cell in every if not reach.reached]
    if never:
        get = "gets" if len(never) == 1 else "get"
        said.append(
            f"{len(never)} of {counted(len(cells), 'setting')} never {get} there in a run that finished: "
            f"{listed(never, NAMED)}."
        )
    spread = ", mean and standard deviation over the seeds" if any(reach.runs > 1 for reach, _ in there) else ""
    said.append(
        f"The times are seconds in training steps at the end of the first epoch that is so accurate on "
        f"{summary.measured_on}{spread}. They depend on what else the machine did: where they are close, they do not "
        f"say who is faster."
    )
    return said


def _took(reach: Reach, cell: CellSummary) -> str:
    return f"is {cell.name}, after {seconds(reach.mean, reach.deviation)}"


def early(summary: Summary, table: Mapping[str, Any]) -> list[str]:
    """Say who leads at each place before the end at which the study looks, and whether by more than chance."""
    return [text for place in summary.early for text in _at(summary, place)] if summary.found else []


def _at(summary: Summary, place: Place) -> list[str]:
    cells = [cell for cell in summary.cells if cell.runs]
    every = [(cell.accuracy_at(place.column, place.limit), cell) for cell in cells]
    there = [(reach, cell) for reach, cell in every if reach.reached]
    if not there:
        return [f"{place.name}: no run that finished has an epoch by then."]
    there.sort(key=lambda one: (not one[0].always, -(one[0].mean or 0.0)))
    (first, cell), *rest = there
    text = f"{place.name}, best on {summary.measured_on} is {cell.name} with {_figure(first)}"
    if rest:
        found = corrected([paired(first.values, reach.values) for reach, _ in rest], bonferroni)
        reach, cell = rest[0]
        text += f"; next is {cell.name} with {_figure(reach)}, {_behind(found[0])}"
    said = [f"{text}."]
    if len(rest) > 1:
        reach, cell = min(rest, key=lambda one: one[0].mean or 0.0)
        said.append(f"Worst is {cell.name} with {_figure(reach)}.")
    never = [cell.name for reach, cell in every if not reach.reached]
    if never:
        said.append(f"No epoch ended by then, in any run that finished, with {listed(never, NAMED)}.")
    over = [cell.name for cell in cells if cell.finished and _ended(cell, place)]
    if over:
        said.append(f"Already at {'its' if len(over) == 1 else 'their'} end by then: {listed(over, NAMED)}.")
    if place.timed:
        said.append("How far a run comes in that time depends on what else the machine did.")
    return said


def _figure(reach: Reach) -> str:
    return percent(reach.mean, reach.deviation) + reach.some


def _behind(one: Paired) -> str:
    """Say how far the first is before the second."""
    if one.difference is None:
        return "but the two have no seed in common"
    text = f"{points(one.difference, sign=False)} points {'behind' if one.difference >= 0 else 'ahead'}"
    if one.count < 2:
        return f"{text}, by one seed, which tells nothing of the spread"
    if one.interval is None:
        return f"{text} with every seed, so that there is no spread to judge it by"
    how = "more than chance" if one.real else "which chance alone might do"
    return f"{text}, {how} (95 % interval of the lead {interval(one.interval)})"


def _ended(cell: CellSummary, place: Place) -> bool:
    """Return whether every run had its last epoch before a place."""
    lasts: Sequence[float] = [max(run["history"][place.column], default=0.0) for run in cell.finished]
    return all(last < place.limit for last in lasts)
