"""The results of a study as raw numbers, a line a cell."""

from __future__ import annotations

import csv
import io
import math
from typing import Any

from glassnet.studies.cells import OUTCOMES, TARGETS, CellSummary
from glassnet.studies.summary import Summary
from glassnet.studies.wording import label, printable


def raw_csv(summary: Summary) -> str:
    """Return one line a cell with full precision: accuracies as shares of 0 to 1 (published, too), times in seconds.

    Nothing stands where there is no number. An axis that is called like another column has "label_" before its name.
    """
    rows = [_raw(cell, summary) for cell in summary.cells]
    if "rule" in summary.study.axes and all(cell.cell.label["rule"] == cell.cell.rule for cell in summary.cells):
        for row in rows:
            del row["rule"]  # the axis says it
    names = _axis_names(summary.study.axes, set(rows[0]) if rows else set())
    rows = [
        {names[axis]: _plain(value) for axis, value in cell.cell.label.items()} | row
        for cell, row in zip(summary.cells, rows, strict=True)
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _plain(value: Any) -> Any:
    """Return a number as it is, and anything else as a text."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else label(value)


def _axis_names(axes: tuple[str, ...], taken: set[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for axis in axes:
        name = printable(axis)
        while name in taken:
            name = f"label_{name}"
        taken.add(name)
        found[axis] = name
    return found


def _raw(cell: CellSummary, summary: Summary) -> dict[str, Any]:
    row: dict[str, Any] = {"rule": cell.cell.rule, "learning_rate": cell.learning_rate, "seeds": len(cell.runs)}
    row |= {outcome: cell.count(outcome) for outcome in OUTCOMES}
    row |= {"test_accuracy_mean": cell.mean, "test_accuracy_deviation": cell.deviation}
    row["published_accuracy"] = cell.published_accuracy
    row["train_seconds_mean"], row["train_seconds_deviation"] = cell.seconds
    row["published_seconds"] = cell.published.get("seconds")
    for place in summary.early:
        reach, name = cell.accuracy_at(place.column, place.limit), f"accuracy_{place.name.lower().replace(' ', '_')}"
        row |= {f"{name}_mean": reach.mean, f"{name}_deviation": reach.deviation, f"{name}_runs": reach.reached}
    for target in TARGETS:
        reach, name = cell.time_to(target), f"seconds_to_{100 * target:g}"
        row |= {f"{name}_mean": reach.mean, f"{name}_deviation": reach.deviation, f"{name}_runs": reach.reached}
    return {name: None if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()}
