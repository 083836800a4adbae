"""``glassnet evaluate``: how well does a saved model read data?"""

from __future__ import annotations

from pathlib import Path

import click

from glassnet.cli import options

MOST_CLASSES = 256
"""Labels below that are read, of data that have more classes than the model."""


@click.command("evaluate", context_settings={"show_default": True})
@options.model_file("of the newest run, runs/latest")
@click.option(
    "--data",
    type=options.Source(),
    help='"mnist", a folder of IDX files, or "train.csv,test.csv".  [default: what the model was trained on]',
)
@click.option(
    "--split",
    type=click.Choice(["test", "validation", "train"]),
    default="test",
    help="Which part of the data.",
)
@click.option(
    "--validation",
    type=click.IntRange(0),
    help="Samples held out from the end of the training data.  [default: as when the model was trained]",
)
@options.as_json
@options.debug
def command(path: Path | None, data: str | None, split: str, validation: int | None, as_json: bool, debug: bool) -> int:
    """Evaluate a saved model.

    What it was trained on is read from the run.toml beside it; without one it is MNIST.

    \b
    Examples:
      glassnet evaluate
      glassnet evaluate --model runs/latest/model.safetensors --data folder-of-idx-files
      glassnet evaluate --split validation --json
    """
    from glassnet.cli.downloads import download
    from glassnet.cli.output import Voice, echo
    from glassnet.cli.runs import as_json_text, config_beside, latest_model
    from glassnet.config import absolute_source, same_source
    from glassnet.data import load
    from glassnet.errors import ConfigError, DataError
    from glassnet.model_files import load_model

    path = latest_model() if path is None else path
    model = load_model(path)
    classes = 10 if model.class_names is None else len(model.class_names)
    if data is None or validation is None:  # else the run is not asked
        config = config_beside(path)
        data = config.data if data is None else data
        if validation is None and same_source(data, config.data):
            validation = config.validation
    download(data, Voice(quiet=as_json))
    try:
        loaded = load(absolute_source(data), validation=validation, classes=classes)
    except DataError:  # perhaps of a label that the model does not know: then it says so itself
        loaded = load(absolute_source(data), validation=validation, classes=max(classes, MOST_CLASSES))
    samples = getattr(loaded, split)
    if not len(samples):
        raise ConfigError(f"{loaded.name} has no {split} samples: choose another --split.")
    result = model.evaluate(samples)
    if as_json:
        facts = {"model": str(path), "data": loaded.name, "split": split, "samples": len(samples)}
        echo(as_json_text(facts | {"accuracy": result.accuracy, "loss": result.loss}))
        return 0
    accuracy = "" if result.accuracy is None else f"accuracy {100 * result.accuracy:.2f} %, "
    echo(f"{path} on the {len(samples):,} {split} samples of {loaded.name}: {accuracy}loss {result.loss:.4f}")
    return 0
