"""``glassnet predict``: which digit is on a picture?"""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glassnet.cli import options, terminal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from glassnet.model import Model

UNSURE = 0.6
"""Below this probability the runner-up is named, too."""

MANY = 20
"""From more pictures than this on there is a progress bar."""

MOST_DIGITS = 16
"""Names of classes shorter than this may be numbers, which any reader of JSON takes as they are."""

BAR_WIDTH = 30
SHAPES = ((28, 28), (28, 28, 1), (784,))
STANDARD_INPUT = "-"


@click.command("predict")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@options.model_file("of the newest run, else the one that comes with glassnet")
@options.as_json
@click.option("--show", is_flag=True, help="Draw the 28 x 28 picture as the network sees it.")
@options.debug
def command(images: tuple[str, ...], path: Path | None, as_json: bool, show: bool, debug: bool) -> int:
    """Say which digit is on a picture: PNG, JPEG, WebP or BMP, of any size.

    Dark on light or light on dark, grey or in colour, anywhere on the picture; - reads the standard input. Of several
    pictures each gets a line. The exit status is 1 if one could not be read; the others are answered.

    \b
    Examples:
      glassnet predict my-seven.png
      glassnet predict --show photo.jpg
      glassnet predict --json scans/*.png
      glassnet predict --model runs/latest/model.safetensors seven.png
    """
    from glassnet.cli.output import echo
    from glassnet.cli.runs import as_json_text
    from glassnet.errors import DataError, MissingFileError

    model, which = _model(path)
    echo(f"read by {which}", err=as_json)
    paths = _expanded(images)
    names = _class_names(model)
    status = 0
    for name in _with_progress(paths):
        try:
            pixels, probabilities = _read(name, model)
        except (DataError, MissingFileError) as error:
            status = 1
            if as_json:
                echo(as_json_text({"path": name, "error": str(error)}))
            else:
                echo(f"glassnet: {error}", err=True)
            continue
        if as_json:
            best = probabilities.index(max(probabilities))
            answer = {"path": name, "digit": _answer(names[best]), "probabilities": probabilities}
            echo(as_json_text(answer | {"confidence": probabilities[best]}))
        else:
            echo(_text(name, names, probabilities, bars=show or len(paths) == 1))
        if show:
            out = sys.stderr if as_json else sys.stdout
            drawn = terminal.picture(pixels, terminal.unicode(out), terminal.colour(out))
            click.echo("\n".join(drawn), err=as_json, color=terminal.colour(out))
    return status


def _model(path: Path | None) -> tuple[Model, str]:
    """Return the model to read with, one that reads pictures of 28 x 28, and what to call it."""
    from glassnet.cli.runs import default_model
    from glassnet.errors import ConfigError
    from glassnet.model_files import load_model

    if path is None:
        path, which = default_model()
    else:
        which = str(path)
    model = load_model(path)
    if model.task != "classification":
        raise ConfigError(f"{path} does not tell classes apart ({model.task}): name another model with --model.")
    if model.network.input_shape not in SHAPES:
        raise ConfigError(
            f"{path} reads samples of shape {model.network.input_shape}, no pictures of 28 x 28 pixels: name another "
            "model with --model."
        )
    if type(model.network.layers[-1]).__name__ not in ("Softmax", "Sigmoid"):
        raise ConfigError(
            f"{path} gives no probabilities, its last layer is neither softmax nor sigmoid: name another model with "
            "--model."
        )
    return model, which


def _class_names(model: Model) -> tuple[str, ...]:
    outputs = model.network.output_shape[0]
    return model.class_names or tuple(map(str, range(max(outputs, 2))))


def _expanded(images: Sequence[str]) -> list[str]:
    """Return the paths, with patterns that the shell left alone (as on Windows) replaced by what they match."""
    paths: list[str] = []
    for name in images:
        pattern = name != STANDARD_INPUT and glob.has_magic(name) and not Path(name).exists()
        paths += (sorted(glob.glob(name)) if pattern else []) or [name]  # noqa: PTH207 - takes absolute patterns, too
    return paths


def _with_progress(paths: list[str]) -> Iterator[str]:
    """Give the paths, with a bar on the terminal if they are many and the answers go elsewhere."""
    if len(paths) <= MANY or sys.stdout.isatty() or not sys.stderr.isatty():
        yield from paths
        return
    with click.progressbar(paths, file=sys.stderr, show_pos=True) as bar:
        yield from bar


def _read(name: str, model: Model) -> tuple[NDArray[np.uint8], list[float]]:
    """Return a picture as the network sees it, and the probability of each class."""
    import numpy as np

    from glassnet.data.pictures import read_picture
    from glassnet.errors import DataError

    pixels = read_picture(sys.stdin.buffer if name == STANDARD_INPUT else name)
    with np.errstate(all="ignore"):  # what overflows shows in the outputs
        outputs = model.predict_proba(pixels.reshape(1, *model.network.input_shape))[0].astype(float)
    if not np.isfinite(outputs).all():
        raise DataError(f"{name}: the model answers with NaN or infinity; train it again")
    shares = [1.0 - outputs[0], outputs[0]] if len(outputs) == 1 else outputs
    return pixels, [round(float(share), 6) for share in shares]


def _answer(name: str) -> int | str:
    """Return the number that a name is, if it is written as one; "007" is not."""
    digits = name.isascii() and name.isdecimal() and len(name) < MOST_DIGITS
    return int(name) if digits and str(int(name)) == name else name


def _text(path: str, names: Sequence[str], probabilities: Sequence[float], bars: bool) -> str:
    """Say what a picture shows: one line, or with a bar for each class."""
    unicode = terminal.unicode(sys.stdout)
    order = sorted(range(len(names)), key=lambda i: -probabilities[i])
    best, second = order[:2]
    line = f"{path}: {names[best]}, {_percent(probabilities[best])}"
    if probabilities[best] < UNSURE:
        line += f", uncertain: perhaps {names[second]}, {_percent(probabilities[second])}"
    if not bars:
        columns = "".join(terminal.column(share, unicode) for share in probabilities)
        return f"{line}  |{columns}|"
    width = max(map(len, names))
    lines = [
        f"  {name:>{width}} {terminal.bar(share, BAR_WIDTH, unicode)} {_percent(share):>7}"
        for name, share in zip(names, probabilities, strict=True)
    ]
    return "\n".join([line, *lines])


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
