"""The tables of a report as rows of text, for the page and for Markdown, and one of raw numbers as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glassnet.studies.cells import TARGETS, CellSummary
from glassnet.studies.evidence import Paired
from glassnet.studies.sentences import FORGIVEN, breadth
from glassnet.studies.study import value_name
from glassnet.studies.summary import Search, Summary
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
            lines.append(_line([f"**{text}**" if (i, j) in self.strong else text for j, text in enumerate(row)]))
        return "\n".join(lines) + "\n"


def _line(texts: Sequence[str]) -> str:
    plain = (" ".join(text.split()) for text in texts)
    return "| " + " | ".join(text.replace("\\", "\\\\").replace("|", "\\|") for text in plain) + " |"


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
    makers += [(f"{name}, %", _early(column, limit)) for name, column, limit in early_columns(summary)]
    makers += [(f"To {100 * target:g} %, s", _reaching(target)) for target in reached_targets(summary)]
    table = Table("", _axes(summary) + [name for name, _ in makers], max(len(study.axes), 1))
    table.rows = [_names(cell) + [make(cell) for _, make in makers] for cell in summary.cells]
    column = table.columns.index(_ACCURACY)
    best: set[int] = set() if summary.best is None else {summary.best, *summary.equals(summary.best)}
    if len(best) < len(summary.ranked) and any(cell.deviation is not None for cell in summary.cells):
        table.strong = {(i, column) for i in best}
    table.caption = _main_caption(summary, bool(table.strong))
    return table


def early_columns(summary: Summary) -> list[tuple[str, str, float]]:
    """Return the places before the end at which the study looks: what to call it, the column, the limit."""
    study, found = summary.study, []
    if study.at_epochs is not None:
        found.append((f"After {counted(study.at_epochs, 'epoch')}", "epoch", float(study.at_epochs)))
    if study.at_seconds is not None:
        found.append((f"After {study.at_seconds:g} s", "train_seconds", float(study.at_seconds)))
    return found


def reached_targets(summary: Summary) -> list[float]:
    """Return those of `TARGETS` that any run reached."""
    return [target for target in TARGETS if any(cell.time_to(target).reached for cell in summary.cells)]


def _early(column: str, limit: float) -> Callable[[CellSummary], str]:
    return lambda cell: percent(*cell.accuracy_at(column, limit), unit="")


def _reaching(target: float) -> Callable[[CellSummary], str]:
    def text(cell: CellSummary) -> str:
        reach = cell.time_to(target)
        some = "" if reach.reached in (0, reach.runs) else f" ({reach.reached} of {reach.runs})"
        return seconds(reach.mean, unit="") + some

    return text


def _main_caption(summary: Summary, strong: bool) -> str:
    said = ["Mean ± standard deviation over the seeds, of the runs that finished."]
    if strong:
        said.append("Bold: the best, and what can not be told apart from it.")
    if any("accuracy" in cell.published for cell in summary.cells):
        said.append("Difference: the mean here minus the published figure.")
    if reached_targets(summary):
        said.append(
            "To 90 % and so on: seconds in training steps at the end of the first epoch with that accuracy "
            f"on {_measured_on(summary)}, with how many runs got there if not all did."
        )
    if early_columns(summary):
        said.append(f"After a time: accuracy on {_measured_on(summary)}, at the last epoch that ended by then.")
    return " ".join(said)


def _measured_on(summary: Summary) -> str:
    validated = [bool(np.isfinite(cell.curve("validation_accuracy")).any()) for cell in summary.cells if cell.finished]
    if all(validated):
        return "the validation samples"
    return (
        "the validation samples, or on training where none are held out"
        if any(validated)
        else "the training samples as met"
    )


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
        published = then.published or now.published
        gap = None if then.mean is None or "accuracy" not in published else then.mean - published["accuracy"] / 100
        accuracy = published["accuracy"] / 100 if "accuracy" in published else None
        row = [*_names(then, "rule")[: table.heads], percent(accuracy, unit="")]
        row += [percent(then.mean, then.deviation, ""), points(gap), percent(now.mean, now.deviation, "")]
        row += [points(one.difference), seconds(published.get("seconds"), unit="")]
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
        "2019 minus the true gradient, on the same seeds; bold where it is real (corrected p < 0.05)."
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
        against = summary.baseline
        if against is None or len(summary.ranked) < 2:
            return None
        table = Table("", _axes(summary) + columns, max(len(summary.study.axes), 1))
        table.rows = [_names(summary.cells[i]) + _evidence(one) for i, one in summary.against(against).items()]
        which, rule = ("the baseline", "Holm") if summary.study.baseline else ("the best", "Bonferroni")
        said = f"Each minus {summary.cells[against].name}, {which}."
    table.left = {len(table.columns) - 1}
    table.caption = (
        f"{said} Mean difference of the test accuracy on the same seeds, its 95 % interval, and the two-sided p of "
        f"Student's t, corrected for being {len(table.rows)} of them ({rule}). Real: corrected p < 0.05."
    )
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
        "Failed: runs that diverged or were lost. Good over: how many factors of ten the mean stays within "
        f"{100 * FORGIVEN:g} point of its best (≥: up to the end of what was tried)."
    )
    return table


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


def raw_csv(summary: Summary) -> str:
    """Return one line a cell with full precision: accuracies as shares of 0 to 1 (published, too), times in seconds.

    Nothing stands where there is no number.
    """
    rows = [_raw(cell, summary) for cell in summary.cells]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _raw(cell: CellSummary, summary: Summary) -> dict[str, Any]:
    row: dict[str, Any] = {axis: value_name(value) for axis, value in cell.cell.label.items()}
    row.setdefault("rule", cell.cell.rule)
    row |= {"learning_rate": cell.learning_rate, "seeds": len(cell.runs)}
    row |= {outcome: cell.count(outcome) for outcome in ("finished", "diverged", "lost")}
    row |= {"test_accuracy_mean": cell.mean, "test_accuracy_deviation": cell.deviation}
    row["published_accuracy"] = cell.published_accuracy
    row["train_seconds_mean"], row["train_seconds_deviation"] = cell.seconds
    row["published_seconds"] = cell.published.get("seconds")
    for name, column, limit in early_columns(summary):
        key = name.lower().replace(" ", "_")
        row[f"accuracy_{key}_mean"], row[f"accuracy_{key}_deviation"] = cell.accuracy_at(column, limit)
    for target in TARGETS:
        reach = cell.time_to(target)
        name = f"seconds_to_{100 * target:g}"
        row |= {f"{name}_mean": reach.mean, f"{name}_deviation": reach.deviation, f"{name}_runs": reach.reached}
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
