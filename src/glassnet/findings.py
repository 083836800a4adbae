"""What can go wrong in a training, told from a few numbers: one rule for each sickness, with its sentence and its cure.

The rules are shared by `glassnet.doctor`, which collects the numbers while a network trains, and the playground.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MANY_DEAD = 0.7
"""The share of dead units of a layer: healthy default runs have up to 0.48 (lion with relu)."""

MANY_SATURATED = 0.5
"""The share of saturated units of a layer: healthy default runs have up to 0.23 (lion with tanh)."""

TWO_SIDED = ("sigmoid", "tanh")
"""Activations that saturate. A rectifier is flat for most samples where its unit looks for something rare, and the
slope of a softmax is small where there are many units."""

VANISHED = 0.01
"""The share of the last layer's gradient that must reach the first one: healthy default runs have 0.23 or more."""

ENDLESS = 100.0
"""How many times the last layer's gradient the first one's may be: healthy default runs have 2.3 or less."""

WORSE = 1.2
"""How many times the loss of the beginning, or the best one since, a loss may be: a batch of luck is not so far off."""

OVERSHOT = 2.0
"""The same where the loss has come down again: what is less, some healthy default runs do at their highest rate."""

CLEARLY = 0.1
"""The share of the loss by chance by which a loss must have risen, too: next to zero any ratio is reached by luck."""

STUCK = 0.95
"""The share of the loss by chance from which on a loss is as good as that."""

SLOW = 0.7
"""The share of the loss by chance that is still much, where the parameters have hardly moved."""

SHRUNK = 0.5
"""The length of the parameters, as a share of that of the first, below which weight decay is strong; training alone
makes them longer."""

HARDLY = 0.05
"""The length of the way of the parameters, as a share of their own: healthy default runs go 0.69 and more."""

_EXPLAINED = {"vanishing-gradient"}
"""What units that are dead or saturated explain."""

LARGE, TINY = 10.0, 0.01
"""Root mean square of an input: that of scaled ones is about 1, of pixels from 0 to 255 about 100, over 255 twice
0.001."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a training.

    Attributes
    ----------
    kind : a word for programs, such as "dead-units"
    layer : where in the network, such as "relu_1"; None where it is in no layer
    step : how many steps had been taken when it was first seen
    seen : what was seen, a sentence with its number
    cure : what to do about it, a sentence

    Examples
    --------
    >>> print(Finding("dead-units", "relu_1", 50, "In relu_1 80 % of the units are dead.", "Lower the learning rate."))
    step 50: In relu_1 80 % of the units are dead. Lower the learning rate.
    """

    kind: str
    layer: str | None
    step: int
    seen: str
    cure: str

    def __str__(self) -> str:
        return f"step {self.step:,}: {self.seen} {self.cure}"


def in_layers(found: Sequence[dict[str, Any]], step: int) -> list[Finding]:
    """Return what is wrong with units and gradients, at most one finding of each kind.

    Parameters
    ----------
    found : what `glassnet.diagnosis.signals` measured
    step : when that was

    Examples
    --------
    >>> one = {"layer": "relu_1", "dead": 0.9, "saturated": 0.0, "gradient_rms": 1.0}
    >>> [finding.kind for finding in in_layers([one], step=50)]
    ['dead-units']
    """
    told = []
    for one in found:
        if one["dead"] >= MANY_DEAD:
            told.append(_dead(one, step))
            break
    for one in found:
        if one["saturated"] >= MANY_SATURATED and _kind(one) in TWO_SIDED:
            name = one["layer"]
            seen = f"In {name} {_percent(one['saturated'])} of the units are saturated: their slope is nearly 0"
            cure = "Smaller first weights such as glorot-uniform" if step == 0 else "A lower learning rate"
            told.append(Finding("saturated-units", name, step, f"{seen} for most samples.", f"{cure}, or relu, helps."))
            break
    return told + [finding for finding in _gradients(found, step) if not (told and finding.kind in _EXPLAINED)]


def _dead(one: dict[str, Any], step: int) -> Finding:
    name = one["layer"]
    seen = f"In {name} {_percent(one['dead'])} of the units are dead: no sample moves them any more."
    if step == 0:
        return Finding("dead-units", name, step, seen, "Other first weights, such as he-normal, help.")
    if _kind(one) in TWO_SIDED:
        return Finding("dead-units", name, step, seen, "A lower learning rate, or smaller first weights, helps.")
    return Finding("dead-units", name, step, seen, "A lower learning rate, or leaky-relu, helps.")


def _gradients(found: Sequence[dict[str, Any]], step: int) -> list[Finding]:
    """Return whether the gradient vanishes or explodes on its way from the last layer to the first."""
    spread = [one["gradient_rms"] for one in found]
    if len(spread) < 2 or not all(map(math.isfinite, spread)) or spread[-1] <= 0:
        return []
    share, first, last = spread[0] / spread[-1], found[0]["layer"], found[-1]["layer"]
    if share < VANISHED:
        seen = f"The gradient vanishes: what reaches {first} is {share:.1e} of what {last} gets."
        cure = "Relu with he-normal weights, or fewer layers, lets it through."
        return [Finding("vanishing-gradient", first, step, seen, cure)]
    if share > ENDLESS:
        seen = f"The gradient explodes on its way back: {first} gets {share:,.0f} times as much as {last}."
        return [Finding("exploding-gradient", first, step, seen, "Smaller first weights such as he-normal help.")]
    return []


