"""Learning rate as a pure function of the step.

A schedule is any function of the step (0 for the first one) that returns the learning rate of that step. It
remembers nothing, so a resumed run and a plot need only call it. From the plainest to the one with most to
say: `Constant`, `Step`, `Cosine`, `OneCycle`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from glassnet.checks import check_count, check_number

Schedule: TypeAlias = Callable[[int], float]
"""Step (0-based) to learning rate."""


@dataclass(frozen=True)
class Constant:
    """The same learning rate at every step.

    lr(k) = learning_rate

    Parameters
    ----------
    learning_rate : float
        The rate, above 0.

    Raises
    ------
    ConfigError
        If the rate is not above 0.

    Examples
    --------
    >>> Constant(0.1)(1000)
    0.1

    References
    ----------
    Robbins & Monro (1951), "A stochastic approximation method", asks for rates whose sum diverges and whose
    squares' sum does not. Constant rates are not among them: on noisy gradients the loss hovers above its
    minimum instead of reaching it, which is why the schedules below end low. Every library takes a plain
    number to mean this.
    """

    learning_rate: float

    def __post_init__(self) -> None:
        check_number("learning_rate", self.learning_rate, above=0)

    def __call__(self, step: int) -> float:
        """Learning rate of a step (0-based)."""
        return self.learning_rate


@dataclass(frozen=True)
class Step:
    """A staircase: the rate is multiplied by `factor` every `every` steps.

    lr(k) = learning_rate * factor^floor(k / every)

    Parameters
    ----------
    learning_rate : float
        The rate of the first `every` steps, above 0.
    every : int
        Steps on one stair, at least 1.
    factor : float
        What each stair is of the one before, between 0 and 1.

    Raises
    ------
    ConfigError
        If an argument is out of its bounds.

    Examples
    --------
    >>> schedule = Step(0.8, every=10, factor=0.5)
    >>> [schedule(k) for k in (0, 9, 10, 20)]
    [0.8, 0.8, 0.4, 0.2]

    References
    ----------
    He, Zhang, Ren & Sun (2016), "Deep residual learning for image recognition", section 3.4: divided by 10
    where the error stands still. PyTorch's `StepLR` counts its own calls, by custom one an epoch; Keras's
    `ExponentialDecay(staircase=True)` counts steps, as here.
    """

    learning_rate: float
    every: int
    factor: float = 0.1

    def __post_init__(self) -> None:
        check_number("learning_rate", self.learning_rate, above=0)
        check_count("every", self.every, least=1)
        check_number("factor", self.factor, above=0, below=1)

    def __call__(self, step: int) -> float:
        """Learning rate of a step (0-based)."""
        return self.learning_rate * self.factor ** (step // self.every)


@dataclass(frozen=True)
class Cosine:
    """A linear warm-up, then half a cosine down to `final` on the last step.

    With w = warmup and T = steps - 1 - w, the number of steps from the peak to the last one::

        k <  w:  lr(k) = learning_rate (k + 1) / (w + 1)
        k >= w:  lr(k) = final + 1/2 (learning_rate - final) (1 + cos(pi min(k - w, T) / T))

    The first step has a rate above 0, step `warmup` has the peak, step `steps - 1` has exactly `final`, and
    so has every step after it.

    Parameters
    ----------
    learning_rate : float
        The peak, above 0.
    steps : int
        Steps of the whole run, warm-up included, at least `warmup` + 2.
    warmup : int
        Steps before the peak, at least 0.
    final : float
        The rate of the last step, from 0 to `learning_rate` (if equal, the rate stays constant after the
        warm-up).

    Raises
    ------
    ConfigError
        If an argument is out of its bounds.

    Examples
    --------
    >>> schedule = Cosine(0.4, steps=8, warmup=3)
    >>> [round(schedule(k), 3) for k in range(9)]
    [0.1, 0.2, 0.3, 0.4, 0.341, 0.2, 0.059, 0.0, 0.0]

    References
    ----------
    Loshchilov & Hutter (2017), "SGDR: Stochastic gradient descent with warm restarts", equation 5, one cycle
    and no restart. PyTorch's `CosineAnnealingLR(T_max)` and Keras's `CosineDecay(decay_steps)` reach `final`
    one step after the last of T_max steps; here `final` is the rate that the last step has, as in `OneCycle`.
    With `final` 0 the last step therefore changes nothing; ``steps=n + 1`` in a run of n gives the other
    reading. PyTorch has no warm-up in this class, and Keras's starts at a rate of 0 by default, so that its
    first step does nothing.
    """

    learning_rate: float
    steps: int
    warmup: int = 0
    final: float = 0.0

    def __post_init__(self) -> None:
        check_number("learning_rate", self.learning_rate, above=0)
        check_count("warmup", self.warmup, least=0)
        check_count("steps", self.steps, least=self.warmup + 2)
        check_number("final", self.final, least=0, most=self.learning_rate)

    def __call__(self, step: int) -> float:
        """Learning rate of a step (0-based)."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / (self.warmup + 1)
        t = min(1.0, (step - self.warmup) / (self.steps - 1 - self.warmup))
        return _half_cosine(self.learning_rate, self.final, t)


