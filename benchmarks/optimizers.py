"""Every optimizer at its default learning rate: how well the default network reads after five epochs, and the price.

``python benchmarks/optimizers.py`` trains every optimizer with every seed, times the updates side by side, and writes
docs/optimizer-figures.md. The learning rates were chosen on the validation images (docs/decisions/0008, 0012 and 0017);
the test images are read once a run, at its end.
"""

from __future__ import annotations

import os
import statistics
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from glassnet.config import LEARNING_RATES, RunConfig
from glassnet.optim import OPTIMIZERS
from glassnet.training import Training

EPOCHS = 5
ROUNDS = 21
STEPS = 40

PAGE = """# {count} optimizers at their default learning rates

`glassnet train --epochs {epochs} --optimizer NAME`: 784-100-100-10 with ReLU on MNIST, batches of {batch}, a one-cycle
learning rate whose peak is given (schedule-free: constant after a warm-up). 55,000 images train; the rates were chosen
on the 5,000 of validation; accuracy is that of the 10,000 test images, mean and standard deviation over {seeds} seeds.

The price is the time of one update of the parameters, and that of a whole training step of {batch} images, each as a
multiple of gradient descent's, measured in turns in one process on one thread (median of {rounds} rounds). An update
is that of {updated:,} of the {parameters:,} parameters, since the others belong to pixels that are always dark; adamw
and muon update all. What an update costs depends on the processor; what matters is how little of a step it is.

| optimizer | learning rate | test accuracy % | update | whole step |
|---|---|---|---|---|
{rows}

All rows again: `python benchmarks/optimizers.py --seeds {seeds}`, which writes this page.
"""


def config_of(optimizer: str, **options: Any) -> RunConfig:
    """Return the run of one optimizer."""
    return RunConfig(optimizer=optimizer, epochs=EPOCHS, **options)


def seconds(rounds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Time updates alone and whole steps of every optimizer, in turns: seconds a step, one figure a round."""
    data = RunConfig().load_data()
    runs: dict[str, Training] = {name: config_of(name, workers=1).make_training(data) for name in OPTIMIZERS}
    alone = {name: config_of(name, workers=1).make_training(data) for name in OPTIMIZERS}
    updates: dict[str, list[float]] = {name: [] for name in runs}
    steps: dict[str, list[float]] = {name: [] for name in runs}
    events = {name: run.events() for name, run in runs.items()}
    for name in runs:
        next(events[name])
    rng = np.random.default_rng(0)
    for _ in tqdm(range(rounds), desc="timing"):
        turns = [str(name) for name in rng.permutation(list(runs))]  # nobody always follows the same one
        for name in turns:
            run = alone[name]
            theta = run.network.theta[run.plan.span]
            g = rng.standard_normal((STEPS, theta.size), np.float32)
            begin = perf_counter()
            for k in range(STEPS):
                run.optimizer.step(theta, g[k])
            updates[name].append((perf_counter() - begin) / STEPS)
        for name in turns:
            run = runs[name]
            first, before = run.step, run.train_seconds
            while run.step < first + STEPS:
                next(events[name])
            steps[name].append((run.train_seconds - before) / (run.step - first))
    return updates, steps


def ratios(figures: dict[str, list[float]]) -> dict[str, float]:
    """Return each optimizer's figure over that of gradient descent in the same round, the median of the rounds."""
    return {
        name: statistics.median(a / b for a, b in zip(column, figures["sgd"], strict=True))
        for name, column in figures.items()
    }


@click.command()
@click.option("--seeds", type=click.IntRange(2), default=5, show_default=True, help="Runs an optimizer.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/optimizer-figures.md"), show_default=True)
def main(seeds: int, out: Path) -> None:
    """Train with every optimizer, time every update, and write the page."""
    if "OPENBLAS_CORETYPE" in os.environ:
        raise click.UsageError("OPENBLAS_CORETYPE is set and may slow the products down: unset it first.")
    data = RunConfig().load_data()
    with threadpool_limits(1):
        updates, steps = (ratios(figures) for figures in seconds(ROUNDS))
    rows, training = [], config_of("sgd").make_training(data)
    for name in tqdm(OPTIMIZERS, desc="training"):
        accuracies = []
        for seed in range(seeds):
            config = config_of(name, seed=seed)
            result = config.follow(config.make_training(data))
            accuracies.append(100 * (result.model.evaluate(data.test).accuracy or 0.0))
        figures = f"{statistics.mean(accuracies):.2f} ± {statistics.stdev(accuracies):.2f}"
        rows.append(f"| {name} | {LEARNING_RATES[name]:g} | {figures} | {updates[name]:.1f} | {steps[name]:.2f} |")
        tqdm.write(rows[-1])
    out.write_text(
        PAGE.format(
            count="Sixteen",
            epochs=EPOCHS,
            batch=RunConfig().batch_size,
            seeds=seeds,
            rounds=ROUNDS,
            updated=training.plan.span.stop - training.plan.span.start,
            parameters=training.network.layout.size,
            rows="\n".join(rows),
        ),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
