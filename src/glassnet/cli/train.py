"""``glassnet train``: train a network, say how well it reads unseen samples, leave the results in a folder."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from glassnet.config import RunConfig
    from glassnet.data import DataSet
    from glassnet.model import Evaluation
    from glassnet.training import Result


class Widths(click.ParamType[Any]):
    """Comma-separated whole numbers; nothing for a network without hidden layers."""

    name = "widths"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the numbers."""
        if isinstance(value, tuple):
            return value
        try:
            widths = tuple(int(part) for part in value.split(",") if part.strip())
        except ValueError:
            self.fail(f"{value!r} is no list of widths such as 100,100.", param, ctx)
        if any(width < 1 for width in widths):
            self.fail(f"{value!r} has a width below 1.", param, ctx)
        return widths


class BatchSize(click.ParamType[Any]):
    """A whole number of at least 1, or "full"."""

    name = "N|full"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return the number, or "full"."""
        if value == "full" or isinstance(value, int):
            return cast("int | str", value)
        if not value.isdecimal() or int(value) < 1:
            self.fail(f'{value!r} is neither a whole number of at least 1 nor "full".', param, ctx)
        return int(value)


ACTIVATIONS = ["sigmoid", "relu", "tanh", "leaky-relu", "elu", "gelu", "silu", "softplus", "identity"]
_RATES = "sgd 0.8, momentum 0.1, adagrad 0.1, rmsprop 0.003, adam 0.005"  # config.LEARNING_RATES, importing nothing
_above = click.FloatRange(min=0, min_open=True)
_share = click.FloatRange(min=0, max=1, max_open=True)


@click.command("train", context_settings={"show_default": True})
@click.option("--data", default="mnist", help='"mnist", a folder of IDX files, or "train.csv,test.csv".')
@click.option("--classes", type=click.IntRange(2), default=10, help="How many classes data other than MNIST have.")
@click.option(
    "--validation",
    type=click.IntRange(0),
    help="Samples held out from the end of the training data.  [default: 5000, or a tenth of fewer]",
)
@click.option("--no-validation", is_flag=True, help="Skip evaluation during training; what is held out stays held out.")
@click.option("--hidden", type=Widths(), default="100,100", help='Widths of the hidden layers; "" for none.')
@click.option("--activation", type=click.Choice(ACTIVATIONS), default="relu", help="Of the hidden layers.")
@click.option(
    "--output-activation",
    type=click.Choice(["softmax", *ACTIVATIONS]),
    help="Of the last layer.  [default: softmax for softmax-crossentropy, else sigmoid]",
)
@click.option(
    "--initializer",
    default="auto",
    help="Of the weights: zeros, normal:DEVIATION, lecun-, glorot- or he- with normal or uniform, fan-out-normal; "
    "auto is he-normal before rectifiers, glorot-uniform elsewhere.",
)
@click.option(
    "--loss",
    type=click.Choice(["softmax-crossentropy", "sigmoid-crossentropy", "mse"]),
    default="softmax-crossentropy",
)
@click.option(
    "--loss-reduction",
    type=click.Choice(["mean", "sum"]),
    default="mean",
    help="Over the samples of a batch.",
)
@click.option("--optimizer", type=click.Choice(["sgd", "momentum", "adagrad", "rmsprop", "adam"]), default="adam")
@click.option(
    "--learning-rate",
    type=_above,
    help=f"The highest of the schedule.  [default: {_RATES}]",
)
@click.option("--momentum", type=_share, help="Of momentum.  [default: 0.9]")
@click.option("--rho", type=_share, help="Decay of rmsprop.  [default: 0.9]")
@click.option("--beta1", type=_share, help="Of adam.  [default: 0.9]")
@click.option("--beta2", type=_share, help="Of adam.  [default: 0.999]")
@click.option("--epsilon", type=_above, help="Of adagrad, rmsprop and adam.  [default: 1e-8]")
@click.option(
    "--schedule",
    type=click.Choice(["constant", "step", "cosine", "onecycle"]),
    default="onecycle",
    help="Learning rate over the run: constant; a tenth after each third; warm-up and cosine to zero; "
    "up for three tenths and down to zero.",
)
@click.option(
    "--batch-size",
    type=BatchSize(),
    metavar="N|full",
    default=100,
    help='Samples a step; "full" takes all, 1 is stochastic.',
)
@click.option("--epochs", type=click.IntRange(1), default=6, help="Passes over the training data.")
@click.option("--max-steps", type=click.IntRange(1), help="Stop after so many steps.")
@click.option("--no-shuffle", is_flag=True, help="Take the samples in the order of the file.")
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="Of everything random: one seed, one result."
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    help="Processor cores that matrix products may use.  [default: 1 for batches of up to 200, else all]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Folder for the results.  [default: a fresh one under runs/]",
)
@click.option("--force", is_flag=True, help="Replace results that are in --out already.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def command(out: Path | None, force: bool, debug: bool, no_validation: bool, no_shuffle: bool, **options: Any) -> int:
    """Train a network and say how well it reads digits it has never seen.

    With no options: 784-100-100-10 on the MNIST that comes along, in a few seconds. The folder of results gets
    model.safetensors, history.csv, learning-curve.png and result.json; runs/latest names the newest one.

    \b
    Examples:
      glassnet train
      glassnet train --hidden 512,256 --epochs 10 --seed 1
      glassnet train --activation sigmoid --optimizer sgd --batch-size 1 --epochs 3 --learning-rate 0.1
      glassnet train --batch-size full --epochs 300 --optimizer rmsprop
      glassnet train --data train.csv,test.csv --out my-run
      glassnet train --data folder-of-idx-files --classes 26
    """
    from glassnet.config import RunConfig

    config = RunConfig(validate=not no_validation, shuffle=not no_shuffle, **options)
    return run(config, out, force)


def run(config: RunConfig, out: Path | None, force: bool) -> int:
    """Train as `config` says, write the results, and return the exit status."""
    from glassnet.cli import runs
    from glassnet.errors import DivergedError
    from glassnet.listeners import CSVHistory, Progress, StopOnInterrupt, hold_interrupts
    from glassnet.training import Listener

    if out is not None:
        runs.check_free(out, force)
    data = config.load_data()
    training = config.make_training(data)
    folder = runs.make_folder(out, force)
    click.echo(f"{_network_line(config, data)}; {training.network.layout.size:,} parameters")
    click.echo(f"{len(data.train):,} samples to train, {len(data.validation):,} held out, {len(data.test):,} to test")
    listeners: list[Listener] = [CSVHistory(folder / "history.csv"), StopOnInterrupt()]
    if sys.stderr.isatty():
        listeners.append(Progress())
    failure: Exception | None = None
    with hold_interrupts() as interrupts:
        try:
            config.follow(training, listeners)
        except (DivergedError, OSError) as error:  # what was learnt is saved before the error is said
            failure = error
        result = training.result()
        _write(config, data, result, folder)
        runs.point_latest(folder)
    if failure is not None:
        raise failure
    return 130 if interrupts or result.stopped == "interrupted" else 0


def _network_line(config: RunConfig, data: DataSet) -> str:
    import math

    outputs = data.train.targets.shape[1] if data.classes is None else data.classes
    widths = "-".join(map(str, [math.prod(data.input_shape), *config.hidden, outputs]))
    return f"{widths} on {data.name}, {config.activation}, {config.loss}, {config.optimizer}"


def _write(config: RunConfig, data: DataSet, result: Result, folder: Path) -> None:
    """Evaluate the test samples, write all files of a run, and say what came out."""
    from glassnet import plots
    from glassnet.checkpoint import save_model
    from glassnet.cli import runs

    save_model(result.model, folder / runs.MODEL)
    begin = time.perf_counter()
    test = result.model.evaluate(data.test) if len(data.test) else None
    evaluation_seconds = result.evaluation_seconds + time.perf_counter() - begin
    names = [runs.MODEL, "history.csv", "result.json"]
    if result.history["epoch"]:
        title = _network_line(config, data)
        if test is not None and test.accuracy is not None:
            title += f": {100 * test.accuracy:.2f} % of the test samples"
        plots.save(plots.learning_curve(result.history, title), folder / "learning-curve.png")
        names.append("learning-curve.png")
    last = {name: column[-1] if column else float("nan") for name, column in result.history.items()}
    rate = result.samples / result.train_seconds if result.train_seconds else float("nan")
    wall_seconds = time.time() - runs.process_start()
    runs.write_json(
        folder / "result.json",
        {
            "test_accuracy": test.accuracy if test else None,
            "test_loss": test.loss if test else None,
            "validation_accuracy": last["validation_accuracy"],
            "validation_loss": last["validation_loss"],
            "train_accuracy": last["train_accuracy"],
            "train_loss": last["train_loss"],
            "train_seconds": result.train_seconds,
            "evaluation_seconds": evaluation_seconds,
            "wall_seconds": wall_seconds,
            "steps": result.steps,
            "images_per_second": rate,
            "epochs": int(result.epochs) if result.epochs.is_integer() else result.epochs,
            "stopped": result.stopped,
            "seed": config.seed,
            "parameters": result.model.network.layout.size,
            "config": config.resolved(data).to_dict(),
            "versions": runs.versions(),
        },
    )
    if result.stopped == "interrupted":
        click.echo(f"interrupted after {result.steps:,} steps; what was learnt so far is saved.", err=True)
    _report(test, len(data.test), result, wall_seconds)
    click.echo(f"results in {folder}: {', '.join(names)}")


def _report(test: Evaluation | None, count: int, result: Result, wall_seconds: float) -> None:
    if test is not None and test.accuracy is not None:
        click.echo(
            f"test accuracy {100 * test.accuracy:.2f} % of {count:,} samples never seen before, loss {test.loss:.4f}"
        )
    rate = result.samples / result.train_seconds if result.train_seconds else 0.0
    click.echo(
        f"trained {result.train_seconds:.2f} s, {rate:,.0f} samples a second; {wall_seconds:.2f} s from the prompt"
    )
