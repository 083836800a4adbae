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

from glassnet.studies.cells import TARGETS, CellSummary, accuracy_after_epochs
from glassnet.studies.evidence import Paired, bonferroni, corrected, holm, paired
from glassnet.studies.job import Record
from glassnet.studies.plan import Planner
from glassnet.studies.study import Cell, Study
from glassnet.studies.wording import counted


@dataclass(frozen=True)
class Search:
    """How the learning rate of a cell was chosen.

    Parameters
    ----------
    rates : (R,) rising
    accuracies : (R, S) validation accuracy after the last epoch, a share; NaN where a run diverged or was lost, or is
        missing from a search that is not at its end
    chosen : the learning rate of the final runs; None while the search goes on
    widened : how many of the rates lie beyond the grid that the search began with
    """

    rates: NDArray[np.float64]
    accuracies: NDArray[np.float64]
    chosen: float | None
    widened: int

    @property
    def means(self) -> NDArray[np.float64]:
        """Mean accuracy at each rate (R,), by which one is chosen: a run that did not finish counts as 0."""
        return np.asarray(np.nan_to_num(self.accuracies).mean(axis=1))

    @property
    def at_edge(self) -> bool:
        """Whether the best rate is the lowest or the highest that was tried."""
        return self.chosen is not None and self.chosen in (self.rates[0], self.rates[-1])


@dataclass(frozen=True)
class Place:
    """A place on the curves at which the accuracies are compared, before the end.

    Parameters
    ----------
    name : such as "After 5 epochs"
    column : of the history, "epoch" or "train_seconds"
    limit : how far, in that column's unit
    """

    name: str
    column: str
    limit: float

    @property
    def timed(self) -> bool:
        """Whether it is a time, which depends on what else the machine does."""
        return self.column == "train_seconds"


class Summary:
    """The records of a study, grouped and counted.

    Parameters
    ----------
    study : what was to be run
    records : what was; those of no run of the study as it is declared are left out (of other settings under the same
        label, say), of two of the same run the later counts

    Attributes
    ----------
    cells : a `CellSummary` each, in the order of the study
    records : the records that belong to the study
    """

    def __init__(self, study: Study, records: Iterable[Record]) -> None:
        self.study = study
        latest = {record["key"]: record for record in records}
        self._planner = Planner(study)
        own = self._planner.keys(latest)
        self._records = latest
        self._against: dict[tuple[int, bool], dict[int, Paired]] = {}
        self._runs: dict[tuple[str, str], list[Record]] = {}
        for key, record in latest.items():
            if key in own:
                self._runs.setdefault((_key(record["cell"]), record["phase"]), []).append(record)
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

    def against(self, reference: int, *, declared: bool = False) -> dict[int, Paired]:
        """Compare every other cell that has a test accuracy with one of them, best first.

        The best was chosen by the same figures, which calls for Bonferroni's correction over the comparisons of one
        cell with the others: the truly best one is called worse than another with a probability of at most `LEVEL`,
        whichever it is.

        Parameters
        ----------
        reference : its place
        declared : it was named before anything was run, so that Holm's correction over these comparisons holds

        Returns
        -------
        dict
            Place to the difference of that cell minus the reference.

        References
        ----------
        J. C. Hsu (1984), Constrained simultaneous confidence intervals for multiple comparisons with the best.
        """
        if (reference, declared) not in self._against:
            places = [i for i in self.ranked if i != reference]
            accuracies = self.cells[reference].accuracies
            rule = holm if declared else bonferroni
            found = corrected([paired(self.cells[i].accuracies, accuracies) for i in places], rule)
            self._against[reference, declared] = dict(zip(places, found, strict=True))
        return self._against[reference, declared]

    def equals(self, best: int) -> list[int]:
        """Return the cells that a test does not tell apart from the best, without those that it can not judge."""
        return [i for i, one in self.against(best).items() if one.p is not None and not one.real]

    @cached_property
    def early(self) -> tuple[Place, ...]:
        """The places before the end at which the study looks."""
        found = []
        if self.study.at_epochs is not None:
            name = f"After {counted(self.study.at_epochs, 'epoch')}"
            found.append(Place(name, "epoch", float(self.study.at_epochs)))
        if self.study.at_seconds is not None:
            found.append(Place(f"After {self.study.at_seconds:g} s", "train_seconds", float(self.study.at_seconds)))
        return tuple(found)

    @cached_property
    def targets(self) -> tuple[float, ...]:
        """Those of `TARGETS` that any run reached."""
        return tuple(target for target in TARGETS if any(cell.time_to(target).reached for cell in self.cells))

    @property
    def measured_on(self) -> str:
        """On what samples the accuracies on the way were measured, in words."""
        validated = [cell.validated for cell in self.cells if cell.finished]
        validated = validated or [cell.cell.config.validation != 0 for cell in self.cells]
        if all(validated):
            return "the validation samples"
        if any(validated):
            return "the validation samples, or on those of training as met where none are held out"
        return "the training samples as met"

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
        chosen = self._planner.search(cell.cell, self._records).chosen
        return Search(np.array(rates), accuracies, chosen, len(beyond))

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
    return float(record["config"]["learning_rate"])
