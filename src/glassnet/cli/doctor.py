"""``glassnet doctor``: the machine, and what would make training faster on it."""

from __future__ import annotations

import dataclasses
import statistics
import sys
from typing import TYPE_CHECKING, Any

import click

from glassnet.cli import options
from glassnet.cli.output import Voice, echo

if TYPE_CHECKING:
    from glassnet.machine import Measured

ROUNDS = 10


@click.command("doctor")
@click.option(
    "--measure/--no-measure",
    default=True,
    help="Train a little in several ways, some seconds, or only look.  [default: measure]",
)
@options.as_json
@options.debug
def command(measure: bool, as_json: bool, debug: bool) -> int:
    """Look at the machine: processors, memory, BLAS with its kernels and threads, versions, environment variables.

    Then the steps of the default run are taken with one process and two, with one BLAS thread and two, and without the
    environment variables that may slow them down, in turns; printed is what would be faster, and by how much. What is
    wrong with a training, the training itself says: see "glassnet train --help", --doctor.

    \b
    Examples:
      glassnet doctor
      glassnet doctor --no-measure
      glassnet doctor --json > machine.json
    """
    from glassnet import machine
    from glassnet.cli import runs

    facts = machine.describe()
    facts["remarks"] = machine.remarks(facts)
    if not as_json:
        _tell(facts)
    if measure:
        facts["gflops"] = machine.product_speed()
        found = _measure(Voice(quiet=as_json))
        facts["measured"] = [dataclasses.asdict(one) for one in found]
        facts["advice"] = machine.advice(found)
        if not as_json:
            _tell_times(facts, found)
    if as_json:
        echo(runs.as_json_text(facts))
    return 0


def _measure(voice: Voice) -> list[Measured]:
    import os

    from glassnet import machine
    from glassnet.config import RunConfig, cores

    ways = machine.variants(os.environ, cores())
    hidden = not voice.shows_progress
    with click.progressbar(length=len(ways) + ROUNDS, label="measuring", file=sys.stderr, hidden=hidden) as bar:
        found = machine.measure(RunConfig(), ways, ROUNDS, tell=lambda: bar.update(1))
        bar.update((bar.length or 0) - bar.pos)  # it may end early
    return found


def _tell(facts: dict[str, Any]) -> None:
    """Print what there is."""
    scipy = "no SciPy" if facts["scipy"] is None else f"SciPy {facts['scipy']}"
    rows = [
        ("versions", f"Python {facts['python']}, NumPy {facts['numpy']}, {scipy}, {facts['system']}"),
        ("processor", ", ".join([facts["processor"], *facts["can"]])),
        ("processors", f"{facts['usable']} of {facts['processors']} may be used{_quota(facts)}{_load(facts)}"),
        ("memory", f"{_gigabytes(facts['memory'])}, {_gigabytes(facts['available'])} free"),
    ]
    rows += [
        ("BLAS", f"{one['library']} {one['version']}, kernels for {one['kernels']}, {one['threads']} threads")
        for one in facts["blas"]
    ]
    rows += [("environment", f"{name}={value}") for name, value in facts["environment"].items()]
    for name, text in rows:
        echo(f"{name:<12}{text}")
    for sentence in facts["remarks"]:
        echo(sentence)


def _quota(facts: dict[str, Any]) -> str:
    return "" if facts["quota"] is None else f", the time of {facts['quota']:g}"


def _load(facts: dict[str, Any]) -> str:
    return "" if facts["load"] is None else f"; load {facts['load']:.2f}"


def _gigabytes(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 2**30:.1f} GiB"


def _tell_times(facts: dict[str, Any], found: list[Measured]) -> None:
    """Print what was measured, and what to make of it."""
    echo(f"one thread of BLAS: {facts['gflops']:,.0f} GFLOP/s")
    echo(f"\n{'steps of the default run':<32}{'us a step':>10}{'gain':>8}")
    for one in found:
        echo(f"{one.variant.name:<32}{1e6 * statistics.median(one.seconds):>10.0f}{one.gain:>8.2f}")
    echo(f"\n{facts['advice']}")
