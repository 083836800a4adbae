"""What the training doctor costs, and whether it cries wolf.

``python benchmarks/doctor.py`` trains the default run with a doctor and without, in turns, and prints the share of the
training time that the doctor takes: by its own clock, and as the ratio of the times of a pair. ``--alarms 10`` performs
whole default runs instead, ten seeds of every optimizer and one of every activation with each, and prints what was
found, and whether it was in a healthy run.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from time import perf_counter

import click
from tqdm import tqdm

from glassnet import DivergedError, RunConfig
from glassnet.config import LEARNING_RATES
from glassnet.data import DataSet
from glassnet.doctor import Doctor
from glassnet.findings import Finding

ASKED = 0.03
"""The share of the training time that the doctor may take."""

WELL, OFF = 0.9, 0.01
"""A run is healthy if its validation accuracy is above the first, which a linear network reaches, and at most so far
below the median of its optimizer's seeds as the second says."""

ACTIVATIONS = ("relu", "sigmoid", "tanh", "leaky-relu", "elu", "gelu", "silu", "softplus", "identity")


def pair(config: RunConfig, data: DataSet, first: bool) -> tuple[float, float]:
    """Train with a doctor and without, with it first or last; return its own share, and the ratio of the times."""
    times, share = {}, 0.0
    for with_doctor in (first, not first):
        doctor = Doctor()
        run = config.make_training(data)
        begin = perf_counter()
        result = config.follow(run, [doctor] if with_doctor else [])
        times[with_doctor] = perf_counter() - begin - result.evaluation_seconds
        if with_doctor:
            share = doctor.seconds / result.train_seconds
    return share, times[True] / times[False]


def tell_costs(pairs: int, workers: int) -> None:
    """Measure what the doctor costs, and print it."""
    config = RunConfig(workers=workers)
    data = config.load_data()
    pair(config, data, first=True)  # fills the caches
    found = [pair(config, data, k % 2 == 0) for k in tqdm(range(pairs), desc="pairs", leave=False)]
    print(f"{workers} workers, {pairs} pairs of default runs{'median':>12}{'quartiles':>20}{'asked':>10}")
    for name, values, limit in (
        ("share of the steps' time, by its own clock", [share for share, _ in found], ASKED),
        ("time with the doctor, of the time without it", [ratio for _, ratio in found], 1 + ASKED),
    ):
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        spread = f"{low:.4f} to {high:.4f}"
        print(f"{name:<44}{statistics.median(values):>8.4f}{spread:>20}{limit:>10.2f}")


def battery(seeds: int) -> Iterator[RunConfig]:
    """Yield whole default runs: seeds of every optimizer, and every other activation with each once."""
    for seed in range(seeds):
        for optimizer in LEARNING_RATES:
            yield RunConfig(optimizer=optimizer, seed=seed, workers=1)
    for activation in ACTIVATIONS[1:]:
        for optimizer in LEARNING_RATES:
            yield RunConfig(optimizer=optimizer, activation=activation, workers=1)


def tell_alarms(seeds: int) -> None:
    """Perform a battery of runs, and print what was found, and whether these were healthy."""
    data = RunConfig().load_data()
    found: dict[RunConfig, tuple[float, list[Finding]]] = {}
    for config in tqdm(list(battery(seeds)), desc="runs", leave=False):
        doctor, accuracy = Doctor(), 0.0
        with suppress(DivergedError):  # the findings tell
            accuracy = config.follow(config.make_training(data), [doctor]).history["validation_accuracy"][-1]
        found[config] = accuracy, doctor.findings
    counts: Counter[str] = Counter()
    for config, (accuracy, findings) in found.items():
        alike = [reached for one, (reached, _) in found.items() if replace(one, seed=config.seed) == config]
        healthy = accuracy >= max(WELL, statistics.median(alike) - OFF)
        verdict = ("false alarm" if findings else "well") if healthy else ("found" if findings else "missed")
        counts[verdict] += 1
        if verdict != "well":
            print(f"{verdict}: {config.optimizer}, {config.activation}, seed {config.seed}, {accuracy:.2%} right")
            for finding in findings:
                print(f"    {finding}")
    print(f"{len(found)} runs: {', '.join(f'{count} {verdict}' for verdict, count in counts.items())}")


@click.command()
@click.option("--pairs", type=click.IntRange(2), default=15, show_default=True, help="With the doctor and without.")
@click.option("--workers", type=click.IntRange(1), default=1, show_default=True, help="Processes that train.")
@click.option("--alarms", type=click.IntRange(1), help="Look for false alarms instead, in so many seeds.")
def main(pairs: int, workers: int, alarms: int | None) -> None:
    """Print what the doctor costs, or its false alarms."""
    if alarms is None:
        tell_costs(pairs, workers)
    else:
        tell_alarms(alarms)


if __name__ == "__main__":
    main()