@dataclass(frozen=True)
class OneCycle:
    """Up and down once: half a cosine up to the peak, half a cosine down far below the start.

    With peak step p = max(0, warmup_fraction * steps - 1), which need not be whole, and
    h(a, b, t) = b + 1/2 (a - b) (1 + cos(pi t)), half a cosine from a to b::

        k <  p:  lr(k) = h(initial_factor * learning_rate, learning_rate, k / p)
        k >= p:  lr(k) = h(learning_rate, final_factor * learning_rate, min(1, (k - p) / (steps - 1 - p)))

    After `steps` it stays at its final value.

    Parameters
    ----------
    learning_rate : float
        The peak, above 0.
    steps : int
        Steps of the whole run, at least 2.
    warmup_fraction : float
        Part of the run before the peak, at least 0 and below 1.
    initial_factor : float
        Rate of the first step as a part of the peak, above 0 and at most 1.
    final_factor : float
        Rate of the last step as a part of the peak, from 0 to 1.

    Raises
    ------
    ConfigError
        If an argument is out of its bounds.

    Examples
    --------
    >>> schedule = OneCycle(1.0, steps=10)
    >>> [round(schedule(k), 4) for k in (0, 1, 2, 9)]
    [0.04, 0.52, 1.0, 0.0001]

    References
    ----------
    Smith & Topin (2018), "Super-convergence: Very fast training of neural networks using large learning
    rates". The paper rises and falls linearly, for the same number of steps, and then falls further; two
    phases, cosines and a shorter rise are fastai's and PyTorch's `OneCycleLR`, which these rates equal except
    that (1) PyTorch's final rate is the initial one divided by ``final_div_factor``: its defaults are
    ``final_factor=4e-6`` here, not 1e-4; (2) PyTorch also moves the momentum from 0.95 to 0.85 and back; here
    the momentum stays; (3) PyTorch refuses a step after the last one; (4) where ``warmup_fraction * steps``
    is at most 1, the first step has the peak (PyTorch divides by zero at exactly 1). Keras has no such
    schedule.
    """

    learning_rate: float
    steps: int
    warmup_fraction: float = 0.3
    initial_factor: float = 1 / 25
    final_factor: float = 1e-4

    def __post_init__(self) -> None:
        check_number("learning_rate", self.learning_rate, above=0)
        check_count("steps", self.steps, least=2)
        check_number("warmup_fraction", self.warmup_fraction, least=0, below=1)
        check_number("initial_factor", self.initial_factor, above=0, most=1)
        check_number("final_factor", self.final_factor, least=0, most=1)

    def __call__(self, step: int) -> float:
        """Learning rate of a step (0-based)."""
        peak = self.learning_rate
        p = max(0.0, self.warmup_fraction * self.steps - 1)
        if step < p:
            return _half_cosine(self.initial_factor * peak, peak, step / p)
        t = min(1.0, (step - p) / (self.steps - 1 - p))
        return _half_cosine(peak, self.final_factor * peak, t)


def _half_cosine(start: float, end: float, t: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * t)) / 2  # SGDR (5): start at t = 0, end at t = 1
