"""The final runs of one cell: how many finished, how accurate they are, how long they took, how they got there."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassnet.studies.evidence import deviation_of, mean_of
from glassnet.studies.job import Record
from glassnet.studies.study import Cell
from glassnet.studies.wording import counted, named, percent

TARGETS = (0.90, 0.95, 0.97, 0.98)
"""The accuracies to which the time is taken."""

OUTCOMES = ("finished", "diverged", "lost")


@dataclass(frozen=True)
class Reach:
    """A figure that some seeds of a cell have, and others may not.

    Parameters
    ----------
    values : seed to figure, of those that have it
    runs : seeds in all
    """

    values: Mapping[int, float]
    runs: int

    @property
    def reached(self) -> int:
        """How many seeds have it."""
        return len(self.values)

    @property
    def always(self) -> bool:
        """Whether there are seeds, and all have it."""
        return 0 < self.reached == self.runs

    @property
    def mean(self) -> float | None:
        """Mean over the seeds that have it; None without any."""
        return mean_of(self.values.values())

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation over the seeds that have it; None with fewer than two."""
        return deviation_of(self.values.values())

    @property
    def some(self) -> str:
        """How many have it, where that is neither all nor none, as " (2 of 3)"."""
        return "" if self.reached in (0, self.runs) else f" ({self.reached} of {self.runs})"


