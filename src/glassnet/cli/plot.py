"""``glassnet plot``: the curves of several runs in one picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from glassnet.cli import options
from glassnet.errors import ConfigError, DataError, GlassnetError, MissingFileError

QUANTITIES = [
    "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate", "train_seconds",
]  # fmt: skip
ENDINGS = (".png", ".svg", ".pdf")
HISTORY, RANGE_TEST = "history.csv", "lr-find.csv"

_SPEAKS_FOR_ITSELF = ("optimizer", "activation", "output_activation", "initializer", "loss", "schedule", "data")
_OF_THE_OPTIMIZER = (
    "learning_rate", "momentum", "rho", "beta1", "beta2", "beta3", "epsilon", "l2", "weight_decay", "clip_value",
    "clip_norm", "schedule", "warmup",
)  # fmt: skip
_MOST_SETTINGS = 3  # that a name in the legend tells

MOST_RESULT = 2**20
"""Bytes of a result.json that are read; one that is longer is then no JSON any more."""


@click.command("plot", context_settings={"show_default": True})
@click.argument("runs", metavar="[RUN]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The picture; its ending says the format: png, svg or pdf.  "
    "[default: comparison.png, of a single run learning-curve.png]",
)
@options.force
@click.option(
    "--quantity",
    "quantities",
    type=click.Choice(QUANTITIES),
    metavar="COLUMN",
    multiple=True,
    help=f"Column of history.csv to draw: {', '.join(QUANTITIES)}; repeat it for more panels.  "
    "[default: validation loss and accuracy; of training where nothing was validated]",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    help="Name of a run in the legend, once for each in their order.  "
    "[default: the settings in which the runs differ, or the names of the folders]",
)
@click.option("--title", default="", show_default=False, help="Above the picture.")
@options.debug
def command(
    runs: tuple[Path, ...],
    out: Path | None,
    force: bool,
    quantities: tuple[str, ...],
    labels: tuple[str, ...],
    title: str,
    debug: bool,
) -> int:
    """Draw the curves of several runs together, or those of one.

    A RUN is the folder of a run, or a history.csv. Without one it is the newest, runs/latest.

    \b
    Examples:
      glassnet plot runs/with-sgd runs/with-adam
      glassnet plot runs/* --quantity validation_loss --quantity learning_rate --out rates.svg
      glassnet plot a/history.csv b/history.csv --label "small net" --label "large net"
    """
    from glassnet import plots
    from glassnet.cli.output import echo
    from glassnet.history import read_history

    files = files_of(runs) or [newest()]
    single = len(files) < 2 and not quantities and not labels
    out = Path("learning-curve.png" if single else "comparison.png") if out is None else out
    check_picture(out, force)
    names = list(labels) or names_of(files)
    if len(names) != len(files) or len(set(names)) < len(names):
        raise ConfigError(
            f"{len(files)} runs need as many different names, and there are {len(set(names))}: "
            f"give each --label once, and each run once."
        )
    histories = {name: read_history(file) for name, file in zip(names, files, strict=True)}
    for file, history in zip(files, histories.values(), strict=True):
        if not history["epoch"]:
            raise DataError(f"{file} has no epoch yet: leave this run out, or train it for longer.")
    if single:
        figure = plots.learning_curve(histories[names[0]], title)
    else:
        figure = plots.comparison_figure(histories, title, quantities or measured(histories))
    plots.save(figure, out)
    echo(f"{out} shows {', '.join(names)}")
    return 0


def check_picture(out: Path, force: bool) -> None:
    """Refuse a picture that can not be written, or would replace another.

    Raises
    ------
    ConfigError
        If its format is unknown.
    MissingFileError
        If its folder does not exist.
    OutputExistsError
        If it is there already and `force` is not set, or is a folder.
    """
    from glassnet.cli.runs import check_file

    if out.suffix.lower() not in ENDINGS:
        raise ConfigError(f"{out} has none of the endings {', '.join(ENDINGS)}: name a picture with --out.")
    check_file(out, force, "--out")


def newest() -> Path:
    """Return the history of the newest run."""
    from glassnet.cli.runs import LATEST, follow_latest

    folder = follow_latest(LATEST)
    if not (folder / HISTORY).is_file():
        raise MissingFileError(f"there is no run in {LATEST}: train one with 'glassnet train', or name one.")
    return folder / HISTORY


def files_of(runs: Sequence[Path]) -> list[Path]:
    """Return the histories of some runs; of runs/*, range tests are none, and runs/latest is there already."""
    if len(runs) > 1:
        there = {run.resolve() for run in runs if not run.is_symlink()}
        twice = [run for run in runs if run.is_symlink() and run.resolve() in there]
        runs = [run for run in runs if run not in twice and not (run / RANGE_TEST).is_file()]
    return [history_of(run) for run in runs]


def history_of(run: Path) -> Path:
    """Return the history in the folder of a run, or the file itself."""
    from glassnet.cli.runs import follow_latest

    run = follow_latest(run)
    if run.is_dir() and not (run / HISTORY).is_file():
        raise MissingFileError(f"{run} has no {HISTORY}: name the folder of a run, or the file itself.")
    return run / HISTORY if run.is_dir() else run


def measured(histories: dict[str, dict[str, list[float]]]) -> tuple[str, str]:
    """Return what to draw: of validation if any run has it, else of training."""
    some = any(value == value for history in histories.values() for value in history["validation_loss"])
    return ("validation_loss", "validation_accuracy") if some else ("train_loss", "train_accuracy")


def names_of(files: Sequence[Path]) -> list[str]:
    """Name each run by the settings in which it differs from the others, or else by its folder.

    Settings that come with the optimizer, such as the learning rate, are told where the optimizer is not enough.
    """
    configs = [config_of(file.parent) for file in files]
    if len(files) > 1 and all(configs):
        keys = list(dict.fromkeys(key for config in configs for key in config))
        differing = [key for key in keys if len({repr(config.get(key)) for config in configs}) > 1]
        if "optimizer" in differing:
            told = ["optimizer", *(key for key in differing if key not in ("optimizer", *_OF_THE_OPTIMIZER))]
            differing = [*told, *(key for key in differing if key in _OF_THE_OPTIMIZER)]
        else:
            told = differing
        for count in range(max(len(told), 1), min(len(differing), _MOST_SETTINGS) + 1):
            names = [", ".join(_setting(key, config.get(key)) for key in differing[:count]) for config in configs]
            if len(set(names)) == len(names):
                return names
    names = [file.resolve().parent.name if file.name == HISTORY else file.stem for file in files]
    return names if len(set(names)) == len(names) else [str(file) for file in files]


def _setting(key: str, value: Any) -> str:
    word = key.replace("_", " ")
    if value is None or value == []:
        return f"{word} unset"
    if isinstance(value, bool):
        return word if value else f"no {word}"
    text = "-".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if key in _SPEAKS_FOR_ITSELF else f"{word} {text}"


def config_of(folder: Path) -> dict[str, Any]:
    """Return the settings in the run.toml of a run, or in its result.json; nothing where neither can be read."""
    from glassnet.config import RUN_FILE, RunConfig
    from glassnet.files import read_up_to

    try:
        if (folder / RUN_FILE).is_file():
            return RunConfig.from_toml(folder / RUN_FILE).to_dict()
        config = json.loads(read_up_to(folder / "result.json", MOST_RESULT))["config"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, GlassnetError):
        return {}
    return config if isinstance(config, dict) else {}
