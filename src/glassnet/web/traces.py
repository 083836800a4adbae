"""A trace in the form that a page reads."""

from __future__ import annotations

from typing import Any

import numpy as np

from glassnet.trace import Entry, Equation, Trace
from glassnet.trace.typeset import mathml
from glassnet.web.messages import encoded

LEFT_OUT = ("theta",)
"""What a page sees in parts already."""


def as_json(trace: Trace) -> dict[str, Any]:
    """Return a trace as plain values; arrays as float32 in base64."""
    return {
        "t": trace.t,
        "learning_rate": trace.learning_rate,
        "loss": trace.loss,
        "optimizer": type(trace.optimizer).__name__,
        "entries": [_entry(entry) for entry in trace.entries if entry.name not in LEFT_OUT],
    }


def _entry(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "part": entry.part,
        "layer": entry.layer,
        "symbol": _equation(entry.symbol),
        "equations": [_equation(equation) for equation in entry.equations],
        "letters": entry.letters,
        "shape": list(entry.value.shape),
        "value": encoded(entry.value.astype(np.float32)),
        "before": None if entry.before is None else encoded(entry.before.astype(np.float32)),
        "sources": [{"where": str(source), "code": source.code} for source in entry.sources],
        "calls": dict(entry.calls),
    }


def _equation(equation: Equation) -> dict[str, str]:
    return {"text": equation.text, "mathml": str(mathml(equation))}
