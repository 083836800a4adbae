"""From the records of a study to its statistics: means with their spread, differences on the same seeds, searches."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassnet.studies.cells import CellSummary, accuracy_after_epochs
from glassnet.studies.evidence import Paired, bonferroni, corrected, holm, paired
from glassnet.studies.job import Record
from glassnet.studies.study import Cell, Study


@dataclass(frozen=True)
class Search:
    """How the learning rate of a cell was chosen.

    Parameters
    ----------
    rates : (R,) rising
    accuracies : (R, S) validation accuracy after the last epoch, a share; NaN where a run diverged or is missing
    chosen : the learning rate of the final runs; None if there is none yet
    widened : how many of the rates lie beyond the grid that the search began with
    """

    rates: NDArray[np.float64]
    accuracies: NDArray[np.float64]
    chosen: float | None
    widened: int

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean accuracy at each rate (R,); NaN where any of the runs diverged or is missing."""
        return np.asarray(self.accuracies.mean(axis=1))

    @property
    def at_edge(self) -> bool:
        """Whether the best rate is the lowest or the highest that was tried."""
        return self.chosen is not None and self.chosen in (self.rates[0], self.rates[-1])


class Summary:
    """The records of a study, grouped and counted.

    Parameters
    ----------
    study : what was to be run
    records : what was; those of other cells are left out, of two of the same cell, phase and seed the later counts

    Attributes
    ----------
    cells : a `CellSummary` each, in the order of the study
    records : the records that belong to the study
    """

    def __init__(self, study: Study, records: Iterable[Record]) -> None:
        self.study = study
        names = {_key(cell.label) for cell in study.cells}
        latest = {(_key(record["cell"]), record["phase"], _rate(record), record["seed"]): record for record in records}
        self._against: dict[int, dict[int, Paired]] = {}
        self._runs: dict[tuple[str, str], list[Record]] = {}
        for (cell, phase, _, _), record in latest.items():
            if cell in names:
                self._runs.setdefault((cell, phase), []).append(record)
        self.records = tuple(itertools.chain.from_iterable(self._runs.values()))
        self.cells = tuple(CellSummary(cell, self._of(cell, "final")) for cell in study.cells)

    def _of(self, cell: Cell, phase: str) -> tuple[Record, ...]:
        return tuple(sorted(self._runs.get((_key(cell.label), phase), ()), key=lambda record: record["seed"]))

    @property
    def expected(self) -> int:
        """How many final runs the study has."""
        return len(self.cells) * self.study.seeds

    @property
    def found(self) -> int:
        """How many final runs there are records of."""
        return sum(len(cell.runs) for cell in self.cells)

    def outcome(self, outcome: str) -> int:
        """Return how many final runs ended so, one of `OUTCOMES`."""
        return sum(cell.count(outcome) for cell in self.cells)

    @cached_property
    def ranked(self) -> tuple[int, ...]:
        """Cells with a test accuracy, by their places, the highest mean first; those with failed runs come last."""
        found = [i for i, cell in enumerate(self.cells) if cell.mean is not None]
        return tuple(sorted(found, key=lambda i: (not self.cells[i].whole, -(self.cells[i].mean or 0.0))))

    @property
    def best(self) -> int | None:
        """The place of the cell with the highest mean test accuracy among those all of whose runs finished.

        If there are none, among those that have any that finished; None without any.
        """
        return self.ranked[0] if self.ranked else None

    @property
    def worst(self) -> int | None:
        """The place of the cell with the lowest mean test accuracy; None without any."""
        return min(self.ranked, key=lambda i: self.cells[i].mean or 0.0) if self.ranked else None

    @cached_property
    def baseline(self) -> int | None:
        """The place of the cell that the study compares with; the best if it names none."""
        wanted = self.study.baseline
        if wanted:
            for i, cell in enumerate(self.cells):
                if matches(cell.cell, wanted):
                    return i
        return self.best

    @cached_property
    def _pairs(self) -> dict[tuple[int, int], Paired]:
        places = list(itertools.combinations(range(len(self.cells)), 2))
        found = corrected([paired(self.cells[i].accuracies, self.cells[j].accuracies) for i, j in places])
        return dict(zip(places, found, strict=True))

    def pair(self, first: int, second: int) -> Paired:
        """Compare the test accuracies of two cells, by their places, on the same seeds.

        Returns
        -------
        Paired
            Of first minus second, corrected over all pairs of the study.
        """
        return self._pairs[first, second] if first < second else self._pairs[second, first].turned

    def compare(self, pairs: Sequence[tuple[int, int]]) -> list[Paired]:
        """Compare pairs of cells that were meant to be compared before anything was run, corrected over these alone."""
        return corrected([paired(self.cells[i].accuracies, self.cells[j].accuracies) for i, j in pairs])

    def against(self, reference: int) -> dict[int, Paired]:
        """Compare every other cell that has a test accuracy with one of them, best first.

        A baseline was named beforehand: Holm's correction over these comparisons holds. The best was chosen by the same
        figures, which calls for more: with Bonferroni's correction over the comparisons of one cell with the others,
        the truly best one is called worse than another with a probability of at most `LEVEL`, whichever it is.

        Returns
        -------
        dict
            Place to the difference of that cell minus the reference.

        References
        ----------
        J. C. Hsu (1984), Constrained simultaneous confidence intervals for multiple comparisons with the best.
        """
        if reference not in self._against:
            places = [i for i in self.ranked if i != reference]
            accuracies = self.cells[reference].accuracies
            rule = holm if self.study.baseline and reference == self.baseline else bonferroni
            found = corrected([paired(self.cells[i].accuracies, accuracies) for i in places], rule)
            self._against[reference] = dict(zip(places, found, strict=True))
        return self._against[reference]

    def equals(self, reference: int) -> list[int]:
        """Return the cells that can not be told apart from one, best first, without those with no common seeds."""
        return [i for i, one in self.against(reference).items() if one.count and not one.real]

    @cached_property
    def rule_pairs(self) -> tuple[tuple[int, int], ...]:
        """Places of the cells that differ in the rule alone: that of 2019, and the gradient."""
        if "rule" not in self.study.axes:
            return ()
        rules = [cell.cell.rule for cell in self.cells]
        others = {_key(self._rest(i, "rule")): i for i, rule in enumerate(rules) if rule == "gradient"}
        found = [(i, others.get(_key(self._rest(i, "rule")))) for i, rule in enumerate(rules) if rule == "2019"]
        return tuple((i, j) for i, j in found if j is not None)

    @property
    def both_rules(self) -> bool:
        """Whether every cell is one of `rule_pairs`."""
        return bool(self.rule_pairs) and 2 * len(self.rule_pairs) == len(self.cells)

    def settings(self, axis: str) -> list[dict[str, int]]:
        """Group the cells by everything but one axis: for each of the groups, value to place."""
        groups: dict[str, dict[str, int]] = {}
        for i, cell in enumerate(self.cells):
            groups.setdefault(_key(self._rest(i, axis)), {})[_key(cell.cell.label.get(axis))] = i
        return list(groups.values())

    def between(self, axis: str, first: Any, second: Any) -> tuple[Paired, int]:
        """Compare two values of an axis: for each seed the mean difference over the other settings.

        Returns
        -------
        Paired
            Of first minus second, over the seeds.
        int
            How many pairs of runs went into it.
        """
        differences: dict[int, list[float]] = {}
        for group in self.settings(axis):
            a, b = group.get(_key(first)), group.get(_key(second))
            if a is not None and b is not None:
                left, right = self.cells[a].accuracies, self.cells[b].accuracies
                for seed in left.keys() & right.keys():
                    differences.setdefault(seed, []).append(left[seed] - right[seed])
        means = {seed: math.fsum(found) / len(found) for seed, found in sorted(differences.items())}
        return corrected([paired(means, dict.fromkeys(means, 0.0))])[0], sum(map(len, differences.values()))

    def _rest(self, place: int, axis: str) -> dict[str, Any]:
        return {name: value for name, value in self.cells[place].cell.label.items() if name != axis}

    def values(self, axis: str) -> list[Any]:
        """Return the values of an axis in the order of the cells."""
        found = {_key(cell.cell.label.get(axis)): cell.cell.label.get(axis) for cell in self.cells}
        return list(found.values())

    @cached_property
    def searches(self) -> tuple[Search | None, ...]:
        """The search of each cell; None where there was none."""
        return tuple(self._search(cell) for cell in self.cells)

    def _search(self, cell: CellSummary) -> Search | None:
        runs = self._of(cell.cell, "search")
        if not runs:
            return None
        rates = sorted({_rate(run) for run in runs})
        seeds = sorted({run["seed"] for run in runs})
        accuracies = np.full((len(rates), len(seeds)), np.nan)
        for run in runs:
            if run["outcome"] == "finished" and (measured := accuracy_after_epochs(run["history"])):
                accuracies[rates.index(_rate(run)), seeds.index(run["seed"])] = measured[-1]
        grid = self.study.tuning.learning_rates if self.study.tuning else ()
        beyond = [rate for rate in rates if grid and not min(grid) * 0.999 <= rate <= max(grid) * 1.001]
        return Search(np.array(rates), accuracies, cell.learning_rate, len(beyond))

    @property
    def train_seconds(self) -> float:
        """Seconds in training steps of all runs, of the search, too."""
        return math.fsum(record["train_seconds"] or 0.0 for record in self.records)

    @property
    def wall_seconds(self) -> float:
        """Seconds that the runs took, with loading and evaluation, added up over all runs."""
        return math.fsum(record.get("wall_seconds") or 0.0 for record in self.records)

    def common(self) -> dict[str, Any]:
        """Return the settings that all final runs share, without the seed and those that have no value."""
        configs = [run["config"] for cell in self.cells for run in cell.runs]
        first = configs[0] if configs else {}
        shared = {name: value for name, value in first.items() if all(c.get(name) == value for c in configs)}
        return {name: value for name, value in shared.items() if name != "seed" and value not in (None, [])}

    def machines(self) -> list[dict[str, Any]]:
        """Return the different machines, each with its versions, in the order of the records."""
        found = {_key(both): both for r in self.records if (both := {**r["machine"], **r["versions"]})}
        return list(found.values())


def matches(cell: Cell, wanted: Mapping[str, Any]) -> bool:
    """Return whether a cell's label has the wanted values."""
    return all(_key(cell.label.get(name)) == _key(value) for name, value in wanted.items())


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _rate(record: Record) -> float:
    """Return what tells the runs of a search apart; final runs have one rate."""
    return float(record["config"].get("learning_rate") or 0.0) if record["phase"] == "search" else 0.0
