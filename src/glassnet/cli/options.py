"""What several commands share: their options, declared once, and the help in sections."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from glassnet.config import RunConfig

Decorator: TypeAlias = Callable[[Callable[..., int]], Callable[..., int]]

# The names and numbers of the library, without importing it; a test holds them together.
ACTIVATIONS = ["sigmoid", "relu", "tanh", "leaky-relu", "elu", "gelu", "silu", "softplus", "identity"]
LOSSES = ["softmax-crossentropy", "sigmoid-crossentropy", "mse"]
OPTIMIZERS = [
    "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adadelta", "adam", "adamax", "nadam", "amsgrad", "adamw",
    "radam", "adan", "lion", "schedule-free-adamw", "muon",
]  # fmt: skip
SCHEDULES = [
    "constant", "step", "exponential", "inverse-time", "polynomial", "cosine", "cosine-restarts", "onecycle",
]  # fmt: skip
_RATES = (
    "sgd 0.8, momentum 0.15, nesterov 0.15, adagrad 0.1, rmsprop 0.006, adadelta 4.5, adam 0.008, adamax 0.06, "
    "nadam 0.0075, amsgrad 0.008, adamw 0.0075, radam 0.016, adan 0.012, lion 0.001, schedule-free-adamw 0.006, "
    "muon 0.003"
)
_ADAMS = "adam and its family, adan, lion and muon"

positive = click.FloatRange(min=0, min_open=True)
_share = click.FloatRange(min=0, max=1, max_open=True)
_least_0 = click.FloatRange(min=0)
_MOST_DIGITS = 100
MOST_PROCESSES = 1024


class Option(click.Option):
    """An option that stands in a section of the help."""

    def __init__(self, *args: Any, section: str = "Help", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.section = section


class Command(click.Command):
    """A command whose help lists the options in sections, in the order in which these appear first."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the sections."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(parameter, "section", "Help"), []).append(record)
        for name, records in sections.items():
            with formatter.section(name):
                formatter.write_dl(records)


class Source(click.ParamType[str]):
    """Where data come from: completes the names of data sets and of files."""

    name = "source"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return what may come next."""
        from glassnet.data.catalogue import NAMES

        known = [CompletionItem(name) for name in NAMES if name.startswith(incomplete)]
        return [*known, CompletionItem(incomplete, type="file")]


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


class Names(click.ParamType[Any]):
    """Comma-separated names; nothing for none."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the names."""
        if isinstance(value, tuple):
            return value
        return tuple(part.strip() for part in value.split(",") if part.strip())


class Range(click.ParamType[Any]):
    """Two comma-separated numbers, the lower one first."""

    name = "low,high"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        """Return the numbers."""
        if isinstance(value, tuple):
            return value
        try:
            low, high = (float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r:.80} is no range of two numbers such as 0.01,1.", param, ctx)
        if not -math.inf < low < high < math.inf:
            self.fail(f"{value!r:.80} does not go from one number to a higher one.", param, ctx)
        return low, high


