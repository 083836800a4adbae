"""Microseconds a step of glassnet alone, so that a slower commit is noticed; under a minute.

``python benchmarks/steps.py --save before.json`` and, after a change, ``python benchmarks/steps.py --against
before.json`` on the same machine: it prints what changed, marks every cell that became more than a tenth slower, and
ends with status 1 if there is one. Machines drift, so what is compared is not the time but its ratio to a reference
measured beside it: a fixed mixture of matrix products and passes over vectors.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from runners.common import OPTIMIZERS, Cell, timed
from runners.glass import OneProcess, TwoWorkers
from runners.sgemm import square

SLOWER = 1.10
"""A cell that takes more than so many times what it took is marked."""

SECONDS = 0.06
"""Of one turn."""

CELLS = [Cell((100, 100), batch, name) for batch in (1, 100, 1000, 0) for name in OPTIMIZERS]


def reference() -> Iterator[int]:
    """Compute, as each item, the like of a step: three products of 100 samples and ten passes over 89,610 numbers."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((100, 784), np.float32), rng.standard_normal((784, 100), np.float32)
    y, dw = np.empty((100, 100), np.float32), np.empty_like(w)
    a, b = rng.standard_normal((2, 89_610), np.float32)
    while True:
        np.dot(x, w, out=y)
        np.dot(x.T, y, out=dw)
        np.dot(y, y.T, out=y)
        for _ in range(5):
            np.multiply(a, 0.5, out=b)
            np.add(a, b, out=b)
        yield 1


def measure(cell: Cell, runner: OneProcess, rounds: int, yardstick: Iterator[int]) -> dict[str, float]:
    """Return microseconds a step, and their ratio to the reference right before and after: medians of the rounds."""
    runner.prepare(cell)
    times, shares = [], []
    before = _beside(yardstick)
    for _ in range(rounds):
        passed, steps = runner.run(SECONDS)
        after = _beside(yardstick)
        times.append(1e6 * passed / steps)
        shares.append(2 * times[-1] / (before + after))
        before = after
    runner.rest()
    return {"us": statistics.median(times), "ratio": statistics.median(shares)}


def _beside(yardstick: Iterator[int]) -> float:
    with threadpool_limits(1, user_api="blas"):  # the same work whatever the run beside it was given
        passed, steps = timed(yardstick, SECONDS / 4)
    return 1e6 * passed / steps


def compare(now: dict[str, dict[str, float]], saved: dict[str, dict[str, float]]) -> dict[str, float]:
    """Return, for each cell that both have, the factor by which it takes longer than it did.

    Examples
    --------
    >>> compare({"a": {"ratio": 3.0}, "b": {"ratio": 1.0}}, {"a": {"ratio": 2.0}})
    {'a': 1.5}
    """
    return {name: row["ratio"] / saved[name]["ratio"] for name, row in now.items() if name in saved}


def lines(found: dict[str, dict[str, float]], factors: dict[str, float]) -> list[str]:
    """Return the table as text."""
    head = f"{'cell':<32}{'us a step':>12}{'/ reference':>14}"
    result = [head + (f"{'/ baseline':>14}" if factors else "")]
    for name, row in found.items():
        line = f"{name:<32}{row['us']:>12,.1f}{row['ratio']:>14.3f}"
        if name in factors:
            line += f"{factors[name]:>14.2f}" + ("  SLOWER" if factors[name] > SLOWER else "")
        result.append(line)
    return result


@click.command()
@click.option("--only", metavar="PART", multiple=True, help="Only cells whose name has this part, such as /100/adam.")
@click.option("--workers/--no-workers", "team", default=True, show_default=True, help="Also with two workers.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Turns a cell.")
@click.option("--save", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures into this file.")
@click.option(
    "--against", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Compare with a saved file."
)
def main(only: tuple[str, ...], team: bool, rounds: int, save: Path | None, against: Path | None) -> None:
    """Measure the microseconds a step of glassnet in each cell."""
    if "OPENBLAS_CORETYPE" in os.environ:
        raise click.UsageError("OPENBLAS_CORETYPE is set and may slow the products down: unset it first.")
    saved: dict[str, Any] = json.loads(against.read_text(encoding="utf-8")) if against else {}
    cells = [cell for cell in CELLS if not only or any(part in cell.name for part in only)]
    runners = [("", OneProcess()), *([(", 2 workers", TwoWorkers())] if team else [])]
    speeds = {threads: square(threads) for threads in (1, 2)[: os.cpu_count()]}
    found: dict[str, dict[str, float]] = {}
    yardstick = reference()
    with tqdm(total=len(cells) * len(runners), leave=False) as bar:
        for cell in cells:
            for suffix, runner in runners:
                bar.set_postfix_str(cell.name + suffix)
                if not suffix or cell.batch != 1:  # one sample is not shared out
                    found[cell.name + suffix] = measure(cell, runner, rounds, yardstick)
                bar.update()
    factors = compare(found, saved)
    print("\n".join(lines(found, factors)))
    print("sgemm: " + ", ".join(f"{speed:.0f} GFLOP/s with {count} thread(s)" for count, speed in speeds.items()))
    if save is not None:
        save.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if any(factor > SLOWER for factor in factors.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