@dataclass(frozen=True)
class CellSummary:
    """The final runs of one cell.

    Parameters
    ----------
    cell : what was set
    runs : the records, seeds in order
    """

    cell: Cell
    runs: tuple[Record, ...]

    @property
    def name(self) -> str:
        """The values of the label, each so that it can stand alone."""
        return self.name_without()

    def name_without(self, *axes: str | None) -> str:
        """Return the name without some of its axes, which are said elsewhere; all of it if nothing remains."""
        label = self.cell.label
        rest = {axis: value for axis, value in label.items() if axis not in axes} or label
        return ", ".join(named(axis, value) for axis, value in rest.items()) or "the run"

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The seeds in order."""
        return tuple(run["seed"] for run in self.runs)

    def count(self, outcome: str) -> int:
        """Return how many runs ended so, one of `OUTCOMES`."""
        return sum(run["outcome"] == outcome for run in self.runs)

    @property
    def finished(self) -> tuple[Record, ...]:
        """The runs that went to their end."""
        return tuple(run for run in self.runs if run["outcome"] == "finished")

    @property
    def failures(self) -> tuple[Record, ...]:
        """The runs that diverged or were lost."""
        return tuple(run for run in self.runs if run["outcome"] != "finished")

    @property
    def whole(self) -> bool:
        """Whether there are runs, and all of them finished."""
        return bool(self.runs) and not self.failures

    @cached_property
    def accuracies(self) -> dict[int, float]:
        """Seed to test accuracy, a share, of the runs that finished."""
        return {run["seed"]: run["test_accuracy"] for run in self.finished if run["test_accuracy"] is not None}

    @property
    def mean(self) -> float | None:
        """Mean test accuracy of the runs that finished, a share."""
        return mean_of(self.accuracies.values())

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation of the test accuracy; None with fewer than two seeds."""
        return deviation_of(self.accuracies.values())

    @property
    def figure(self) -> str:
        """The test accuracy with its spread, in words: with failed runs, that it is the mean of the others."""
        text = percent(self.mean, self.deviation)
        if self.whole or not self.runs:
            return text
        return f"{text} in the {len(self.finished)} of {counted(len(self.runs), 'run')} that finished"

    @property
    def seconds(self) -> tuple[float | None, float | None]:
        """Mean and deviation of the seconds in training steps, of the runs that finished."""
        found = [run["train_seconds"] for run in self.finished if run["train_seconds"] is not None]
        return mean_of(found), deviation_of(found)

    @property
    def learning_rate(self) -> float | None:
        """The learning rate that all runs have, or without runs are to have; None if there is no such."""
        found = {run["config"].get("learning_rate") for run in self.runs} - {None}
        if not self.runs:
            return self.cell.config.learning_rate
        return found.pop() if len(found) == 1 else None

    @property
    def published(self) -> Mapping[str, Any]:
        """What others reported: "accuracy" in percent, "seconds"; empty if they did not."""
        return self.cell.published or {}

    @property
    def published_accuracy(self) -> float | None:
        """The published accuracy as a share."""
        found = self.published.get("accuracy")
        return None if found is None else found / 100

    @property
    def gap(self) -> float | None:
        """Mean test accuracy minus the published one, as shares."""
        published = self.published_accuracy
        return None if self.mean is None or published is None else self.mean - published

    @property
    def wall_seconds(self) -> float | None:
        """Mean seconds that a run took, with loading and evaluation, of the runs that finished."""
        return mean_of(run["wall_seconds"] for run in self.finished if run.get("wall_seconds") is not None)

    def time_to(self, target: float) -> Reach:
        """Return the seconds in training steps at the end of the first epoch with an accuracy.

        The accuracy is that on validation samples or, where there are none, as met in training. A run that diverged
        later on does not count as having reached it.
        """
        return self._reach(lambda history: _time_to(history, target))

    def accuracy_at(self, column: str, limit: float) -> Reach:
        """Return the accuracy after the last epoch that ended by then, of the runs that finished.

        Parameters
        ----------
        column : "epoch" or "train_seconds"
        limit : how far, in that column's unit

        Returns
        -------
        Reach
            Shares, on validation samples if there are any, of the runs that have an epoch by then.
        """
        return self._reach(lambda history: _accuracy_at(history, column, limit))

    def _reach(self, read: Callable[[Mapping[str, Any]], float | None]) -> Reach:
        found = {run["seed"]: value for run in self.finished if (value := read(run["history"])) is not None}
        return Reach(found, len(self.runs))

    @property
    def validated(self) -> bool:
        """Whether any run has accuracies on validation samples."""
        return bool(np.isfinite(self.curve("validation_accuracy")).any())

    def curve(self, column: str) -> NDArray[np.float64]:
        """Return a column of the histories (S, E), epochs of the longest; NaN after the end and where not measured."""
        columns = [run["history"].get(column) or [] for run in self.runs]
        curve = np.full((len(columns), max(map(len, columns), default=0)), np.nan)
        for row, values in zip(curve, columns, strict=True):
            row[: len(values)] = [math.nan if value is None else value for value in values]
        return curve

    def signals(self, quantity: str, when: str = "begin") -> NDArray[np.float64]:
        """Return a quantity of the hidden layers (S, L), those with signals alone; empty (0, 0) if none has."""
        found = [run["signals"][when] for run in self.runs if run.get("signals") and run["signals"].get(when)]
        rows = [[math.nan if layer[quantity] is None else layer[quantity] for layer in layers] for layers in found]
        return np.array(rows, np.float64).reshape(len(rows), -1) if rows else np.empty((0, 0))


def accuracy_after_epochs(history: Mapping[str, Any]) -> list[float]:
    """Return the accuracy after each epoch: of the validation samples or, if there are none, as met in training."""
    for column in ("validation_accuracy", "train_accuracy"):
        values = history.get(column) or []
        if any(value is not None for value in values):
            return [math.nan if value is None else value for value in values]
    return []


def _time_to(history: Mapping[str, Any], target: float) -> float | None:
    for accuracy, seconds in zip(accuracy_after_epochs(history), history.get("train_seconds") or [], strict=False):
        if accuracy >= target and seconds is not None:
            return float(seconds)
    return None


def _accuracy_at(history: Mapping[str, Any], column: str, limit: float) -> float | None:
    found = None
    for accuracy, passed in zip(accuracy_after_epochs(history), history.get(column) or [], strict=False):
        if passed is not None and passed <= limit:
            found = accuracy
    return None if found is None or math.isnan(found) else found
