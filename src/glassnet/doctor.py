"""The training doctor: a listener that looks at a run from cheap statistics, and says what is wrong and what to do.

It looks at the data before the first step; at activations and gradients of a few samples now and then, closer in the
beginning; and at the course of the loss from the middle of the run on. The rules are those of `glassnet.findings`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassnet.data import DataSet, Samples
from glassnet.diagnosis import look
from glassnet.findings import LARGE, TINY, Course, Finding, in_course, in_layers, rising_loss
from glassnet.layers import Dense
from glassnet.losses import dense_targets
from glassnet.network import Network
from glassnet.training import Begin, EpochEnd, Event, Listener, Steps, Training

Array = NDArray[Any]

LOOKED_AT = 100
"""Training samples of a look, spread over all of them: a look takes as long as about three default steps."""

LOOKED_AT_AGAIN = 500
"""Samples of a second look where so many units seem dead: some wait for what is rarer than one in a hundred."""

FIRST_LOOKS = (2_000, 10_000)
"""Training samples after which to look, besides the beginning: what breaks, breaks early."""

LOOK_EVERY = 1000 * LOOKED_AT
"""Training samples between two later looks, which so cost about a hundredth of the run."""

ENOUGH = 200
"""Steps before the loss is judged: of fewer nobody expects much."""

ENOUGH_UNSEEN = 100
"""Validation samples that tell luck from learning."""

LEARNT = 0.1
"""By how much more than by chance training samples must be right, where validation samples are right by chance."""

_RUINED = {"dead-units", "saturated-units"}
_UNITS = _RUINED | {"vanishing-gradient", "exploding-gradient"}
_CAUSES = _UNITS | {"units-alike", "inputs-constant", "inputs-not-scaled"}
"""What explains a loss that does not move, if it was there early."""

_BAD_NUMBER = re.compile(r"training diverged at step (\d+) .*?: the first bad number was (.+?); the parameters")
_LAYER = re.compile(r"\b[a-z]+_\d+\b")


@dataclass(frozen=True)
class _Look:
    step: int
    loss: float
    found: list[Finding]


class Doctor(Listener):
    """Looks whether a training is healthy.

    The run stays the same, bit for bit. Findings of units and gradients are those that two looks in a row confirm. A
    doctor has no state that is saved: in a run that goes on from a checkpoint it knows what it sees from then on.

    Attributes
    ----------
    findings : so far, in the order in which they were made; each kind at most once
    seconds : time that was spent on looking

    Examples
    --------
    Inputs from 0 to 255, and a class without samples:

    >>> from glassnet import Adam, Dense, ReLU, Softmax, fit, from_arrays
    >>> x = np.random.default_rng(0).uniform(0.0, 255.0, size=(300, 5))
    >>> data = from_arrays(x, (x[:, 0] > x[:, 1]).astype(int), class_names=["left", "right", "middle"])
    >>> doctor = Doctor()
    >>> network = Network([Dense(8), ReLU(), Dense(3), Softmax()], 5)
    >>> result = fit(network, data, Adam(0.001), listeners=[doctor])
    >>> for finding in doctor.findings:
    ...     print(finding)
    step 0: 1 of 3 classes has no training sample: middle. Give it some, or leave it out; ...
    step 0: The inputs are not scaled: they go from ... to 254. Bring them to about 0 to 1, ...
    """

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.seconds = 0.0
        self._next = 0

    def notify(self, event: Event, run: Training) -> None:
        """Look if it is time to."""
        if isinstance(event, Steps) and run.samples < self._next:
            return
        begin = perf_counter()
        if isinstance(event, Begin):
            self._begin(run)
        elif isinstance(event, Steps):
            self._look(run)
        elif isinstance(event, EpochEnd):
            self._epoch_end(event.row, run)
        self.seconds += perf_counter() - begin

    def _begin(self, run: Training) -> None:
        self.findings, self.seconds, self._looks = [], 0.0, list[_Look]()
        self._epochs: list[float] = []  # the mean training loss of each
        self._samples = _samples(run, LOOKED_AT)
        self._start = run.network.theta.copy() if run.step == 0 else None
        self._chance, self._rate = loss_by_chance(run), _peak(run)
        self._later = [run.samples + after for after in FIRST_LOOKS]
        self._add(missing_classes(run.data))
        self._add(odd_inputs(self._samples[0]))
        self._add(units_alike(run.network))
        self._look(run)

    def _add(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            kinds = {known.kind for known in self.findings}
            follows = finding.kind == "rate-too-high" and "inputs-not-scaled" in kinds
            if finding.kind not in kinds and not follows:
                self.findings.append(finding)

    def _look(self, run: Training) -> None:
        """Look at the network as it is now."""
        assert run.loss is not None
        run.publish()
        x, t, weights = self._samples
        loss, found = look(run.network, x, t, run.loss, weights)
        told = in_layers(found, run.step)
        if any(finding.kind == "dead-units" for finding in told):
            x, t, weights = _samples(run, LOOKED_AT_AGAIN)
            told = in_layers(look(run.network, x, t, run.loss, weights)[1], run.step)
        before = {finding.kind: finding for finding in (self._looks[-1].found if self._looks else [])}
        self._add(before[finding.kind] for finding in told if finding.kind in before)
        self._looks.append(_Look(run.step, loss, told))
        first, *others = (one.loss for one in self._looks)
        self._add(rising_loss([max(first, self._chance), *others], run.step, self._rate))
        self._later = [at for at in self._later if at > run.samples]
        self._next = self._later[0] if self._later else run.samples + LOOK_EVERY

    def _epoch_end(self, row: dict[str, float], run: Training) -> None:
        bad = _BAD_NUMBER.match(run.stopped or "")
        if bad is not None:
            self._diverged(int(bad[1]), bad[2], run)
            return
        over = bool(run.stopped) or run.step >= run.total_steps
        self._epochs.append(row["train_loss"])
        if over or run.samples >= self._next:
            self._look(run)
        if run.step >= ENOUGH and (over or 2 * run.step >= run.total_steps) and self._chance > 0:
            self._judge(row, run)

    def _diverged(self, step: int, what: str, run: Training) -> None:
        layer = _LAYER.search(what)
        unscaled = any(finding.kind == "inputs-not-scaled" for finding in self.findings)
        cure = "Scale the inputs first." if unscaled else f"Try a learning rate of {self._rate / 10:.2g}."
        name = None if layer is None else layer[0]
        self.findings = [finding for finding in self.findings if finding.step <= step]  # later ones were of bad numbers
        self._add([Finding("bad-number", name, step, f"{what[0].upper()}{what[1:]} ended the training.", cure)])

    def _judge(self, row: dict[str, float], run: Training) -> None:
        """Look at the course of the loss."""
        measured = [*(one.loss for one in self._looks), *self._epochs]
        early, newest = self._looks[: len(FIRST_LOOKS) + 1][-1].step, self._looks[-1]
        fresh = newest.step == run.step
        causes = [finding for finding in self.findings if finding.kind in _CAUSES and finding.step <= early]
        moved, length = self._way(run.network)
        course = Course(
            step=run.step,
            rate=self._rate,
            chance=self._chance,
            first=self._looks[0].loss,
            worst=max(self._epochs),
            best=min(measured),
            epoch=self._epochs[-1],
            now=newest.loss if fresh else min(newest.loss, self._epochs[-1]),
            moved=moved,
            sick=bool(causes),
            hurt=bool(causes) and all(finding.kind in _RUINED and finding.step > 0 for finding in causes),
            unseen=by_luck(row, run) if fresh else None,
            decay=max(("l2", run.optimizer.l2), ("weight_decay", run.optimizer.weight_decay), key=lambda one: one[1]),
            length=length,
        )
        found = in_course(course)
        if any(finding.kind == "labels-shuffled" for finding in found):  # where nothing can be learnt, units die of it
            self.findings = [finding for finding in self.findings if finding.kind not in _UNITS]
        if any(finding.kind == "decay-too-strong" for finding in found):  # of weights that are nearly gone
            self.findings = [finding for finding in self.findings if finding.kind not in _CAUSES or finding.step == 0]
        self._add(found)

    def _way(self, network: Network) -> tuple[float, float]:
        """Return how far the parameters have gone and how long they are, as shares of their first length, or NaN."""
        first = 0.0 if self._start is None else float(np.linalg.norm(self._start))
        if not first:
            return math.nan, math.nan
        return float(np.linalg.norm(network.theta - self._start)) / first, float(np.linalg.norm(network.theta)) / first


def _samples(run: Training, count: int) -> tuple[Array, Array, Array | None]:
    """Return some training samples, spread over all of them: preprocessed features, targets, and weights."""
    train = run.plan.samples
    rows = np.linspace(0, len(train) - 1, min(count, len(train))).astype(np.intp)
    x = run.data.preprocessing.apply(train.features[rows], dtype=run.network.dtype)
    weights = None if train.weights is None else train.weights[rows]
    return x, train.targets[rows], weights if weights is not None and weights.any() else None


def _peak(run: Training) -> float:
    """Return the highest learning rate of a run, but for what lies between two of some hundred steps."""
    schedule, steps = run.optimizer.schedule, max(run.total_steps, 1)
    return max(schedule(step) for step in range(0, steps, steps // 200 + 1))


def loss_by_chance(run: Training) -> float:
    """Return the mean training loss of the best answer that is the same for every sample.

    Of classes and softmax cross-entropy it is the entropy of their shares, of a squared error half the variance.

    Examples
    --------
    >>> from glassnet import Softmax, from_arrays
    >>> data = from_arrays(np.zeros((4, 2)), [0, 1, 2, 3], validation=0)
    >>> round(loss_by_chance(Training(Network([Dense(4), Softmax()], 2), data)), 6)  # log 4
    1.386294
    """
    assert run.loss is not None
    samples, outputs, loss = run.plan.samples, run.network.output_shape[0], run.loss.unsmoothed()
    if samples.targets.ndim == 1:
        weights = np.bincount(samples.targets, samples.weights, max(outputs, 2)).astype(np.float64)
        t = dense_targets(np.arange(len(weights)), outputs, np.float64)  # one row for each class
    else:
        t = samples.targets.astype(np.float64)
        weights = np.ones(len(t)) if samples.weights is None else samples.weights.astype(np.float64)
    mean = np.average(t, axis=0, weights=weights)
    some = np.clip(mean, 1e-12, 1 - 1e-12)
    answers = {"Softmax": np.log(some), "Sigmoid": np.log(some / (1 - some))}
    answer = answers.get(loss.fused_with or "", mean)
    return loss.value(np.broadcast_to(answer, t.shape), t, weights, float(weights.sum()))


def missing_classes(data: DataSet) -> list[Finding]:
    """Return whether there are classes without a training sample."""
    targets, names = data.train.targets, data.class_names
    if names is None:
        return []
    there = (
        np.bincount(targets, minlength=len(names)) > 0 if targets.ndim == 1 else np.count_nonzero(targets, axis=0) > 0
    )
    missing = [name for name, some in zip(names, there, strict=True) if not some]
    if not missing:
        return []
    listed = ", ".join(missing[:10]) + (" and others" if len(missing) > 10 else "")
    one = len(missing) == 1
    seen = f"{len(missing)} of {len(names)} classes {'has' if one else 'have'} no training sample: {listed}."
    cure = (
        f"Give {'it' if one else 'them'} some, or leave {'it' if one else 'them'} out; samples that are sorted by "
        "class must be mixed, since the last ones validate."
    )
    return [Finding("classes-missing", None, 0, seen, cure)]


def odd_inputs(x: Array) -> list[Finding]:
    """Return whether inputs (n, ...), as the network sees them, are all the same, far from 1, or tiny."""
    x = x.reshape(len(x), -1)  # (n, ...) -> (n, D)
    low, high = float(x.min()), float(x.max())
    if len(x) > 1 and not np.ptp(x, axis=0).any():
        cure = "Look how they are read: there is nothing to tell them apart by."
        return [Finding("inputs-constant", None, 0, f"The {len(x)} samples looked at are all the same.", cure)]
    size = float(np.sqrt(np.square(x, dtype=np.float64).mean(axis=0)).max())  # of the largest input
    if TINY <= size <= LARGE:
        return []
    cure = "Bring them to about 0 to 1, or take away each one's mean and divide by its standard deviation."
    seen = f"The inputs are not scaled: they go from {low:.3g} to {high:.3g}."
    return [Finding("inputs-not-scaled", None, 0, seen, cure)]


def units_alike(network: Network) -> list[Finding]:
    """Return whether a hidden layer has units that all begin with the same weights, and so learn the same."""
    dense = [i for i, layer in enumerate(network.layers) if isinstance(layer, Dense)]
    for i in dense[:-1]:
        w = network.params[i].W  # (I, O)
        if w.shape[1] > 1 and not np.ptp(w, axis=1).any():
            seen = f"The units of {network.names[i]} all begin with the same weights, so they learn the same."
            cure = "Random first weights, such as he-normal, tell them apart."
            return [Finding("units-alike", network.names[i], 0, seen, cure)]
    return []


def by_luck(row: dict[str, float], run: Training) -> tuple[float, float] | None:
    """Return accuracy and share of the largest class of the validation samples, if one is no better than the other.

    That is: within two standard errors, while training samples are right more often than by chance.
    """
    validation: Samples = run.data.validation
    if not run.validates or validation.targets.ndim != 1 or len(validation) < ENOUGH_UNSEEN:
        return None
    largest = float(np.bincount(validation.targets).max()) / len(validation)
    error = math.sqrt(largest * (1.0 - largest) / len(validation))
    reached, learnt = row["validation_accuracy"], row["train_accuracy"] - largest > LEARNT
    return (reached, largest) if learnt and reached <= largest + 2.0 * error else None
