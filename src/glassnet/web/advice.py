"""What a page says when a training goes wrong: the findings of the training doctor, by the same rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glassnet.findings import in_layers, rising_loss


def advice(
    found: Sequence[dict[str, Any]], points: Sequence[Sequence[float | None]], diverged: str | None
) -> list[str]:
    """Return what should be said, at most one sentence and cure of each kind; nothing if all is well.

    Parameters
    ----------
    found : what `glassnet.diagnosis.signals` measured
    points : of the curves, with the step as the first number and the loss of the validation samples as the fifth
    diverged : why the training ended, if it did

    Examples
    --------
    >>> advice([{"layer": "relu_1", "dead": 0.81, "saturated": 0.0, "gradient_rms": 1.0}], [[40] * 5], None)[0]
    'In relu_1 81 % of the units are dead: no sample moves them any more. A lower learning rate, or leaky-relu, helps.'
    """
    if diverged is not None:
        return [diverged]
    step = int(points[-1][0] or 0) if points else 0
    losses = [point[4] for point in points if point[4] is not None]
    return [f"{one.seen} {one.cure}" for one in [*in_layers(found, step), *rising_loss(losses, step)]]
