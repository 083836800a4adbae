"""One training step, opened: every number, its equation, the lines of code that computed it, and the same elsewhere.

``opened`` takes the step and keeps everything; ``equations`` and ``letters`` say what was computed, ``sources`` where,
``frameworks`` how PyTorch and Keras spell it.
"""

from glassnet.trace.equations import Equation
from glassnet.trace.opened import MOST_SAMPLES, Entry, Trace, trace_step
from glassnet.trace.sources import Source

__all__ = ["MOST_SAMPLES", "Entry", "Equation", "Source", "Trace", "trace_step"]
