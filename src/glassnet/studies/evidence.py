"""What a few seeds can tell: means with their spread, differences on the same seeds, and a correction for many of them.

Student's t for whole degrees of freedom is a finite sum, so none of it needs SciPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

LEVEL = 0.05
"""A difference is called real if its corrected p is below this; intervals hold 1 - LEVEL of the probability."""


def mean_of(values: Iterable[float]) -> float | None:
    """Return the mean, or None of nothing.

    Examples
    --------
    >>> mean_of([1.0, 2.0, 6.0]), mean_of([])
    (3.0, None)
    """
    found = list(values)
    return math.fsum(found) / len(found) if found else None


def deviation_of(values: Iterable[float]) -> float | None:
    """Return the sample standard deviation, or None of fewer than two values.

        s = sqrt(sum_i (x_i - mean)^2 / (n - 1))

    Examples
    --------
    >>> deviation_of([2.0, 4.0, 4.0, 6.0]) == math.sqrt(8 / 3), deviation_of([7.0])
    (True, None)
    """
    found = list(values)
    if len(found) < 2 or (mean := mean_of(found)) is None:
        return None
    return math.sqrt(math.fsum((value - mean) ** 2 for value in found) / (len(found) - 1))


def student_within(t: float, degrees: int) -> float:
    """Return the probability that Student's t lies between -t and t.

    With theta = atan(t / sqrt(nu)),

        A = 2/pi theta                                                                          nu = 1
        A = 2/pi (theta + sin theta (cos theta + 2/3 cos^3 theta + ...
              + (2 4 ... (nu-3)) / (3 5 ... (nu-2)) cos^(nu-2) theta))                          nu odd
        A = sin theta (1 + 1/2 cos^2 theta + (1 3)/(2 4) cos^4 theta + ...
              + (1 3 ... (nu-3)) / (2 4 ... (nu-2)) cos^(nu-2) theta)                           nu even

    Parameters
    ----------
    t : 0 or more; may be infinite
    degrees : degrees of freedom, nu, 1 or more

    Examples
    --------
    >>> round(student_within(1.0, 1), 12), round(student_within(2.262157, 9), 6)
    (0.5, 0.95)

    References
    ----------
    M. Abramowitz, I. A. Stegun (1964), Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
    """
    theta = math.atan(t / math.sqrt(degrees))
    sine, cosine = math.sin(theta), math.cos(theta)
    odd = degrees % 2
    term = cosine if odd else 1.0
    terms = [term] if degrees > 1 else []
    for k in range(2 + odd, degrees - 1, 2):  # term_k = term_(k-2) (k-1)/k cos^2 theta
        term *= (k - 1) / k * cosine**2
        terms.append(term)
    total = sine * math.fsum(terms)
    return min(2 / math.pi * (theta + total) if odd else total, 1.0)


def two_sided_p(t: float, degrees: int) -> float:
    """Return the probability that Student's t is at least as far from 0 as `t`, to about 1e-15.

    Examples
    --------
    >>> round(two_sided_p(2.0, 5), 6), two_sided_p(0.0, 7)
    (0.101939, 1.0)
    """
    return 1.0 - student_within(abs(t), degrees)


@cache
def student_quantile(degrees: int, share: float = 1 - LEVEL) -> float:
    """Return the t for which `share` of Student's distribution lies between -t and t, found by halving.

    Examples
    --------
    >>> round(student_quantile(9), 6)
    2.262157
    """
    high = 1.0
    while student_within(high, degrees) < share:
        high *= 2
    low = 0.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if student_within(middle, degrees) < share else (low, middle)
    return high


def holm(ps: Sequence[float]) -> list[float]:
    """Return the p values corrected for being many, by Holm's step-down rule, in the order given.

    With p_(1) <= ... <= p_(m),

        corrected p_(i) = max over j <= i of min(1, (m - j + 1) p_(j))

    so that the chance of even one false "real" among all of them stays below the level.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]

    References
    ----------
    S. Holm (1979), A simple sequentially rejective multiple test procedure.
    """
    corrected = [0.0] * len(ps)
    largest = 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[i]))
        corrected[i] = largest
    return corrected


@dataclass(frozen=True)
class Paired:
    """The difference of two settings on the same seeds.

    Parameters
    ----------
    count : seeds that both have, n
    difference : mean of first minus second; None without a seed
    deviation : sample standard deviation of the differences; None with fewer than two seeds
    interval : the 95 % interval of the mean; None where there is no spread to tell it from
    p : two-sided, of Student's t with n - 1 degrees of freedom; None like the interval
    corrected : p after a correction over the whole family of differences, see `corrected`; None like p
    """

    count: int
    difference: float | None
    deviation: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None
    corrected: float | None = None

    @property
    def real(self) -> bool:
        """Whether the corrected p is below `LEVEL`."""
        return self.corrected is not None and self.corrected < LEVEL

    @property
    def turned(self) -> Paired:
        """The difference of second minus first."""
        interval = None if self.interval is None else (-self.interval[1], -self.interval[0])
        return replace(self, difference=None if self.difference is None else -self.difference, interval=interval)


def paired(first: Mapping[int, float], second: Mapping[int, float]) -> Paired:
    """Compare two settings on the seeds that both have.

        t = d / (s / sqrt(n)),    d, s : mean and sample standard deviation of the n differences

    Parameters
    ----------
    first, second : seed to value

    Returns
    -------
    Paired
        Of first minus second, its p not corrected yet. Where the differences are all the same, or fewer than two,
        there is no spread, so neither interval nor p.

    Examples
    --------
    >>> a = paired({0: 3.0, 1: 5.0, 2: 4.0}, {0: 2.0, 1: 3.0, 2: 1.0, 3: 9.0})
    >>> a.count, a.difference, a.deviation, round(a.p, 4)
    (3, 2.0, 1.0, 0.0742)
    """
    differences = [first[seed] - second[seed] for seed in first if seed in second]
    n, d, s = len(differences), mean_of(differences), deviation_of(differences)
    if d is None or not s or s < 1e-12 * max(map(abs, differences)):  # what rounding leaves is no spread
        return Paired(n, d, s)
    error = s / math.sqrt(n)
    half = student_quantile(n - 1) * error
    return Paired(n, d, s, (d - half, d + half), two_sided_p(d / error, n - 1))


def bonferroni(ps: Sequence[float]) -> list[float]:
    """Return the p values, each times their number.

    Examples
    --------
    >>> bonferroni([0.01, 0.04, 0.5])
    [0.03, 0.12, 1.0]
    """
    return [min(1.0, len(ps) * p) for p in ps]


def corrected(family: Sequence[Paired], rule: Callable[[Sequence[float]], list[float]] = holm) -> list[Paired]:
    """Return a family of differences with their p corrected by `rule`; those without a p do not count.

    Examples
    --------
    >>> [a.corrected for a in corrected([Paired(5, 1.0, p=0.01), Paired(1, 2.0), Paired(5, 1.0, p=0.5)])]
    [0.02, None, 0.5]
    """
    tested = [i for i, one in enumerate(family) if one.p is not None]
    found = list(family)
    for i, p in zip(tested, rule([float(family[i].p or 0.0) for i in tested]), strict=True):
        found[i] = replace(family[i], corrected=p)
    return found
