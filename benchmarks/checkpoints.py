"""What checkpoints cost: epochs of the default run beside which one is written, between epochs without, in one run.

``python benchmarks/checkpoints.py`` prints the share that a checkpoint adds to the seconds in the training steps of an
epoch, and what it adds apart from those: the copies that the training waits for, and the last one that its end waits
for. In the default run one is written beside each epoch but the first.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import click
from tqdm import tqdm

import glassnet as gn
from glassnet.checkpoints import save_checkpoint
from glassnet.data import DataSet
from glassnet.training import Begin, EpochEnd, Event

SHARE = 0.02
"""What is asked: at most so much more than without."""


class Timed(gn.Checkpoints):
    """Notes how long the training waits, before its first step and after that."""

    began = waited = 0.0

    def notify(self, event: Event, run: gn.Training) -> None:
        """Do what is done, and look at the clock."""
        begin = perf_counter()
        super().notify(event, run)
        if isinstance(event, Begin):
            self.began = perf_counter() - begin
        else:
            self.waited += perf_counter() - begin


def flush(folder: str) -> float:
    """Return the seconds in which the last checkpoint of a run is written to the disk."""
    saved = gn.last_checkpoint(folder)
    begin = perf_counter()
    save_checkpoint(saved, Path(folder, "again.safetensors"))
    return perf_counter() - begin


class Bar(gn.Listener):
    """Shows how far it is."""

    def __init__(self, bar: tqdm[Any]) -> None:
        self.bar = bar

    def notify(self, event: Event, run: gn.Training) -> None:
        """Count an epoch."""
        if isinstance(event, EpochEnd):
            self.bar.update()


def shares_of(config: gn.RunConfig, data: DataSet, checkpoints: gn.Checkpoints, bar: tqdm[Any]) -> list[float]:
    """Return what each epoch with a checkpoint took, against the mean of the two beside it, which have none."""
    result = config.follow(config.make_training(data), [checkpoints, Bar(bar)])
    sums = [0.0, *result.history["train_seconds"]]
    seconds = [after - before for before, after in itertools.pairwise(sums)]
    return [2 * seconds[i] / (seconds[i - 1] + seconds[i + 1]) - 1 for i in range(2, len(seconds) - 1, 2)]


@click.command()
@click.option("--epochs", type=click.IntRange(2), default=100, show_default=True, help="With a checkpoint each.")
@click.option("--runs", type=click.IntRange(1), default=3, show_default=True, help="Over which they are spread.")
def main(epochs: int, runs: int) -> None:
    """Print what checkpoints cost."""
    each = math.ceil(epochs / runs)
    config = dataclasses.replace(gn.RunConfig(), epochs=2 * each + 2, validation=0)  # no best one besides
    data = config.load_data()
    shares, begins, waits, flushes, ends = [], [], [], [], []
    with tqdm(total=runs * config.epochs, unit=" epochs", leave=False) as bar:
        for _ in range(runs):
            with tempfile.TemporaryDirectory() as folder:
                checkpoints = Timed(folder, "2e")
                shares += shares_of(config, data, checkpoints, bar)
                flushes.append(flush(folder))
            begins.append(checkpoints.began)
            waits.append(checkpoints.waited / each)
            ends.append(checkpoints.flush_seconds)
    quartiles = statistics.quantiles(shares)
    print(f"added to the steps of an epoch: {statistics.median(shares):+.2%} (asked: {SHARE:.0%} at most)")
    print(f"quartiles of {len(shares)} epochs: {quartiles[0]:+.2%} to {quartiles[2]:+.2%}")
    for what, figures in (
        ("before the first step, for the sum of the samples", begins),
        ("for each copy", waits),
        ("to write and flush one, beside the training", flushes),
        ("that the end of the run waits for the last one", ends),
    ):
        print(f"{1000 * statistics.median(figures):5.1f} ms {what}")


if __name__ == "__main__":
    main()
