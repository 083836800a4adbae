"""Equations as MathML, which browsers typeset themselves: no fonts, no scripts."""

from __future__ import annotations

from functools import cache

from latex2mathml.converter import convert
from markupsafe import Markup

from glassnet.trace.equations import Equation


@cache
def mathml(equation: Equation) -> Markup:
    """Return an equation as MathML, which browsers typeset themselves, with its text for those who can not see it.

    Examples
    --------
    >>> mathml(Equation("z = x W", "z = x W"))[:60]
    Markup('<math xmlns="http://www.w3.org/1998/Math/MathML" display="bl')
    """
    return Markup(convert(equation.latex, display="block"))
