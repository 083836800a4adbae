"""Each optimizer in each regime: the same sigmoid network, trained in full batches, mini-batches and sample by sample.

``python benchmarks/regimes.py`` trains every cell with every seed and writes docs/regimes.md. The settings were chosen
on the validation images; the test images are read once a run, at its end.
"""

from __future__ import annotations

import os
import statistics
from pathlib import Path

import click
from tqdm import tqdm

from glassnet.config import RunConfig

EPOCHS = {"mini-batch": 20, "stochastic": 3, "full batch": 300}
BATCH_SIZES: dict[str, int | str] = {"mini-batch": 100, "stochastic": 1, "full batch": "full"}
ASKED = {"mini-batch": 0.96, "stochastic": 0.95, "full batch": 0.85}
"""The accuracy that every cell of a regime has to reach."""

LEARNING_RATES = {
    "mini-batch": {"sgd": 2.0, "momentum": 0.2, "adagrad": 0.1, "rmsprop": 0.003, "adam": 0.005},
    "stochastic": {"sgd": 0.1, "momentum": 0.02, "adagrad": 0.1, "rmsprop": 0.0003, "adam": 0.0003},
    "full batch": {"sgd": 3.0, "momentum": 1.0, "adagrad": 0.1, "rmsprop": 0.01, "adam": 0.02},
}

PAGE = """# Five optimizers, three regimes

784-100-100-10 with sigmoid hidden layers on MNIST, softmax cross-entropy, one-cycle learning rate. 55,000 images train;
settings were chosen on the 5,000 of validation; accuracy is that of the 10,000 test images, mean and standard deviation
over {seeds} seeds. Seconds are the median of the training steps alone on one two-core machine: they compare cells, no
more.

Any row again: `glassnet train --activation sigmoid` with the options in the row. All rows: `python
benchmarks/regimes.py --seeds {seeds}`, which writes this page.

| regime | optimizer | options | accuracy % | seconds |
|---|---|---|---|---|
{rows}
"""


def config_of(regime: str, optimizer: str, seed: int = 0) -> RunConfig:
    """Return the run of one cell."""
    return RunConfig(
        activation="sigmoid",
        optimizer=optimizer,
        learning_rate=LEARNING_RATES[regime][optimizer],
        batch_size=BATCH_SIZES[regime],
        epochs=EPOCHS[regime],
        seed=seed,
    )


def options_of(config: RunConfig) -> str:
    """Return the command-line options of a cell."""
    return (
        f"--optimizer {config.optimizer} --learning-rate {config.learning_rate:g} "
        f"--batch-size {config.batch_size} --epochs {config.epochs}"
    )


@click.command()
@click.option("--seeds", type=click.IntRange(2), default=3, show_default=True, help="Runs a cell.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/regimes.md"), show_default=True)
def main(seeds: int, out: Path) -> None:
    """Train every cell and write the page."""
    if "OPENBLAS_CORETYPE" in os.environ:
        raise click.UsageError("OPENBLAS_CORETYPE is set and may slow the products down: unset it first.")
    data = RunConfig().load_data()
    rows = []
    cells = [(regime, optimizer) for regime, rates in LEARNING_RATES.items() for optimizer in rates]
    with tqdm(total=len(cells) * seeds, unit=" runs") as bar:
        for regime, optimizer in cells:
            accuracies, seconds = [], []
            for seed in range(seeds):
                config = config_of(regime, optimizer, seed)
                result = config.follow(config.make_training(data))
                accuracies.append(100 * (result.model.evaluate(data.test).accuracy or 0.0))
                seconds.append(result.train_seconds)
                bar.update()
            figures = f"{statistics.mean(accuracies):.2f} ± {statistics.stdev(accuracies):.2f}"
            options = f"`{options_of(config_of(regime, optimizer))}`"
            rows.append(f"| {regime} | {optimizer} | {options} | {figures} | {statistics.median(seconds):.1f} |")
            tqdm.write(rows[-1])
    out.write_text(PAGE.format(seeds=seeds, rows="\n".join(rows)), encoding="utf-8")


if __name__ == "__main__":
    main()
