"""Which runs are due, as a pure function of the study and of the records that there are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from glassnet.studies.job import Job, Record
from glassnet.studies.study import Cell, Study


@dataclass(frozen=True)
class Search:
    """How far the search for a cell's learning rate is.

    Attributes
    ----------
    rates : tried or to be tried, rising
    jobs : for each rate its runs
    chosen : the rate with the best mean accuracy on the validation samples; None while runs are due
    widened : rates that were added because the best one lay on the edge
    """

    rates: tuple[float, ...]
    jobs: tuple[tuple[Job, ...], ...]
    chosen: float | None
    widened: int


class Planner:
    """Says which runs of a study are due.

    A study without a search has all its runs due from the beginning. With one, a cell's runs at each rate of the grid
    come first; where the best rate lies on the edge, the grid grows by one rate on that side; then the rates midway
    between the best and its neighbours are tried, if the study asks for that; then come the final runs at the best.
    Nothing but records decides, so a study that was interrupted goes on as if it never had been.

    Parameters
    ----------
    study : whose runs

    Examples
    --------
    >>> from glassnet.studies.study import find_study
    >>> planner = Planner(find_study("optimizers"))
    >>> len(planner.due({})), planner.total({})  # 16 optimizers, 9 rates, 3 seeds; and 10 final runs of each
    (432, 592)
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self._index = {cell.name: index for index, cell in enumerate(study.cells)}
        self._jobs: dict[tuple[int, str, int, float | None], Job] = {}

    def due(self, records: Mapping[str, Record]) -> list[Job]:
        """Return the runs that can be done now and have no record."""
        jobs = [job for i in range(len(self.study.cells)) for job in self._of_cell(i, records)]
        return [job for job in jobs if job.key not in records]

    def total(self, records: Mapping[str, Record]) -> int:
        """Return how many runs the study has, as far as it can be known."""
        searches = [self.search(cell, records) for cell in self.study.cells] if self.study.tuning else []
        return sum(len(runs) for search in searches for runs in search.jobs) + len(self.study.cells) * self.study.seeds

    def cost(self) -> float:
        """Return about how many seconds of one core all runs take, without those that a search may add."""
        rate = None if self.study.tuning is None else self.study.tuning.learning_rates[0]
        final = [self._job(i, "final", n, rate) for i in range(len(self._index)) for n in range(self.study.seeds)]
        return sum(job.cost for job in [*final, *(self.due({}) if self.study.tuning else [])])

    def keys(self, records: Mapping[str, Record]) -> set[str]:
        """Return the keys of all runs that the study has, as far as it can be known: other records are not its own."""
        keys = {job.key for i in range(len(self.study.cells)) for job in self._final(i, records)}
        if self.study.tuning:
            searches = (self.search(cell, records) for cell in self.study.cells)
            keys |= {job.key for search in searches for runs in search.jobs for job in runs}
        return keys

    def search(self, cell: Cell, records: Mapping[str, Record]) -> Search:
        """Return how far the search for a cell's learning rate is."""
        tuning, index = self.study.tuning, self._index[cell.name]
        assert tuning is not None
        if len(tuning.learning_rates) == 1:  # in a trial: there is nothing to choose
            return Search(tuning.learning_rates, ((),), tuning.learning_rates[0], 0)
        rates, widened, refined = list(tuning.learning_rates), 0, 0
        while True:
            jobs = tuple(tuple(self._job(index, "search", n, rate) for n in range(tuning.seeds)) for rate in rates)
            if any(job.key not in records for runs in jobs for job in runs):
                return Search(tuple(rates), jobs, None, widened)
            scores = [fmean(_score(records[job.key]) for job in runs) for runs in jobs]
            best = scores.index(max(scores))
            if not 0 < best < len(rates) - 1 and not refined and widened < tuning.rounds:
                widened += 1
                beyond = rates[0] ** 2 / rates[1] if best == 0 else rates[-1] ** 2 / rates[-2]
                rates = sorted([*rates, _rounded(beyond)])
            elif refined < tuning.refine:
                refined += 1
                around = rates[max(best - 1, 0) : best + 2]
                rates = sorted({*rates, *(_rounded(math.sqrt(a * b)) for a, b in pairwise(around))})
            else:
                return Search(tuple(rates), jobs, rates[best], widened)

    def _of_cell(self, index: int, records: Mapping[str, Record]) -> list[Job]:
        if self.study.tuning is None:
            return self._final(index, records)
        search = self.search(self.study.cells[index], records)
        if search.chosen is None:
            return [job for runs in search.jobs for job in runs]
        return self._final(index, records)

    def _final(self, index: int, records: Mapping[str, Record]) -> list[Job]:
        rate = None
        if self.study.tuning is not None:
            rate = self.search(self.study.cells[index], records).chosen
            if rate is None:
                return []
        return [self._job(index, "final", number, rate) for number in range(self.study.seeds)]

    def _job(self, index: int, phase: str, number: int, rate: float | None) -> Job:
        found = self._jobs.get((index, phase, number, rate))
        if found is None:
            found = Job.of(self.study, self.study.cells[index], phase, number, rate)
            self._jobs[index, phase, number, rate] = found
        return found


def _score(record: Record) -> float:
    """Return the last accuracy on the validation samples; 0 for a run that diverged."""
    accuracies = record["history"]["validation_accuracy"]
    return accuracies[-1] or 0.0 if accuracies and record["outcome"] == "finished" else 0.0


def _rounded(rate: float) -> float:
    """Return a rate with three digits, so that it is the same however it was reached."""
    return float(f"{rate:.3g}")
