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

SETTINGS: dict[str, dict[str, dict[str, float]]] = {
    "mini-batch": {
        "sgd": {"learning_rate": 2.0},
        "momentum": {"learning_rate": 0.2},
        "adagrad": {"learning_rate": 0.1},
        "rmsprop": {"learning_rate": 0.003},
        "adam": {"learning_rate": 0.005},
    },
    "stochastic": {
        "sgd": {"learning_rate": 0.1},
        "momentum": {"learning_rate": 0.02},
        "adagrad": {"learning_rate": 0.1},
        "rmsprop": {"learning_rate": 0.002, "rho": 0.99},
        "adam": {"learning_rate": 0.0005},
    },
    "full batch": {
        "sgd": {"learning_rate": 3.0},
        "momentum": {"learning_rate": 1.0},
        "adagrad": {"learning_rate": 0.1},
        "rmsprop": {"learning_rate": 0.01},
        "adam": {"learning_rate": 0.02},
    },
}
"""What each optimizer is told in each regime; everything else is the default."""

PAGE = """# Five optimizers, three regimes

784-100-100-10 with sigmoid hidden layers on MNIST, softmax cross-entropy, one-cycle learning rate. 55,000 images train;
settings were chosen on the 5,000 of validation; accuracy is that of the 10,000 test images, mean and standard deviation
over {seeds} seeds.

Any row again: `glassnet train --activation sigmoid` with the options in the row. All rows: `python
benchmarks/regimes.py --seeds {seeds}`, which writes this page.

| regime | optimizer | options | accuracy % |
|---|---|---|---|
{rows}
"""


def config_of(regime: str, optimizer: str, seed: int = 0) -> RunConfig:
    """Return the run of one cell."""
    return RunConfig(
        activation="sigmoid",
        optimizer=optimizer,
        batch_size=BATCH_SIZES[regime],
        epochs=EPOCHS[regime],
        seed=seed,
        **SETTINGS[regime][optimizer],  # type: ignore[arg-type]
    )


def options_of(regime: str, optimizer: str) -> str:
    """Return the command-line options of a cell."""
    settings: dict[str, object] = {"optimizer": optimizer, "batch_size": BATCH_SIZES[regime], "epochs": EPOCHS[regime]}
    settings |= SETTINGS[regime][optimizer]
    return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in settings.items())


@click.command()
@click.option("--seeds", type=click.IntRange(2), default=3, show_default=True, help="Runs a cell.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/regimes.md"), show_default=True)
def main(seeds: int, out: Path) -> None:
    """Train every cell and write the page."""
    if "OPENBLAS_CORETYPE" in os.environ:
        raise click.UsageError("OPENBLAS_CORETYPE is set and may slow the products down: unset it first.")
    data = RunConfig().load_data()
    rows = []
    cells = [(regime, optimizer) for regime, optimizers in SETTINGS.items() for optimizer in optimizers]
    with tqdm(total=len(cells) * seeds, unit=" runs") as bar:
        for regime, optimizer in cells:
            accuracies = []
            for seed in range(seeds):
                config = config_of(regime, optimizer, seed)
                result = config.follow(config.make_training(data))
                accuracies.append(100 * (result.model.evaluate(data.test).accuracy or 0.0))
                bar.update()
            figures = f"{statistics.mean(accuracies):.2f} ± {statistics.stdev(accuracies):.2f}"
            options = f"`{options_of(regime, optimizer)}`"
            rows.append(f"| {regime} | {optimizer} | {options} | {figures} |")
            tqdm.write(rows[-1])
    out.write_text(PAGE.format(seeds=seeds, rows="\n".join(rows)), encoding="utf-8")


if __name__ == "__main__":
    main()
