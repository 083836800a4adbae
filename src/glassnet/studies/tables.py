"""The tables of a report as rows of text, for the page and for Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from glassnet.studies.cells import CellSummary, Reach
from glassnet.studies.evidence import Paired, deviation_of, mean_of
from glassnet.studies.published import NEAR, late_slope, short
from glassnet.studies.sentences import FORGIVEN, breadth
from glassnet.studies.summary import Place, Search, Summary
from glassnet.studies.wording import (
    NONE,
    counted,
    duration,
    heading,
    interval,
    label,
    listed,
    number,
    percent,
    points,
    probability,
    seconds,
)

_ACCURACY, _GAIN = "Test accuracy, %", "Shortcut gains, points"

_MARKS = re.compile(r"[\\`*_\[\]<>|~&$]")
"""What Markdown might take for more than itself in a line of a table."""


@dataclass
class Table:
    """A table of texts.

    Attributes
    ----------
    caption : what it shows, and in which units
    columns : heads
    heads : how many columns, from the left, name their row
    rows : texts, one for each column
    strong : rows and columns of the texts that stand out
    left : columns after the heads that hold words, not numbers
    """

    caption: str
    columns: list[str]
    heads: int
    rows: list[list[str]] = field(default_factory=list)
    strong: set[tuple[int, int]] = field(default_factory=set)
    left: set[int] = field(default_factory=set)

    def markdown(self) -> str:
        """Return the table as GitHub's Markdown.

        Examples
        --------
        >>> print(Table("", ["Optimizer", "%"], 1, [["a|b", "98"]], {(0, 1)}).markdown(), end="")
        | Optimizer | % |
        |---|---:|
        | a\\|b | **98** |
        """
        marks = ["---" if i < self.heads or i in self.left else "---:" for i in range(len(self.columns))]
        lines = [_line(self.columns), "|" + "|".join(marks) + "|"]
        for i, row in enumerate(self.rows):
            lines.append(_line(row, {j for j in range(len(row)) if (i, j) in self.strong}))
        return "\n".join(lines) + "\n"


def _line(texts: Sequence[str], strong: Set[int] = frozenset()) -> str:
    plain = [_MARKS.sub(r"\\\g<0>", " ".join(text.split())) for text in texts]
    return "| " + " | ".join(f"**{text}**" if j in strong else text for j, text in enumerate(plain)) + " |"


def main_table(summary: Summary) -> Table:
    """Return the results, one row a cell; both rules side by side where every cell has both."""
    return _rules_table(summary) if summary.both_rules else _cells_table(summary)


def _axes(summary: Summary) -> list[str]:
    return [heading(axis) for axis in summary.study.axes] or ["Cell"]


def _names(cell: CellSummary, without: str = "") -> list[str]:
    return [label(value) for axis, value in cell.cell.label.items() if axis != without] or [cell.name]


def _seeds(cell: CellSummary) -> str:
    return str(len(cell.runs)) if not cell.failures else f"{len(cell.finished)} of {len(cell.runs)} finished"


def _cells_table(summary: Summary) -> Table:
    study = summary.study
    makers: list[tuple[str, Callable[[CellSummary], str]]] = []
    if study.tuning:
        makers.append(("Learning rate", lambda cell: number(cell.learning_rate)))
    makers.append(("Seeds", _seeds))
    makers.append((_ACCURACY, lambda cell: percent(cell.mean, cell.deviation, "")))
    if any("accuracy" in cell.published for cell in summary.cells):
        makers.append(("Published, %", lambda cell: percent(cell.published_accuracy, unit="")))
        makers.append(("Difference, points", lambda cell: points(cell.gap)))
    makers.append(("Training, s", lambda cell: seconds(*cell.seconds, unit="")))
    if any("seconds" in cell.published for cell in summary.cells):
        makers.append(("Published, s", lambda cell: seconds(cell.published.get("seconds"), unit="")))
    makers += [(f"{place.name}, %", _early(place)) for place in summary.early]
    makers += [(_to(target), _reaching(target)) for target in summary.targets]
    table = Table("", _axes(summary) + [name for name, _ in makers], max(len(study.axes), 1))
    table.rows = [_names(cell) + [make(cell) for _, make in makers] for cell in summary.cells]
    column = table.columns.index(_ACCURACY)
    best: set[int] = set() if summary.best is None else {summary.best, *summary.equals(summary.best)}
    if len(best) < len(summary.ranked) and any(cell.deviation is not None for cell in summary.cells):
        table.strong = {(i, column) for i in best}
    table.caption = _main_caption(summary, bool(table.strong))
    return table


def _early(place: Place) -> Callable[[CellSummary], str]:
    def text(cell: CellSummary) -> str:
        reach = cell.accuracy_at(place.column, place.limit)
        return percent(reach.mean, reach.deviation, "") + reach.some

    return text


def _to(target: float) -> str:
    return f"To {100 * target:g} %, s"


def _reaching(target: float) -> Callable[[CellSummary], str]:
    def text(cell: CellSummary) -> str:
        reach: Reach = cell.time_to(target)
        return seconds(reach.mean, reach.deviation, "") + reach.some

    return text


def _main_caption(summary: Summary, strong: bool) -> str:
    said = ["Mean ± standard deviation over the seeds, of the runs that finished."]
    if strong:
        said.append(
            "Bold: the best, and what can not be told apart from it (on the same seeds, Bonferroni's correction over "
            "its comparisons with all others)."
        )
    if any("accuracy" in cell.published for cell in summary.cells):
        said.append("Difference: the mean here minus the published figure.")
    if summary.targets:
        said.append(_times_caption(summary))
    if summary.early:
        said.append(
            f"After so many epochs or seconds: accuracy on {summary.measured_on}, at the last epoch that ended by "
            "then, with how many runs had one if not all did."
        )
    return " ".join(said)


def _times_caption(summary: Summary) -> str:
    return (
        f"To {100 * summary.targets[0]:g} % and so on: seconds in training steps at the end of the first epoch with "
        f"that accuracy on {summary.measured_on}, with how many runs got there if not all did."
    )


def times_table(summary: Summary) -> Table | None:
    """Return the seconds to each accuracy where the main table has none, for it has both rules; else None."""
    if not summary.both_rules or not summary.targets:
        return None
    axes = [axis for axis in summary.study.axes if axis != "rule"]
    heads = [*(heading(axis) for axis in axes or ["cell"]), "Rule"]
    table = Table("", [*heads, "Seeds", *map(_to, summary.targets)], len(heads))
    for pair in summary.rule_pairs:
        for cell in (summary.cells[i] for i in pair):
            row = [*_names(cell, "rule")[: len(heads) - 1], "2019" if cell.cell.rule == "2019" else "true gradient"]
            table.rows.append([*row, _seeds(cell), *(_reaching(target)(cell) for target in summary.targets)])
    table.caption = (
        f"Seconds to an accuracy, mean ± standard deviation over the seeds, of the runs that finished. "
        f"{_times_caption(summary)}"
    )
    return table


def short_table(summary: Summary) -> Table | None:
    """Return what there is to say about the settings that fell short of the published accuracy; None without any."""
    cells = short(summary)
    if not cells:
        return None
    with_rule = "rule" in summary.study.axes and all(cell.cell.rule == "2019" for cell in cells)
    axes = [axis for axis in summary.study.axes if axis != "rule" or not with_rule]
    heads = [heading(axis) for axis in axes] or ["Cell"]
    columns = ["Published, %", "Here, %", "Best seed, %", "To published, points", "Training accuracy at the end, %"]
    columns += ["Training loss at the end", "Last tenth, points in 100 epochs", "Still rose"]
    table = Table("", heads + columns, len(heads))
    for cell in cells:
        row = _names(cell, "rule" if with_rule else "")[: len(heads)]
        row += [percent(cell.published_accuracy, unit=""), percent(cell.mean, cell.deviation, "")]
        row += [percent(max(cell.accuracies.values()), unit=""), points(cell.gap), *_ends(cell)]
        table.rows.append(row)
    table.caption = (
        f"Short of the published accuracy by more than {points(NEAR, sign=False)} points: what the runs were like at "
        f"their end, mean ± standard deviation over the seeds{', with the rule of 2019' if with_rule else ''}. Last "
        f"tenth: the slope of a straight line through the accuracy on {summary.measured_on} over the last tenth of "
        "the epochs. Still rose: in how many runs that slope is above 0."
    )
    return table


def _ends(cell: CellSummary) -> list[str]:
    ends = [[run["history"][name][-1:] for run in cell.finished] for name in ("train_accuracy", "train_loss")]
    accuracies, losses = ([value for (value,) in filter(None, values) if value is not None] for values in ends)
    found = [late_slope(run["history"]) for run in cell.finished]
    slopes = [slope for slope in found if slope is not None]
    mean, deviation, spread = mean_of(losses), deviation_of(losses), deviation_of(slopes)
    loss = NONE if mean is None else f"{mean:.4g}" + ("" if deviation is None else f" ± {deviation:.2g}")
    slope = points(mean_of(slopes)) + ("" if spread is None else f" ± {points(spread, sign=False)}")
    rose = f"{sum(slope > 0 for slope in slopes)} of {counted(len(slopes), 'run')}" if slopes else NONE
    return [percent(mean_of(accuracies), deviation_of(accuracies), ""), loss, slope, rose]


def _rules_table(summary: Summary) -> Table:
    axes = [axis for axis in summary.study.axes if axis != "rule"]
    columns = ["Published, %", "Rule of 2019, %", "To published, points", "True gradient, %"]
    columns += [_GAIN, "Published, s", "Rule of 2019, s", "True gradient, s"]
    table = Table("", [heading(axis) for axis in axes] + columns, max(len(axes), 1))
    if not axes:
        table.columns.insert(0, "Cell")
    some_failed = any(cell.failures for cell in summary.cells)
    if some_failed:
        table.columns.insert(table.heads, "Seeds")
    pairs = summary.rule_pairs
    for (i, j), one in zip(pairs, summary.compare(pairs), strict=True):
        then, now = summary.cells[i], summary.cells[j]
        row = [*_names(then, "rule")[: table.heads], percent(then.published_accuracy, unit="")]
        row += [percent(then.mean, then.deviation, ""), points(then.gap), percent(now.mean, now.deviation, "")]
        row += [points(one.difference), seconds(then.published.get("seconds"), unit="")]
        row += [seconds(*then.seconds, unit=""), seconds(*now.seconds, unit="")]
        if some_failed:
            row.insert(table.heads, _both_seeds(then, now))
        if one.real:
            table.strong.add((len(table.rows), table.columns.index(_GAIN)))
        table.rows.append(row)
    table.caption = (
        "Test accuracy and seconds of training, mean ± standard deviation over "
        f"{counted(summary.study.seeds, 'seed')}, of the runs that finished. "
        "To published: the mean with the rule of 2019 minus the published figure. Shortcut gains: the rule of "
        "2019 minus the true gradient, on the same seeds; bold where it is real (p < 0.05 after Holm's correction over "
        f"{counted(len(pairs), 'pair')} of rules)."
    )
    return table


def _both_seeds(then: CellSummary, now: CellSummary) -> str:
    return _seeds(then) if _seeds(then) == _seeds(now) else f"{_seeds(then)}; {_seeds(now)}"


def pairs_table(summary: Summary) -> Table | None:
    """Return the comparisons on the same seeds: of the two rules, or of all cells with the baseline or the best."""
    columns = ["Difference, points", "95 % interval", "Seeds", "p", "Corrected p", "Verdict"]
    if summary.both_rules:
        axes = [heading(axis) for axis in summary.study.axes if axis != "rule"]
        table = Table("", (axes or ["Cell"]) + columns, max(len(axes), 1))
        rows = zip(summary.rule_pairs, summary.compare(summary.rule_pairs), strict=True)
        table.rows = [[*_names(summary.cells[i], "rule")[: table.heads], *_evidence(one)] for (i, _), one in rows]
        said = "The rule of 2019 minus the true gradient."
        rule = "Holm"
    else:
        place, declared = summary.baseline, summary.study.baseline is not None
        if place is None or len(summary.ranked) < 2:
            return None
        table = Table("", _axes(summary) + columns, max(len(summary.study.axes), 1))
        against = summary.against(place, declared=declared)
        table.rows = [_names(summary.cells[i]) + _evidence(one) for i, one in against.items()]
        which, rule = ("the baseline", "Holm") if declared else ("the best", "Bonferroni")
        said = f"Each minus {summary.cells[place].name}, {which}."
    table.left = {len(table.columns) - 1}
    table.caption = (
        f"{said} Mean difference of the test accuracy on the same seeds, its 95 % interval, and the two-sided p of "
        f"Student's t, corrected for {counted(len(table.rows), 'comparison')} ({rule}). Real: corrected p < 0.05."
    )
    if any(one["kind"] == "pairs" for one in summary.study.plots):
        table.caption += " The figure of all pairs corrects for more of them (Holm), so that its verdicts can differ."
    return table


def _evidence(one: Paired) -> list[str]:
    verdict = "real" if one.real else "can not be told apart" if one.p is not None else "too few seeds, or no spread"
    ends = interval(one.interval)
    return [points(one.difference), ends, str(one.count), probability(one.p), probability(one.corrected), verdict]


def search_table(summary: Summary) -> Table | None:
    """Return how the learning rates were chosen; None where none was."""
    if not any(summary.searches):
        return None
    columns = ["Chosen", "Validation accuracy there, %", "Tried from", "to", "Rates", "Added", "Runs a rate", "Failed"]
    table = Table("", [*_axes(summary), *columns, "Good over"], max(len(summary.study.axes), 1))
    for cell, search in zip(summary.cells, summary.searches, strict=True):
        table.rows.append(_names(cell) + (_searched(search) if search else [NONE] * 9))
    table.caption = (
        "The learning rate of each was the one with the best mean accuracy on the validation samples, by runs with "
        "other seeds than the final ones. Added: rates by which the grid grew, because the best lay on its edge. "
        f"{_refined(summary)}"
        "Failed: runs that diverged or were lost; they count as 0. Good over: how many factors of ten the mean stays "
        f"within {100 * FORGIVEN:g} point of its best (≥: up to the end of what was tried)."
    )
    return table


def _refined(summary: Summary) -> str:
    tuning = summary.study.tuning
    if tuning is None or not tuning.refine:
        return ""
    often = "" if tuning.refine == 1 else f", {tuning.refine} times in turn"
    return f"Rates: with those midway between the best and its neighbours, which came last{often}. "


def _searched(search: Search) -> list[str]:
    found = search.accuracies[search.rates == search.chosen].ravel()
    found = found[np.isfinite(found)]
    mean = float(found.mean()) if found.size else None
    spread = float(found.std(ddof=1)) if found.size > 1 else None
    failed, all_runs = int(np.isnan(search.accuracies).sum()), search.accuracies.size
    wide = breadth(search)
    good = NONE if wide is None else f"{'≥ ' if wide[1] else ''}{wide[0]:.1f}"
    row = [number(search.chosen), percent(mean, spread, ""), number(search.rates[0]), number(search.rates[-1])]
    row += [str(len(search.rates)), str(search.widened), str(search.accuracies.shape[1])]
    return [*row, f"{failed} of {all_runs}" if failed else "0", good]


def failures_table(summary: Summary) -> Table | None:
    """Return the final runs that diverged or were lost, with the reasons; None if there are none."""
    table = Table(
        "Final runs that have no test accuracy, how far they came, and why.",
        [*_axes(summary), "Seed", "Outcome", "Steps", "Last training loss", "Reason"],
        max(len(summary.study.axes), 1),
    )
    for cell in summary.cells:
        for run in cell.failures:
            losses = [loss for loss in run["history"].get("train_loss") or [] if loss is not None]
            loss = f"{losses[-1]:.4g}" if losses else NONE
            row = [str(run["seed"]), run["outcome"], f"{run['steps']:,}", loss, run["reason"] or NONE]
            table.rows.append(_names(cell) + row)
    table.left = {table.heads + 1, table.heads + 4}
    return table if table.rows else None


def settings_table(summary: Summary) -> Table:
    """Return the settings that all runs share."""
    table = Table("Settings that all runs share; what is not named has no value.", ["Setting", "Value"], 1, left={1})
    table.rows = [[name, label(value)] for name, value in summary.common().items()]
    return table


def facts_table(summary: Summary) -> Table:
    """Return on what the study was run, and how long it took."""
    study = summary.study
    finals, searches = summary.found, len(summary.records) - summary.found
    runs = counted(finals, "final run") + (f", {counted(searches, 'run')} to choose learning rates" if searches else "")
    rows = [["Settings", f"{len(summary.cells):,}"], ["Seeds", f"{study.seeds:,} a setting, from 0"], ["Runs", runs]]
    data = sorted({str(record["config"].get("data", NONE)) for record in summary.records})
    rows.append(["Data", listed(data) or NONE])
    rows.append(["Parameters", _range(summary, "parameters")])
    rows.append(["Steps a run", _range(summary, "steps")])
    rows.append(["Time in training", f"{duration(summary.train_seconds)}, added up over all runs"])
    rows.append(["Time in all", f"{duration(summary.wall_seconds)}, added up over all runs"])
    machines = summary.machines()
    names = [f"{one['processor']}, {counted(one['cores'], 'core')}, {one['system']}" for one in machines]
    rows.append(["Machine", "; ".join(dict.fromkeys(names)) or NONE])
    threads = sorted({one["blas_threads"] for one in machines})
    rows.append(["Threads a run", listed([str(one) for one in threads]) or NONE])
    versions = (("glassnet", "glassnet"), ("NumPy", "numpy"), ("Python", "python"))
    rows += [[name, listed(sorted({one[key] for one in machines})) or NONE] for name, key in versions]
    return Table("The runs, and what they ran on.", ["Fact", "Value"], 1, rows, left={1})


def _range(summary: Summary, name: str) -> str:
    found = sorted({run[name] for cell in summary.cells for run in cell.finished})
    return NONE if not found else f"{found[0]:,}" if len(found) == 1 else f"{found[0]:,} to {found[-1]:,}"
