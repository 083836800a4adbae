"""How a report writes its numbers: percent, seconds, learning rates, and lists in a sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from glassnet.studies.study import value_name

NONE = "–"
"""What stands where there is no number."""

NAMED = 5
"""How many cells a sentence names before it counts the others."""

_RULES = {"2019": "rule of 2019", "gradient": "true gradient"}
_BREAKS = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_BARE = ("full", "none", "auto", "")  # texts that say nothing without their axis


def printable(text: str) -> str:
    """Return a text in one line, with a replacement character for each character that can not be shown.

    Examples
    --------
    >>> printable("a\\x00b\\nc") == "a\\N{REPLACEMENT CHARACTER}b c"
    True
    """
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", _BREAKS.sub(" ", text))


def percent(mean: float | None, deviation: float | None = None, unit: str = " %") -> str:
    """Write a share of 0 to 1 as percent, with its standard deviation if there is one.

    Examples
    --------
    >>> percent(0.98051), percent(0.98051, 0.0012), percent(None)
    ('98.05 %', '98.05 ± 0.12 %', '–')
    """
    if mean is None:
        return NONE
    spread = "" if deviation is None else f" ± {100 * deviation:.2f}"
    return f"{100 * mean:.2f}{spread}{unit}"


def points(difference: float | None, *, sign: bool = True) -> str:
    """Write a difference of shares in points of a percent.

    Examples
    --------
    >>> points(0.0123), points(-0.0005), points(-0.0123, sign=False), points(None)
    ('+1.23', '−0.05', '1.23', '–')
    """
    if difference is None:
        return NONE
    text = f"{100 * abs(difference):.2f}"
    if not sign or not float(text):
        return text
    return ("−" if difference < 0 else "+") + text


def interval(ends: tuple[float, float] | None) -> str:
    """Write an interval of differences of shares, in points.

    Examples
    --------
    >>> interval((-0.0005, 0.0123)), interval(None)
    ('−0.05 to +1.23', '–')
    """
    return NONE if ends is None else f"{points(ends[0])} to {points(ends[1])}"


def probability(p: float | None) -> str:
    """Write a p value.

    Examples
    --------
    >>> probability(0.0123), probability(1e-9), probability(None)
    ('0.012', '< 0.001', '–')
    """
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def seconds(mean: float | None, deviation: float | None = None, unit: str = " s") -> str:
    """Write seconds with three digits, the deviation to the same place.

    Examples
    --------
    >>> seconds(1.2345, 0.056), seconds(36.5, unit=""), seconds(12345.6, 78.0), seconds(0.04567), seconds(None)
    ('1.23 ± 0.06 s', '36.5', '12,346 ± 78 s', '0.046 s', '–')
    """
    if mean is None:
        return NONE
    digits = min(max(2 - math.floor(math.log10(mean)), 0), 3) if mean > 0 else 0
    spread = "" if deviation is None else f" ± {deviation:,.{digits}f}"
    return f"{mean:,.{digits}f}{spread}{unit}"


def duration(total: float) -> str:
    """Write a long time in the units a person would take.

    Examples
    --------
    >>> duration(42.4), duration(750), duration(5025), duration(200_000)
    ('42 s', '12 min 30 s', '1 h 24 min', '55 h 33 min')
    """
    if total < 60:
        return f"{total:.0f} s" if total >= 10 else f"{total:.2g} s"
    if total < 3600:
        return f"{round(total) // 60} min {round(total) % 60} s"
    minutes = round(total / 60)
    return f"{minutes // 60} h {minutes % 60} min"


def times(ratio: float) -> str:
    """Write a ratio as a factor, with two digits.

    Examples
    --------
    >>> times(3.14159), times(120.0), times(0.00123)
    ('3.1', '120', '0.0012')
    """
    if not ratio or not math.isfinite(ratio):
        return f"{ratio:g}"
    digits = 1 - math.floor(math.log10(abs(ratio)))
    return f"{round(ratio, digits):,.{max(digits, 0)}f}"


def number(value: float | None) -> str:
    """Write a setting such as a learning rate, in as few letters as tell it.

    Examples
    --------
    >>> number(0.001), number(3e-05), number(0.1 + 0.2), number(None)
    ('0.001', '3e-05', '0.3', '–')
    """
    return NONE if value is None else f"{value:.4g}"


def label(value: Any) -> str:
    """Write a value of a label or a setting.

    Examples
    --------
    >>> label("adam"), label([100, 100]), label(None), label(True), label(0.008), label(55000), label([])
    ('adam', '100-100', '–', 'yes', '0.008', '55000', 'none')
    """
    return NONE if value is None else printable(value_name(value))


def named(axis: str, value: Any) -> str:
    """Write a value of an axis so that it can stand alone: a number says of what it is.

    Examples
    --------
    >>> named("optimizer", "adam"), named("batch_size", 100), named("batch_size", "full"), named("rule", "2019")
    ('adam', 'batch size 100', 'batch size full', 'rule of 2019')
    """
    if axis == "rule" and isinstance(value, str) and value in _RULES:
        return _RULES[value]
    text = label(value)
    return text if isinstance(value, str) and value not in _BARE else f"{spoken(axis)} {text}"


def spoken(axis: str) -> str:
    """Write the name of an axis or a setting in a sentence.

    Examples
    --------
    >>> spoken("batch_size")
    'batch size'
    """
    return printable(axis.replace("_", " "))


def heading(name: str) -> str:
    """Write the name of a setting as the head of a column.

    Examples
    --------
    >>> heading("batch_size"), heading("optimizer")
    ('Batch size', 'Optimizer')
    """
    words = spoken(name).replace("-", " ")
    return words[:1].upper() + words[1:]


def listed(names: Sequence[str], most: int = 0, rest: str = "others") -> str:
    """Join names in a sentence; of more than `most` (0: any number) only the first are named.

    Where names have commas, semicolons part them.

    Examples
    --------
    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"]), listed(["a", "b", "c", "d"], most=2)
    ('a', 'a and b', 'a, b and c', 'a, b and 2 others')
    >>> listed(["a, 1", "a, 2", "b, 1"])
    'a, 1; a, 2; and b, 1'
    """
    parts = list(names)
    if most and len(parts) > most + 1:
        parts = [*parts[:most], f"{len(parts) - most} {rest}"]
    apart, last = ("; ", "; and ") if len(parts) > 2 and any(", " in part for part in parts) else (", ", " and ")
    return last.join([apart.join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def counted(count: int, one: str, many: str | None = None) -> str:
    """Write a number of things.

    Examples
    --------
    >>> counted(1, "run"), counted(1200, "run"), counted(2, "study", "studies")
    ('1 run', '1,200 runs', '2 studies')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"
