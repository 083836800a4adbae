"""``glassnet explain``: one training step, with every number, equation and line of code."""

from __future__ import annotations

import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from glassnet.cli import options, terminal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from glassnet.explain import Part, Story
    from glassnet.model import Model

SIDES = (28, 28)
WIDEST = 110
BAR_WIDTH = 24

SPELLED = str.maketrans(
    dict(zip("₀₁₂₃₄₅₆₇₈₉₊−·⊙′", "0123456789+-**'", strict=True))
    | {
        "²": "^2",
        "ᵗ": "^t",
        "ₜ": "_t",
        "ᵀ": "^T",
        "\N{COMBINING CIRCUMFLEX ACCENT}": "_hat",
        "\N{COMBINING MACRON}": "_bar",
    }
    | {"∂": "d", "Σ": "sum", "√": "sqrt ", "≥": ">=", "≈": "~", "→": "->", "⋯": "...", "±": "+-"}
    | {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "θ": "theta", "λ": "lambda", "μ": "mu"}
    | {"π": "pi", "ρ": "rho", "ψ": "psi", "Φ": "Phi"}
)
"""How letters of mathematics are spelled in ASCII."""


class Neuron(click.ParamType[tuple[int, int]]):
    """A layer from 1 and a neuron in it from 0."""

    name = "layer,neuron"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return the two numbers."""
        try:
            layer, unit = (int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r:.80} is no layer and neuron such as 1,20.", param, ctx)
        return layer, unit


@click.command("explain", cls=options.Command)
@options.model_file("of the newest run, else the one that comes with glassnet")
@options.in_section("Sample")(
    "--digit",
    type=click.IntRange(0, 9),
    help="Of the test images of this digit that are read right, the least sure one.  [default: 7]",
)
@options.in_section("Sample")("--image", type=click.Path(path_type=Path), help="A picture of your own, as in predict.")
@options.in_section("Sample")(
    "--target",
    metavar="CLASS",
    help="What the network should say.  [default: the digit; of a picture, what the network says already]",
)
@options.in_section("Step")("--optimizer", type=click.Choice(options.OPTIMIZERS), default="adam", show_default=True)
@options.in_section("Step")(
    "--learning-rate", type=options.positive, help="Of the step.  [default: the peak rate of train]"
)
@options.in_section("Step")(
    "--neuron", type=Neuron(), help="Follow this one: dense layer from 1, neuron from 0.  [default: one that matters]"
)
@options.in_section("Results")("--html", type=click.Path(path_type=Path), help="Write the story as a page.")
@options.force
@options.in_section("Results")(
    "--code",
    type=click.Choice(["torch", "keras"]),
    help="Print a program that takes the same step in PyTorch or Keras.",
)
@options.debug
def command(
    path: Path | None,
    digit: int | None,
    image: Path | None,
    target: str | None,
    optimizer: str,
    learning_rate: float | None,
    neuron: tuple[int, int] | None,
    html: Path | None,
    force: bool,
    code: str | None,
    debug: bool,
) -> int:
    """Take one training step on one digit, and tell what happens, number by number.

    A story of 8 to 12 parts follows one neuron: what comes in, what it adds up, the answer, the loss, the way back, the
    update. At the end the gradient is checked against the numeric derivative. Nothing is changed: the step is taken on
    a copy.

    \b
    Examples:
      glassnet explain
      glassnet explain --digit 4 --optimizer momentum
      glassnet explain --image my-seven.png --target 7 --html step.html
      glassnet explain --neuron 2,17
      glassnet explain --code torch > step.py
    """
    from glassnet.cli.output import echo
    from glassnet.cli.runs import check_file
    from glassnet.config import RunConfig
    from glassnet.explain import script, tell, write_page
    from glassnet.trace import trace_step

    if digit is not None and image is not None:
        raise click.UsageError("--digit and --image exclude each other.", click.get_current_context())
    if code is not None and (html is not None or neuron is not None):
        other = "--html" if html is not None else "--neuron"
        raise click.UsageError(f"--code prints a program, so {other} is of no use.", click.get_current_context())
    if html is not None:
        check_file(html, force, "--html")
    model, file, which = _model(path)
    pixels, wanted, what = _sample(digit, image, target, model)
    config = RunConfig(optimizer=optimizer, learning_rate=learning_rate, schedule="constant", epochs=1, batch_size=1)
    traced = trace_step(model, pixels[None].reshape(1, *model.network.input_shape), wanted, config.make_optimizer(2, 1))
    if code is not None:
        click.echo(script(code, traced, file), nl=False)  # type: ignore[arg-type]
        return 0
    layer, unit = (None, None) if neuron is None else neuron
    story = tell(traced, layer=layer, unit=unit, pixels=pixels, what=what)
    if html is not None:
        write_page(story, html)
        echo(f"{story.title}, by {which}: {len(story.parts)} parts in {html}")
        return 0
    echo(f"{story.title}, by {which}.")
    _tell(story)
    return 0


def _model(path: Path | None) -> tuple[Model, Path, str]:
    """Return the model, its file, and what to call it."""
    from glassnet.cli.runs import default_model
    from glassnet.errors import ConfigError
    from glassnet.model_files import load_model

    file, which = default_model() if path is None else (path, str(path))
    model = load_model(file)
    if model.task != "classification" or model.network.input_shape not in (SIDES, (*SIDES, 1), (784,)):
        raise ConfigError(f"{file} does not read pictures of 28 x 28 pixels: name another model with --model.")
    return model, file, which


def _sample(
    digit: int | None, image: Path | None, target: str | None, model: Model
) -> tuple[NDArray[np.uint8], NDArray[np.int64], str]:
    """Return the picture, what it should be read as, and what to call it."""
    import numpy as np

    from glassnet.data import load
    from glassnet.data.pictures import read_picture
    from glassnet.errors import ConfigError

    outputs = model.network.output_shape[0]
    names = model.class_names or tuple(map(str, range(max(outputs, 2))))
    if target is not None and target not in names:
        raise ConfigError(f"the model knows no class {target!r:.80}; it knows {', '.join(names)}.")
    if image is not None:
        pixels, what = read_picture(image), f"the picture {image.name}"
        answer = model.predict_proba(pixels.reshape(1, *model.network.input_shape))[0]
        read = int(np.argmax(answer)) if outputs > 1 else int(answer[0] > 0.5)
        wanted = names.index(target) if target in names else read
    else:
        digit = 7 if digit is None else digit
        test = load("mnist").test
        if target is None and str(digit) not in names:
            raise ConfigError(f"the model knows {', '.join(names)}, no {digit}: say what it should read with --target.")
        wanted = names.index(target if target in names else str(digit))
        places = np.flatnonzero(test.targets == digit)
        shares = model.predict_proba(test.features[places].reshape(-1, *model.network.input_shape))
        if outputs == 1:
            shares = np.hstack([1 - shares, shares])
        right = names.index(str(digit)) if str(digit) in names else wanted
        sure = shares[:, right] + (shares.argmax(axis=1) != right)  # first those that are right
        place = int(places[np.argmin(sure)])
        pixels, what = test.features[place].reshape(SIDES), f"the {digit} that is test image {place}"
    return pixels, np.array([wanted]), what


def _tell(story: Story) -> None:
    """Print the story."""
    width = min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST)
    unicode, colour = terminal.unicode(sys.stdout), terminal.colour(sys.stdout)
    for i, part in enumerate(story.parts, start=1):
        click.echo("")
        _print(click.style(f"{i}. {part.title}", bold=True))
        for line in _lines(part, width, unicode, colour):
            _print(line)


def _print(text: str) -> None:
    """Print a line; where the console lacks letters of mathematics, their names stand for them."""
    encoding = sys.stdout.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.translate(SPELLED).encode(encoding, "backslashreplace").decode(encoding)
    click.echo(text, color=terminal.colour(sys.stdout))


def _lines(part: Part, width: int, unicode: bool, colour: bool) -> list[str]:
    from glassnet.trace.frameworks import NAMES

    lines = textwrap.wrap(part.text, width)
    if part.equations:
        lines += ["", *(f"    {equation.text}" for equation in part.equations)]
    if part.bars:
        names = max(len(bar.name) for bar in part.bars)
        lines.append("")
        for bar in part.bars:
            drawn = terminal.bar(abs(bar.share), BAR_WIDTH, unicode)
            lines.append(f"    {bar.name:>{names}} {drawn} {bar.value:>10}")
    if part.pictures and not part.pictures[0].signed:
        lines += ["", *terminal.picture(part.pictures[0].pixels, unicode, colour)]
    if part.lines:
        what = max(len(line.what) for line in part.lines)
        lines.append("")
        for line in part.lines:
            text = f"    {line.what:<{what}}  {line.value:>12}"
            lines.append(click.style(text, bold=True) if line.result else text)
    foot = [", ".join(map(str, part.sources))] if part.sources else []
    foot += [f"{NAMES[framework]}: {call}" for framework, call in part.calls.items()]
    if foot:
        lines += ["", *(click.style(f"    {line}", dim=True) for line in foot)]
    return lines
