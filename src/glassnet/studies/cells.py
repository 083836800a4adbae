"""The final runs of one cell: how many finished, how accurate they are, how long they took, how they got there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassnet.studies.evidence import deviation_of, mean_of
from glassnet.studies.job import Record
from glassnet.studies.study import Cell
from glassnet.studies.wording import named

TARGETS = (0.90, 0.95, 0.97, 0.98)
"""The accuracies to which the time is taken."""

OUTCOMES = ("finished", "diverged", "lost")


@dataclass(frozen=True)
class Reach:
    """How long the seeds of a cell took to an accuracy.

    Parameters
    ----------
    reached : seeds that got there
    runs : seeds in all
    mean, deviation : seconds in training steps of those that got there; None where there are too few
    """

    reached: int
    runs: int
    mean: float | None
    deviation: float | None


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
    def seconds(self) -> tuple[float | None, float | None]:
        """Mean and deviation of the seconds in training steps, of the runs that finished."""
        found = [run["train_seconds"] for run in self.finished if run["train_seconds"] is not None]
        return mean_of(found), deviation_of(found)

    @property
    def learning_rate(self) -> float | None:
        """The learning rate that all runs have; None if there is no such."""
        found = {run["config"].get("learning_rate") for run in self.runs} - {None}
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

    def times_to(self, target: float) -> dict[int, float]:
        """Return seed to the seconds in training steps at the end of the first epoch with an accuracy.

        The accuracy is that on validation samples or, where there are none, as met in training.
        """
        return {run["seed"]: time for run in self.runs if (time := _time_to(run["history"], target)) is not None}

    def time_to(self, target: float) -> Reach:
        """Return how long it took to an accuracy, see `times_to`."""
        found = self.times_to(target).values()
        return Reach(len(found), len(self.runs), mean_of(found), deviation_of(found))

    def accuracy_at(self, column: str, limit: float) -> tuple[float | None, float | None]:
        """Return mean and deviation of the accuracy after the last epoch that ended by then.

        Parameters
        ----------
        column : "epoch" or "train_seconds"
        limit : how far, in that column's unit

        Returns
        -------
        tuple
            Shares, on validation samples if there are any, of the runs that have an epoch by then and did not fail.
        """
        found = [value for run in self.finished if (value := _accuracy_at(run["history"], column, limit)) is not None]
        return mean_of(found), deviation_of(found)

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