def rising_loss(losses: Sequence[float], step: int, rate: float | None = None) -> list[Finding]:
    """Return whether a loss is higher than it was at first, the two newest times.

    Parameters
    ----------
    losses : measured in the same way, the first before any step
    step : of the newest
    rate : the learning rate, if it is to be named

    Examples
    --------
    >>> rising_loss([2.3, 3.1, 4.0], 50, 0.8)[0].cure
    'Try 0.08 in place of 0.8.'
    """
    if len(losses) < 3 or not min(losses[-2:]) > WORSE * losses[0]:
        return []
    return [_too_high(f"The loss has risen to {losses[-1]:.3g} from {losses[0]:.3g} at first", step, rate)]


def _too_high(seen: str, step: int, rate: float | None) -> Finding:
    cure = "A tenth of it is a good next try." if rate is None else f"Try {rate / 10:.2g} in place of {rate:.2g}."
    return Finding("rate-too-high", None, step, f"{seen}: the learning rate is too high.", cure)


@dataclass(frozen=True)
class Course:
    """How a training has gone so far.

    Attributes
    ----------
    step : steps so far
    rate : the highest learning rate so far
    chance : loss of the best answer that looks at no input
    first : loss before the first step
    worst : the highest mean of an epoch
    best : the lowest loss that was measured
    epoch : the mean of the newest epoch
    now : the newest loss that was measured
    moved : length of the way from the first parameters to those of now, as a share of the length of the first
    sick : whether units, gradients or data were found to be sick before the loss could tell
    hurt : whether that was so only after some steps, of units
    unseen : accuracy of the validation samples, and that of the best answer that looks at no input, where it is no more
    decay : the name of the weight decay, and how much it is
    length : length of the parameters of now, as a share of that of the first
    """

    step: int
    rate: float
    chance: float
    first: float
    worst: float
    best: float
    epoch: float
    now: float
    moved: float
    sick: bool
    hurt: bool = False
    unseen: tuple[float, float] | None = None
    decay: tuple[str, float] = "l2", 0.0
    length: float = math.nan


def in_course(course: Course) -> list[Finding]:
    """Return what is wrong with the loss: one finding, the first that explains it, or none.

    Examples
    --------
    >>> well = Course(1375, 0.008, 2.3, first=2.4, worst=0.5, best=0.03, epoch=0.04, now=0.03, moved=1.7, sick=False)
    >>> in_course(well)
    []
    """
    step, rate, chance, now = course.step, course.rate, course.chance, course.now
    name, decay = course.decay
    if decay > 0 and course.length < SHRUNK and now > SLOW * chance:
        seen = (
            f"The weight decay is too strong: after {step:,} steps the parameters have {_percent(course.length)} of "
            f"the length that they began with, and the loss is {now:.3g}."
        )
        return [
            Finding("decay-too-strong", None, step, seen, f"Try {decay / 10:.6g} in place of {decay:.6g} ({name}).")
        ]
    at_most = (WORSE if now > SLOW * chance else OVERSHOT) * max(course.first, chance)
    if course.worst > at_most:
        return [_too_high(f"The loss has risen to {course.worst:.3g} from {course.first:.3g} at first", step, rate)]
    if now > WORSE * course.best and now - course.best > CLEARLY * chance:
        return [_too_high(f"The loss has risen to {now:.3g} after it had been at {course.best:.3g}", step, rate)]
    if now > SLOW * chance and course.moved < HARDLY and not course.sick:
        seen = (
            f"The loss is still {now:.3g} after {step:,} steps, and the parameters have moved by "
            f"{_percent(course.moved, 2)} of their length: the learning rate is too low."
        )
        return [Finding("rate-too-low", None, step, seen, f"Try {10 * rate:.2g} in place of {rate:.2g}.")]
    at_chance = STUCK * chance < course.epoch < chance / STUCK and now > SLOW * chance
    stands = at_chance or now > STUCK * max(course.first, chance)
    if course.hurt and stands:
        seen = f"After {step:,} steps the loss is {now:.3g}, no less than without looking at the input"
        return [_too_high(seen, step, rate)]
    if course.sick and stands:
        seen = f"The loss does not move: it is {now:.3g} after {step:,} steps, and was {course.first:.3g} at first."
        return [Finding("loss-stands-still", None, step, seen, "Cure what else was found first.")]
    if not course.sick and at_chance:
        seen = (
            f"The labels look shuffled: the parameters have moved, and after {step:,} steps the loss is {now:.3g}, as "
            f"much as without looking at the input ({chance:.3g})."
        )
        return [_shuffled(seen, step)]
    if course.unseen is not None and now < SLOW * chance:
        reached, largest = course.unseen
        seen = (
            f"The labels look shuffled: what was learnt holds for no other samples, since {_percent(reached, 1)} of "
            f"those that validate are right, where always the same answer has {_percent(largest, 1)}."
        )
        return [_shuffled(seen, step)]
    return []


def _shuffled(seen: str, step: int) -> Finding:
    cure = "Look at some samples beside their labels: files may be in different orders."
    return Finding("labels-shuffled", None, step, seen, cure)


def _kind(one: dict[str, Any]) -> str:
    kind: str = one["layer"].partition("_")[0]
    return kind


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"