class ClassWeights(click.ParamType[Any]):
    """Comma-separated numbers, or "balanced"."""

    name = "balanced|numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | tuple[float, ...]:
        """Return the numbers, or "balanced"."""
        if value == "balanced" or isinstance(value, tuple):
            return cast("str | tuple[float, ...]", value)
        try:
            return tuple(float(part) for part in value.split(","))
        except ValueError:
            self.fail(f'{value!r} is neither "balanced" nor a list of numbers such as 1,1,2.5.', param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return what may come next."""
        return [CompletionItem("balanced")] if "balanced".startswith(incomplete) else []


class Workers(click.ParamType[Any]):
    """A whole number of at least 1, or "auto"."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """Return the number, or None for "auto"."""
        if value == "auto" or isinstance(value, int):
            return None if value == "auto" else int(value)
        if not value.isdecimal() or not 1 <= int(value[:_MOST_DIGITS]) <= MOST_PROCESSES:
            self.fail(f'{value!r:.80} is neither a whole number of 1 to {MOST_PROCESSES} nor "auto".', param, ctx)
        return int(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return what may come next."""
        return [CompletionItem("auto")] if "auto".startswith(incomplete) else []


class BatchSize(click.ParamType[Any]):
    """A whole number of at least 1, or "full"."""

    name = "N|full"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return the number, or "full"."""
        if value == "full" or isinstance(value, int):
            return cast("int | str", value)
        if not value.isdecimal() or len(value) > _MOST_DIGITS or int(value) < 1:
            self.fail(f'{value!r:.80} is neither a whole number of at least 1 nor "full".', param, ctx)
        return int(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return what may come next."""
        return [CompletionItem("full")] if "full".startswith(incomplete) else []


def together(*options: Decorator) -> Decorator:
    """Return one decorator that declares several options in this order."""

    def declare(function: Callable[..., int]) -> Callable[..., int]:
        for option in reversed(options):
            function = option(function)
        return function

    return declare


def in_section(section: str) -> Callable[..., Decorator]:
    """Return what `click.option` is, for options of one section of the help."""
    return partial(click.option, cls=Option, section=section)


_file, _data, _network, _loss = map(in_section, ("Configuration", "Data", "Network", "Loss"))
_optimizer, _training, _results = map(in_section, ("Optimizer", "Training", "Results"))
_rate = in_section("Learning rate")

config_file = _file(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    help="A run.toml, or the folder of a run: take all settings from it; what is given on the line overrides them.",
)

source = together(
    _data(
        "--data",
        type=Source(),
        default="mnist",
        help="A name that 'glassnet data list' shows, a folder of IDX files, or train.csv,test.csv.",
    ),
    _data("--classes", type=click.IntRange(2), default=10, help="How many classes data other than MNIST have."),
    _data(
        "--validation",
        type=click.IntRange(0),
        help="Samples held out from the end of the training data.  [default: 5000, or a tenth of fewer]",
    ),
)

learner = together(
    _data(
        "--input-range",
        type=Range(),
        default="0.0,1.0",
        help="What the network sees in place of a feature of 0 and of 1; pixels are scaled to 0 to 1 before.",
    ),
    _network("--hidden", type=Widths(), default="100,100", help='Widths of the hidden layers; "" for none.'),
    _network("--activation", type=click.Choice(ACTIVATIONS), default="relu", help="Of the hidden layers."),
    _network(
        "--output-activation",
        type=click.Choice(["softmax", *ACTIVATIONS]),
        help="Of the last layer.  [default: softmax for softmax-crossentropy, else sigmoid]",
    ),
    _network(
        "--initializer",
        default="auto",
        help="Of the weights: zeros, normal:DEVIATION, lecun-, glorot- or he- with normal or uniform, fan-out-normal; "
        "auto is he-normal before rectifiers, glorot-uniform elsewhere.",
    ),
    _network("--bias-initializer", default="zeros", help="Of the biases: the same names, but for auto."),
    _network(
        "--freeze",
        "frozen",
        type=Names(),
        default="",
        help="Layers whose parameters stay as they are, such as dense_1,dense_2.",
    ),
    _loss("--loss", type=click.Choice(LOSSES), default="softmax-crossentropy"),
    _loss(
        "--loss-reduction",
        type=click.Choice(["mean", "sum"]),
        default="mean",
        help="Over the samples of a batch.",
    ),
    _loss(
        "--label-smoothing",
        type=_share,
        default=0.0,
        help="Share of each target that goes to all classes alike; with sigmoid-crossentropy and mse to yes and no.",
    ),
    _loss(
        "--class-weights",
        type=ClassWeights(),
        help='"balanced" counts rare classes more, or a weight for each class, such as 1,1,2.5.',
    ),
    _optimizer("--optimizer", type=click.Choice(OPTIMIZERS), default="adam"),
    _optimizer("--momentum", type=_share, help="Of momentum, nesterov and muon.  [default: 0.9; muon 0.95]"),
    _optimizer(
        "--momentum-form",
        type=click.Choice(["classical", "sum", "mean"]),
        help="Of momentum and nesterov, which has no mean: what is kept are steps, or the sum or the mean of "
        "gradients.  [default: classical]",
    ),
    _optimizer("--rho", type=_share, help="Decay of rmsprop and adadelta.  [default: 0.9; adadelta 0.95]"),
    _optimizer("--beta1", type=_share, help=f"Of {_ADAMS}.  [default: 0.9; adan 0.98]"),
    _optimizer("--beta2", type=_share, help=f"Of {_ADAMS}.  [default: 0.999; adan 0.92, lion 0.99]"),
    _optimizer("--beta3", type=_share, help="Of adan.  [default: 0.99]"),
    _optimizer(
        "--epsilon",
        type=positive,
        help="Of all but sgd, momentum, nesterov and lion.  [default: 1e-8; adadelta 1e-6]",
    ),
    _optimizer(
        "--epsilon-in-root/--epsilon-outside-root",
        default=None,
        help="Of rmsprop: divide by sqrt(v + epsilon), or by sqrt(v) + epsilon.  [default: outside]",
    ),
    _optimizer("--l2", type=_least_0, help="Weight decay as a penalty in the loss, not of biases.  [default: 0]"),
    _optimizer(
        "--weight-decay",
        type=_least_0,
        help="Weight decay apart from the gradient, not of biases.  [default: 0; adamw 0.01]",
    ),
    _optimizer("--clip-value", type=positive, help="No entry of the gradient may be larger."),
    _optimizer("--clip-norm", type=positive, help="A longer gradient is shortened to this length."),
    _training(
        "--batch-size",
        type=BatchSize(),
        metavar="N|full",
        default=200,
        help='Samples a step; "full" takes all, 1 is stochastic.',
    ),
    _training(
        "--shuffle/--no-shuffle", default=True, help="Take the samples in a new order each epoch, or as in the file."
    ),
    _training(
        "--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="Of everything random: one seed, one result."
    ),
    _training(
        "--threads",
        type=click.IntRange(1, MOST_PROCESSES),
        help="Processors that matrix products may use; in train for a single process.  [default: 1 where samples of a "
        "batch times parameters are at most 20 million, else all]",
    ),
)

length = together(
    _training("--epochs", type=click.IntRange(1), default=5, help="Passes over the training data."),
    _training("--max-steps", type=click.IntRange(1), help="Stop after so many steps."),
    _training(
        "--validate/--no-validation",
        default=True,
        help="Evaluate what is held out after each epoch, or skip it; held out it stays.",
    ),
    _training(
        "--workers",
        type=Workers(),
        metavar="N|auto",
        help="Processes that train together; auto: two where there are two processors and each gets 50 samples of a "
        "batch or more, else one.  [default: auto]",
    ),
)

learning_rate = together(
    _rate("--learning-rate", type=positive, help=f"The highest of the schedule.  [default: {_RATES}]"),
    _rate(
        "--schedule",
        type=click.Choice(SCHEDULES),
        help="Over the run: constant; step: a tenth after each third; exponential: to a hundredth; inverse-time: to a "
        "tenth; polynomial: straight to zero; cosine: to zero; cosine-restarts: three cosines, each twice as long as "
        "the one before; onecycle: up for three tenths and down to zero.  "
        "[default: onecycle; constant for schedule-free-adamw and with --reduce-on-plateau]",
    ),
    _rate(
        "--warmup",
        type=click.IntRange(0),
        help="Steps of a straight rise before the schedule; onecycle brings its own.  "
        "[default: 0; a twentieth of the run for cosine and schedule-free-adamw]",
    ),
    _rate(
        "--reduce-on-plateau",
        type=click.IntRange(1),
        metavar="EPOCHS",
        help="Lower the rate when the validation loss has not improved for so many epochs.",
    ),
)


doctor = _training(
    "--doctor/--no-doctor",
    default=True,
    help="Look whether the training is healthy, and say what is wrong and what helps.",
)

checkpoints = together(
    _results(
        "--checkpoint-every",
        metavar="1e|500steps|30s",
        help="Write all that is needed to go on after an interruption, every so many epochs, steps or seconds.",
    ),
    _results(
        "--keep-checkpoints", type=click.IntRange(1), default=3, help="How many of the last ones, besides the best."
    ),
    _results(
        "--resume",
        type=click.Path(path_type=Path),
        metavar="RUN",
        help="Go on with the run of this folder where its newest checkpoint is, to the same bits.",
    ),
)


def results(where: str) -> Decorator:
    """Return the options on where results go and what is said; `where` is the default folder."""
    return together(
        _results("--out", type=click.Path(path_type=Path), help=f"Folder for the results.  [default: {where}]"),
        _results("--force", is_flag=True, help="Replace results that are in --out already."),
        _results("--quiet", is_flag=True, help="Print nothing but errors."),
        _results("--verbose", is_flag=True, help="Print the whole plan, and how each step of it goes."),
        debug,
    )


def model_file(where: str) -> Decorator:
    """Return the option that names a model file; `where` is the default one."""
    kind, text = click.Path(path_type=Path), f"Model file.  [default: {where}]"
    return click.option("--model", "path", type=kind, help=text, cls=Option, section="Model")


force = click.option("--force", is_flag=True, help="Replace the file if it is there already.")
as_json = _results("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
debug = _results("--debug", is_flag=True, help="Show the traceback of an error.")


def run_config(ctx: click.Context, file: Path | None, values: dict[str, Any]) -> RunConfig:
    """Return the configuration that the line asks for: that of the file, or the default, with what was given."""
    from glassnet.cli.runs import follow_latest
    from glassnet.config import RunConfig

    given = {name: value for name, value in values.items() if was_given(ctx, name)}
    return (RunConfig() if file is None else RunConfig.from_toml(follow_latest(file))).changed(**given)


def was_given(ctx: click.Context, name: str) -> bool:
    """Return whether an option stands on the line."""
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
